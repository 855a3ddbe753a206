"""Results on samples and given sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False, repr=False)
class Assignment:
    """What `deblai.quantization.assign` returns.

    Attributes
    ----------
    labels : array (n,) of int32
        The nearest site of each sample, the first of equals.
    squared_distance : array (n,)
        The squared distance to it.
    weights : array (k,)
        The mass of the samples of each site; they sum to 1.
    centroid : array (k, d), or (k,) for samples (n,)
        Their mean; the site itself where there is none.
    energy : scalar
        The mean squared distance.
    backend : str
        Which code ran.
    """

    labels: Any
    squared_distance: Any
    weights: Any
    centroid: Any
    energy: Any
    backend: str

    def __repr__(self) -> str:
        return (
            f"Assignment(n={self.labels.shape[0]}, n_sites={self.weights.shape[0]}, energy={float(self.energy):.6g}, "
            f"backend={self.backend!r})"
        )
