"""Lloyd's quantizer as an estimator of scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..quantization import assign
from ..quantization._lloyd.lloyd import solve

Array = np.ndarray[Any, Any]


class Quantizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Sites that stand for samples: `deblai.quantization.lloyd` with the manners of `sklearn.cluster.KMeans`.

    Parameters
    ----------
    n_sites : int, default 8
        Number of sites k.
    init : {"k-means++", "k-means||", "random"} or array (n_sites, n_features), default "k-means++"
        Where they start.
    n_init : int or "auto", default 1
        How many starts; the least energy wins. One for an array; "auto" is 10 for "random", else 1.
    max_iter : int, default 300
        Most moves of the sites.
    tol : float, default 1e-5
        Converged when a step lowers the energy by at most `tol` times itself.
    random_state : int, RandomState or None
        Source of the starts.

    Attributes
    ----------
    sites_, cluster_centers_ : array (n_sites, n_features)
        The sites.
    weights_ : array (n_sites,)
        The mass of each site's cell; they sum to 1.
    labels_ : array (n_samples,) of int32
        The nearest site of each sample.
    energy_ : float
        The mean squared distance: W_2 squared between the samples and the weighted sites.
    inertia_ : float
        The sum of weighted squared distances.
    n_iter_ : int
        How often the sites moved.
    n_features_in_ : int
        Number of features seen by `fit`.

    See Also
    --------
    deblai.quantization.lloyd : the function, for arrays of other libraries and for measures.

    Examples
    --------
    >>> import numpy as np
    >>> from deblai.sklearn import Quantizer
    >>> x = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> q = Quantizer(2, random_state=0).fit(x)
    >>> sorted(q.sites_.tolist()), q.predict([[0.0, 0.0], [12.0, 3.0]]).tolist() == q.labels_[[0, 3]].tolist()
    ([[1.0, 2.0], [10.0, 2.0]], True)
    """

    def __init__(
        self,
        n_sites: int = 8,
        *,
        init: Any = "k-means++",
        n_init: Any = 1,
        max_iter: int = 300,
        tol: float = 1e-5,
        random_state: Any = None,
    ) -> None:
        self.n_sites = n_sites
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Quantizer:
        """Find the sites.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Samples, float32 or float64; other numbers become float64.
        y : ignored
            For pipelines.
        sample_weight : array (n_samples,), optional
            Nonnegative weights.

        Returns
        -------
        Quantizer
            Itself.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", ensure_min_samples=1)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        runs = (10 if self.init == "random" else 1) if isinstance(self.n_init, str) else self.n_init
        if self.n_init not in ("auto", runs) or not isinstance(runs, int | np.integer) or runs < 1:
            raise ValueError(f"n_init: expected a positive integer or 'auto', got {self.n_init!r}")
        state = check_random_state(self.random_state)
        named = isinstance(self.init, str)
        if callable(self.init):
            raise ValueError(f"init: expected the name of a start or an array of sites, got {self.init!r}")
        init = self.init if named else np.asarray(self.init, X.dtype)
        best, doubt = None, ""
        for _ in range(runs if named else 1):
            seed = int(state.randint(np.iinfo(np.int32).max))
            found, message = solve(X, self.n_sites, weights, init, False, self.max_iter, self.tol, seed, None)
            if best is None or found.energy < best.energy:
                best, doubt = found, message
        assert best is not None
        if doubt:
            warnings.warn(f"[sklearn.Quantizer] {doubt}", ConvergenceWarning, stacklevel=2)
        self.sites_: Array = best.sites
        self.weights_: Array = best.weights
        self.labels_: Array = best.labels
        self.energy_ = best.history[-1]
        self.inertia_ = self.energy_ * float(len(X) if weights is None else weights.sum(dtype=float))
        self.n_iter_ = max(1, best.n_iter)
        return self

    @property
    def cluster_centers_(self) -> Array:
        """The sites."""
        check_is_fitted(self)
        return self.sites_

    def predict(self, X: Any) -> Array:
        """Return the number of the nearest site of each sample (n_samples,)."""
        return np.asarray(assign(self._checked(X), self.sites_).labels)

    def transform(self, X: Any) -> Array:
        """Return the distances to all sites (n_samples, n_sites)."""
        return np.asarray(euclidean_distances(self._checked(X), self.sites_))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the sum of weighted squared distances to the nearest sites."""
        X = self._checked(X)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        total = float(len(X)) if weights is None else float(weights.sum(dtype=float))
        return -total * float(assign(X, self.sites_, weights).energy)

    def _checked(self, X: Any) -> Array:
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=self.sites_.dtype.type, order="C", reset=False))

    @property
    def _n_features_out(self) -> int:
        return len(self.sites_)
