"""Lattices by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .... import _rng, _validate, errors
from ...._array import gather
from ....measures import UniformBox
from ..._optimal import starts
from . import kinds
from .kinds import Kind

Array = np.ndarray[Any, Any]
OPERATION = "quantization.crystal.lattice"
MOST = 64  # dimensions of the families
ALIASES = {
    "square": "Z2",
    "triangular": "A2",
    "hexagonal": "A2",
    "sc": "Z3",
    "fcc": "D3",
    "bcc": "D3*",
    "Lambda24": "Leech",
}
EXCEPTIONAL = {
    "E6": lambda: kinds.e6(False),
    "E6*": lambda: kinds.e6(True),
    "E7": lambda: kinds.e7(False),
    "E7*": lambda: kinds.e7(True),
    "E8": kinds.e8,
    "K12": kinds.k12,
    "Leech": kinds.leech,
}
FAMILIES = {  # by letter and star, with the least dimension
    ("Z", ""): (kinds.cubic, 1),
    ("A", ""): (kinds.a, 1),
    ("A", "*"): (kinds.a_dual, 1),
    ("D", ""): (kinds.d, 3),
    ("D", "*"): (kinds.d_dual, 3),
}
CUBES = {  # cells whose edges are parallel to the axes: their starts, and their sides for a least distance of 1
    "Z2": ("square", (1.0, 1.0)),
    "A2": ("triangular", (1.0, 3**0.5)),
    "A2*": ("triangular", (1.0, 3**0.5)),
    "Z3": ("sc", (1.0, 1.0, 1.0)),
    "D3": ("fcc", 3 * (2**0.5,)),
    "A3": ("fcc", 3 * (2**0.5,)),
    "D3*": ("bcc", 3 * (2 / 3**0.5,)),
    "A3*": ("bcc", 3 * (2 / 3**0.5,)),
}


class Estimate(NamedTuple):
    """A mean over random points, and its standard error."""

    value: float
    stderr: float


class Torus(NamedTuple):
    """Sites (n, d) of a lattice and the box whose torus they fit."""

    sites: Array
    measure: UniformBox


@dataclass(frozen=True, repr=False, eq=False)
class Lattice:
    """A lattice; see `deblai.quantization.crystal.lattice`.

    Attributes
    ----------
    name : str
    dim : int
        The dimension d.
    basis : ndarray (d, d)
        Rows span the lattice.
    volume : float
        The volume of a cell, |det basis|. (The determinant of the lattice is its square.)
    kissing : int
        Number of nearest points of each point.
    second_moment : float
        The normalised second moment of the Voronoi cell, the integral of |x|^2 over d volume^(1 + 2/d).
    status : {"exact", "digits"}
        Whether `second_moment` is of a formula, or as printed.
    source : str
        Where `second_moment` is from.
    """

    name: str
    dim: int
    basis: Array
    volume: float
    kissing: int
    second_moment: float
    status: str
    source: str
    _kind: Kind

    def __repr__(self) -> str:
        return (
            f"Lattice({self.name!r}, dim={self.dim}, volume={self.volume:.6g}, kissing={self.kissing}, "
            f"second_moment={self.second_moment:.7g})"
        )

    def closest(self, x: Any) -> Any:
        """Return the lattice point nearest to each point (n, d); where several are, one of them.

        Exact for all lattices here, by rounding and comparing cosets (Conway and Sloane); in the library and dtype of
        x, computed in float64 on the CPU.

        Examples
        --------
        >>> import numpy as np
        >>> from deblai.quantization import crystal
        >>> crystal.lattice("D4").closest(np.array([[0.9, 0.1, 0.7, 0.1]]))
        array([[1., 0., 1., 0.]])
        """
        operation = f"{OPERATION}.closest"
        library, (given,) = gather(operation, {"x": x})
        points = None if given is None else np.array(library.numpy(given), np.float64)
        if points is None or points.ndim != 2 or points.shape[1] != self.dim:
            shape = None if points is None else points.shape
            raise errors.InvalidValue(f"[{operation}] x: expected shape (n, {self.dim}), got {shape}")
        if not (np.abs(points) < 1e15).all():
            raise errors.InvalidValue(f"[{operation}] x: expected finite values below 1e15")
        return library.export(self._closest(points), given)

    def _closest(self, points: Array) -> Array:
        kind = self._kind
        found = kind.scale * kind.closest(points @ kind.frame / kind.scale)
        return np.asarray(found @ kind.frame.T)

    def estimate(self, n: int = 100_000, rng: Any = None) -> Estimate:
        """Return the normalised second moment of n random points of a cell, with its standard error.

        Examples
        --------
        >>> from deblai.quantization import crystal
        >>> e8 = crystal.lattice("E8")
        >>> value, stderr = e8.estimate(10_000, rng=0)
        >>> bool(abs(value - e8.second_moment) < 4 * stderr < 1e-3)
        True
        """
        operation = f"{OPERATION}.estimate"
        count = _validate.positive_integer(operation, "n", n)
        generator = _rng.generator(operation, rng)
        total = square = 0.0
        for begin in range(0, count, 50_000):
            x = generator.random((min(50_000, count - begin), self.dim)) @ self.basis
            each = ((x - self._closest(x)) ** 2).sum(1) / (self.dim * self.volume ** (2 / self.dim))
            total, square = total + float(each.sum()), square + float((each**2).sum())
        mean = total / count
        spread = max(square / count - mean**2, 0.0)
        return Estimate(mean, float(np.sqrt(spread / max(count - 1, 1))))

    def torus(self, shape: Any) -> Torus:
        """Return the sites of so many cells along each axis, and the box that is their torus; in d = 2 and 3.

        Nearest sites are in a distance of 1. Cells are rectangular: of two sites, with sides 1 and sqrt(3), for the
        triangular lattice, of two and four for bcc and fcc.

        Parameters
        ----------
        shape : sequence of int
            Numbers of cells.

        Examples
        --------
        >>> from deblai.quantization import crystal
        >>> sites, box = crystal.lattice("bcc").torus((2, 2, 2))
        >>> sites.shape, round(box.volume, 6)
        ((16, 3), 12.316806)
        """
        operation = f"{OPERATION}.torus"
        if self.name not in CUBES:
            raise errors.InvalidValue(f"[{operation}] shape: expected one of {sorted(CUBES)}, got {self.name}")
        try:
            counts = [_validate.positive_integer(operation, "shape", k) for k in shape]
        except TypeError as error:
            raise errors.InvalidType(f"[{operation}] shape: expected a sequence of integers, got {shape!r}") from error
        if len(counts) != self.dim:
            raise errors.InvalidValue(f"[{operation}] shape: expected {self.dim} numbers of cells, got {len(counts)}")
        name, sides = CUBES[self.name]
        measure = UniformBox(self.dim * (0.0,), tuple(k * side for k, side in zip(counts, sides, strict=True)))
        each = len(starts.CELLS[name][0])
        return Torus(starts.lattice(measure, each * int(np.prod(counts)), name), measure)


def lattice(name: str) -> Lattice:
    """Lattices that quantizers are compared with: bases, nearest points, second moments.

    Parameters
    ----------
    name : str
        "Z2", "A2", "A2*", "D4", "D4*" and so on up to dimension 64, "E6", "E6*", "E7", "E7*", "E8", "K12" (Coxeter and
        Todd), "Leech"; "square", "triangular", "sc", "bcc" and "fcc" are Z2, A2, Z3, D3* and D3.

    Returns
    -------
    Lattice
        `basis`, `volume`, `kissing`, `second_moment` with `status` and `source`; ``closest(x)``, ``estimate(n, rng)``
        and, of the plane and of space, ``torus(shape)``.

    Raises
    ------
    InvalidValue
        An unknown name.

    Notes
    -----
    The best lattices known are Z, A2, D3*, D4, D5*, E6*, E7*, E8; A2 is the best quantizer of the plane, D3* the best
    lattice of space. K12 is not quite the best of 12 dimensions (Agrell, Pook-Kolb and Allen, 2024).

    Examples
    --------
    >>> from deblai.quantization import crystal
    >>> crystal.lattice("bcc")
    Lattice('D3*', dim=3, volume=0.5, kissing=8, second_moment=0.07854328)
    >>> crystal.lattice("E8").second_moment == 929 / 12960
    True
    """
    if not isinstance(name, str):
        raise errors.InvalidType(f"[{OPERATION}] name: expected a string, got {name!r}")
    known = ALIASES.get(name, name)
    if not _valid(known):
        families = "Zn, An, An*, Dn, Dn*"
        raise errors.InvalidValue(
            f"[{OPERATION}] name: expected {families} with n up to {MOST} (Dn from 3), or one of "
            f"{sorted({*EXCEPTIONAL, *ALIASES})}, got {name!r}"
        )
    return _built(known)


def _valid(name: str) -> bool:
    match = re.fullmatch(r"([ZAD])([1-9]\d*)(\*?)", name, re.ASCII)
    if not match:
        return name in EXCEPTIONAL
    family = FAMILIES.get((match[1], match[3]))
    return family is not None and family[1] <= int(match[2]) <= MOST


@cache
def _built(name: str) -> Lattice:
    if name in EXCEPTIONAL:
        kind = EXCEPTIONAL[name]()
    else:
        letter, n, star = name[0], int(name[1:].rstrip("*")), "*" if name.endswith("*") else ""
        kind = FAMILIES[letter, star][0](n)
    basis = spanned(kind.generators) @ kind.frame.T
    basis.setflags(write=False)
    return Lattice(
        name,
        len(basis),
        basis,
        float(np.exp(np.linalg.slogdet(basis)[1])),
        kind.kissing,
        kind.moment,
        kind.status,
        kind.source,
        kind,
    )


def spanned(generators: Array) -> Array:
    """Return a basis of what generators (k, D) span over the integers; the first d of them are independent.

    Their coefficients in the first d are fractions with a small denominator: whole numbers, times it, which are brought
    to triangular form by Euclid's algorithm.
    """
    d = int(np.linalg.matrix_rank(generators))
    if len(generators) == d:
        return np.array(generators, float)
    first = generators[:d]
    fractions = generators @ np.linalg.pinv(first)
    scale = next(s for s in range(1, 1000) if np.abs(s * fractions - np.round(s * fractions)).max() < 1e-9 * s)
    rows = [[int(v) for v in row] for row in np.round(scale * fractions)]
    basis: list[list[int]] = []
    for k in range(d):
        while sum(row[k] != 0 for row in rows) > 1:
            pivot = min((row for row in rows if row[k]), key=lambda row: abs(row[k]))
            for row in rows:
                if row is not pivot and row[k]:
                    times = row[k] // pivot[k]
                    row[:] = [v - times * w for v, w in zip(row, pivot, strict=True)]
        found = next(row for row in rows if row[k])
        rows = [row for row in rows if row is not found and any(row)]
        for row in basis:
            times = row[k] // found[k]
            row[:] = [v - times * w for v, w in zip(row, found, strict=True)]
        basis.append(found)
    return np.asarray(np.array(basis, float) / scale @ first)
