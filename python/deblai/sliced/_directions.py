"""Directions on the unit sphere."""

from __future__ import annotations

from typing import Any

import numpy as np


def sphere(rng: np.random.Generator, count: int, d: int) -> np.ndarray[Any, Any]:
    """Return independent uniform directions, shape (count, d)."""
    theta = rng.standard_normal((count, d))
    theta /= np.sqrt(np.einsum("ij,ij->i", theta, theta))[:, None]
    return theta


def orthonormal_bases(rng: np.random.Generator, count: int, d: int) -> np.ndarray[Any, Any]:
    """Return the vectors of independent Haar-distributed orthonormal bases, cut to `count`; shape (count, d).

    The signs of the QR factor's diagonal are moved into Q, which makes it Haar (Mezzadri, Notices AMS 2007).
    """
    bases = []
    for _ in range(-(-count // d)):
        q, r = np.linalg.qr(rng.standard_normal((d, d)))
        bases.append((q * np.sign(np.diag(r))).T)
    return np.concatenate(bases)[:count]
