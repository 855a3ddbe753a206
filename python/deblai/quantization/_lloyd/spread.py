"""k-means||: seeds in a few passes over the samples, however many are wanted."""

from __future__ import annotations

import numpy as np

from ..._array import NUMPY
from .descent import Array
from .samples import SampleSource

ROUNDS = 5
EXCESS = 2  # candidates of a round, for each site


def spread(source: SampleSource, n_sites: int, rng: np.random.Generator) -> Array:
    """Choose candidates by weight times squared distance, many at once, and among those by k-means++ on their masses.

    B. Bahmani et al., "Scalable k-means++", Proc. VLDB Endow. 5, 2012, arXiv 1203.6402. Holds n numbers.
    """
    candidates = source.draws(1, rng)
    least = source.costs(candidates).copy()
    weights = source.host(source.weights)
    for _ in range(ROUNDS):
        odds = least.astype(np.float64)
        if weights is not None:
            odds *= weights
        total = odds.sum()
        if not total > 0:
            break
        chosen = np.flatnonzero(rng.random(len(odds)) * total < EXCESS * n_sites * odds)
        if not len(chosen):
            continue
        fresh = source.rows(chosen)
        np.minimum(least, source.costs(fresh), out=least)
        candidates = np.concatenate([candidates, fresh])
    if len(candidates) < n_sites:
        return source.seeds(n_sites, rng)
    mass = source.masses(candidates).astype(candidates.dtype)
    return SampleSource(NUMPY, candidates, mass, n_sites).seeds(n_sites, rng)
