"""Columns of the multi-marginal linear program with equal marginals, in plain NumPy: moves of particles, the minimum.

A column is a multiset of N sites; it prices out at f(s_1) + ... + f(s_N) - sum over pairs of C. See Friesecke, Schulz
and Voegler, "Genetic column generation", SIAM J. Sci. Comput. 44 (2022).
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def tuple_costs(costs: Array, tuples: Array) -> Array:
    """Return the sum over pairs of C, one a tuple (m, N)."""
    total = np.zeros(len(tuples))
    for p in range(tuples.shape[1]):
        for q in range(p):
            total += costs[tuples[:, p], tuples[:, q]]
    return total


def price(costs: Array, potential: Array, parents: Array) -> tuple[Array, Array]:
    """Return what the best move of each particle of each parent adds to the price, and to which site: (m, N) each."""
    m, count = parents.shape
    gain, to = np.full((m, count), -np.inf), np.full((m, count), -1, np.int32)
    for j, sites in enumerate(parents):
        for k in range(count):
            alone = potential - costs[np.delete(sites, k)].sum(0)
            moved = alone.copy()
            moved[sites[k]] = -np.inf
            best = int(moved.argmax())
            if moved[best] > -np.inf:
                gain[j, k], to[j, k] = moved[best] - alone[sites[k]], best
    return gain, to


def price_pairs(costs: Array, potential: Array, parents: Array) -> tuple[Array, Array]:
    """Return the most that two particles of each parent add, (m, 1), and which go where, (m, 4); 0 and -1 for none."""
    m, count = parents.shape
    gain, move = np.zeros((m, 1)), np.full((m, 4), -1, np.int32)
    for j, sites in enumerate(parents):
        for p in range(count):
            for q in range(p + 1, count):
                alone = potential - costs[np.delete(sites, [p, q])].sum(0)
                both = alone[:, None] + alone - costs
                b, d = np.unravel_index(int(both.argmax()), both.shape)
                more = both[b, d] - both[sites[p], sites[q]]
                if more > gain[j, 0]:
                    gain[j, 0], move[j] = more, (p, q, b, d)
    return gain, move


def least(costs: Array, potential: Array, count: int) -> tuple[float, Array]:
    """Return the minimum of c - sum f over all multisets of `count` sites, and where it is."""
    every = np.array(list(combinations_with_replacement(range(len(costs)), count)))
    values = tuple_costs(costs, every) - potential[every].sum(1)
    return float(values.min()), np.asarray(every[values.argmin()])
