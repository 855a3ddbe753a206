"""Who touches whom."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _validate, errors
from ..._array import gather
from ...results import Bonds, Cells
from .._laguerre import laguerre
from ._sites import ROOM, Array, Cloud, cloud

OPERATION = f"{ROOM}.bonds"
THIN = {"float64": 1e-9, "float32": 1e-6}


class Ends(NamedTuple):
    """Bonds as seen from either end: the site i, the site j across, y_j - y_i, and the facet; n sites in all."""

    i: Array
    j: Array
    offset: Array
    facet: Array

    def sum(self, values: Array, n: int) -> Array:
        """Return the sum of values of the bonds of each site."""
        return np.bincount(self.i, values, n)


def bonds(
    sites: Any, psi: Any = None, *, measure: Any = None, periodic: bool = False, thin: float | None = None
) -> Bonds:
    """Pairs of sites whose cells share an edge, in space a facet: the bonds of a crystal.

    Parameters
    ----------
    sites : array (n, 2) or (n, 3), or QuantizationResult
        NumPy, PyTorch, JAX or CuPy, float32 or float64; those of a GPU are copied to the CPU.
    psi : array (n,), optional
        Potentials of Laguerre cells, as `semidiscrete` returns; Voronoi cells without.
    measure : UniformBox, Grid, Polytope, Gaussian, Mixture or PiecewiseLinear of `measures`, optional
        Only its domain matters. The unit square or cube by default.
    periodic : bool, default False
        Take the box of a UniformBox or a Grid as a torus.
    thin : float, optional
        Edges shorter than this share of the distance of their sites are no bonds, nor facets of less than this share of
        its square. By default 1e-9, for float32 1e-6: they are rounding.

    Returns
    -------
    Bonds
        `pairs`, `offset`, `facet`, `coordination`, `border`, and ``histogram()``.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN or infinite entries, a torus of what is no box.
    InvalidType
        Anything but arrays of floats; other measures.

    Notes
    -----
    Where four cells of the plane meet in a point, as on the square lattice, none touches the one across, up to the
    rounding of the sites, that is without edges that are too `thin`. For each of those charges add up to 2 more than
    Euler's formula says of three cells at a point. All is computed in float64 on the CPU, and nothing is
    differentiable.

    Examples
    --------
    >>> from deblai.quantization import crystal
    >>> sites, torus = crystal.lattice("A2").torus((4, 2))
    >>> b = crystal.bonds(sites, measure=torus, periodic=True)
    >>> b
    Bonds(n=16, bonds=48, mean coordination=6, periodic)
    >>> b.histogram()
    {6: 16}
    """
    here = cloud(OPERATION, sites, measure, periodic)
    if thin is not None and not 0 <= _validate.real(OPERATION, "thin", thin) < 1:
        raise errors.InvalidValue(f"[{OPERATION}] thin: expected at least 0 and less than 1, got {thin!r}")
    if psi is not None:
        library, (_, psi) = gather(OPERATION, {"sites": here.given, "psi": psi})
        psi = np.array(library.numpy(psi), np.float64)
    return find(here, laguerre(here.points, psi, measure=here.domain, periodic=here.periodic), psi, thin)


def find(here: Cloud, cells: Cells, psi: Array | None = None, thin: float | None = None) -> Bonds:
    """Return the bonds of cells; `cells` has the even density."""
    f = cells.facets()
    n = len(here.points)
    distance = np.sqrt((f.offset**2).sum(1))
    size = f.mass * here.domain.volume
    # Each bond once, as the first of its sites sees it: the other sees the same up to rounding.
    first = np.where(f.cell == f.across, positive(f.offset), f.cell < f.across)
    share = THIN[here.library.dtype(here.given)] if thin is None else thin
    kept = (f.across >= 0) & first & (size > share * distance ** (here.dim - 1))
    i, j = f.cell[kept], f.across[kept]
    return Bonds(
        here.whole(np.stack([i, j], 1)),
        here.real(f.offset[kept]),
        here.real(size[kept]),
        here.whole(np.bincount(i, minlength=n) + np.bincount(j, minlength=n)),
        here.whole(np.bincount(f.cell[f.across < 0], minlength=n) > 0),
        here.real(here.points),
        here.domain,
        here.periodic,
        None if psi is None else here.real(psi),
    )


def positive(v: Array) -> Array:
    """Return which vectors have a positive first entry that is not 0."""
    sign = np.sign(v)
    leading = np.argmax(sign != 0, axis=1)
    return np.asarray(sign[np.arange(len(v)), leading] > 0)


def ends(found: Bonds, here: Cloud) -> Ends:
    """Return bonds from either end, as arrays of NumPy."""
    pairs, offset, facet = (here.library.numpy(v) for v in (found.pairs, found.offset, found.facet))
    offset, facet = offset.astype(np.float64), facet.astype(np.float64)
    return Ends(
        np.concatenate([pairs[:, 0], pairs[:, 1]]),
        np.concatenate([pairs[:, 1], pairs[:, 0]]),
        np.concatenate([offset, -offset]),
        np.concatenate([facet, facet]),
    )


def given_or_found(operation: str, sites: Any, measure: Any, periodic: Any, dims: tuple[int, ...]) -> Any:
    """Return bonds, given or of given sites, and the cloud they belong to."""
    here = cloud(operation, sites, measure, periodic, dims)
    if isinstance(sites, Bonds):
        return here, sites
    return here, find(here, laguerre(here.points, measure=here.domain, periodic=here.periodic))
