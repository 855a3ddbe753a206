"""Results of `deblai.quantization.crystal` about positions and energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import _validate
from .._array import NUMPY, library_of


def _numpy(x: Any) -> Any:
    return (library_of(x) or NUMPY).numpy(x)


class Radial(NamedTuple):
    """Means over shells of wave vectors: mean length, mean value and number of them; NumPy arrays."""

    k: Any
    value: Any
    count: Any


@dataclass(frozen=True, repr=False, eq=False)
class StructureFactor:
    """What `deblai.quantization.crystal.structure_factor` returns.

    Attributes
    ----------
    k : array (m, d)
        Wave vectors, in the order of their lengths where they were not given.
    value : array (m,)
        S(k); n for k = 0, 1 in the mean for independent points.
    index : int64 array (m, d) or None
        k in units of 2 pi over the sides of the box; None where k was given.
    n_sites : int
    """

    k: Any
    value: Any
    index: Any
    n_sites: int

    def __repr__(self) -> str:
        length, value = self._shown()
        peak = f", peak={value.max():.6g} at |k|={length[value.argmax()]:.6g}" if len(value) else ""
        return f"StructureFactor(n={self.n_sites}, wave vectors={self.k.shape[0]}{peak})"

    def _shown(self) -> tuple[Any, Any]:
        """Return lengths and values without k = 0."""
        length = np.sqrt((_numpy(self.k).astype(np.float64) ** 2).sum(1))
        return length[length > 0], _numpy(self.value).astype(np.float64)[length > 0]

    def radial(self, bins: int | None = None) -> Radial:
        """Return the mean of S over shells of equal thickness, without k = 0; shells without wave vectors are left out.

        By default there are as many shells as the box has wave vectors along its shorter axes, 20 for given k.

        Examples
        --------
        >>> import numpy as np
        >>> from deblai.quantization import crystal
        >>> s = crystal.structure_factor(np.random.default_rng(0).random((500, 2)))
        >>> r = s.radial(10)
        >>> bool(abs(r.value - 1).max() < 0.3)
        True
        """
        length, value = self._shown()
        if bins is None:
            count = 20 if self.index is None else max(1, int(np.abs(_numpy(self.index)).max(0).min()))
        else:
            count = _validate.positive_integer("quantization.crystal.structure_factor", "bins", bins)
        if len(length) == 0:
            return Radial(length, value, np.zeros(0, np.int64))
        shell = np.minimum((length / length.max() * count * (1 - 1e-12)).astype(int), count - 1)
        times = np.bincount(shell, minlength=count)
        some = times > 0
        mean, level = (np.bincount(shell, v, count)[some] / times[some] for v in (length, value))
        return Radial(mean, level, times[some])


@dataclass(frozen=True, repr=False, eq=False)
class PairCorrelation:
    """What `deblai.quantization.crystal.pair_correlation` returns.

    Attributes
    ----------
    r : array (b,)
        Middles of the shells.
    g : array (b,)
        Density of sites in a shell around a site, over the mean density n / V.
    edges : array (b + 1,)
        Borders of the shells.
    number : array (b,)
        Mean number of sites within the outer border of each shell; the site itself does not count.
    """

    r: Any
    g: Any
    edges: Any
    number: Any

    def __repr__(self) -> str:
        g = _numpy(self.g)
        return (
            f"PairCorrelation(shells={len(g)}, r_max={float(_numpy(self.edges)[-1]):.6g}, peak={float(g.max()):.6g} at "
            f"r={float(_numpy(self.r)[g.argmax()]):.6g})"
        )


@dataclass(frozen=True, repr=False, eq=False)
class SecondMoment:
    """What `deblai.quantization.crystal.normalized_second_moment` returns.

    Attributes
    ----------
    value : float
        G of the sites, n^(2/d) energy / (d norm).
    energy : float
        The mean squared distance to the nearest site.
    norm : float
        The norm of the density in L^(d/(d+2)).
    n_sites, dim : int
    lattice : float or None
        G of the best lattice known, None where none is tabulated. Nothing is better for many sites of the line and the
        plane; of more dimensions this is not known.
    lattice_name : str or None
    sphere : float
        G of the ball: nothing is better for many sites (Zador's lower bound).
    zador : float
        Zador's upper bound: the best sites are no worse, when they are many.
    """

    value: float
    energy: float
    norm: float
    n_sites: int
    dim: int
    lattice: float | None
    lattice_name: str | None
    sphere: float
    zador: float

    @property
    def excess(self) -> float | None:
        """The value over that of the lattice, minus 1; None where there is none."""
        return None if self.lattice is None else self.value / self.lattice - 1

    def __repr__(self) -> str:
        best = "" if self.lattice is None else f", {self.lattice_name}: {self.lattice:.7g} ({self.excess:+.3%})"
        return f"SecondMoment({self.value:.7g}{best}, sphere: {self.sphere:.7g}, n={self.n_sites}, dim={self.dim})"


@dataclass(frozen=True, repr=False, eq=False)
class ZadorFit:
    """What `deblai.quantization.crystal.zador_fit` returns.

    Attributes
    ----------
    n_sites : int64 array (m,)
    energy : array (m,)
        The least energy found for each number of sites.
    scaled : array (m,)
        n^(p/d) energy, whose limit is the constant.
    constant, stderr : float
        The fitted limit and its standard error, from what the fit leaves over.
    slope, slope_stderr : float
        The coefficient of the correction n^(-exponent), and its standard error; 0 and 0 without a correction.
    exponent : float or None
        That of the correction, None without.
    exact : float or None
        The limit of the theory, None where there is none in the tables.
    proved : bool
        Whether `exact` is a theorem (on the line and in the plane), or of the best lattice known.
    """

    n_sites: Any
    energy: Any
    scaled: Any
    constant: float
    stderr: float
    slope: float
    slope_stderr: float
    exponent: float | None
    exact: float | None
    proved: bool

    def __repr__(self) -> str:
        known = "" if self.exact is None else f", exact={self.exact:.6g}"
        return f"ZadorFit({self.constant:.6g} +- {self.stderr:.2g}{known}, {len(self.n_sites)} numbers of sites)"
