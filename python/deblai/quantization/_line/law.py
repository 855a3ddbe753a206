"""Laws of the line (frozen distributions of scipy.stats and their like), for quantizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import errors
from ..._extras import require
from ...measures import Law
from .line import OPERATION, Halves, segments
from .logconcave import log_concave
from .quadrature import Array, Segments, integrate

NEGLIGIBLE = 1e-19  # of the largest dyadic piece of a tail


class LawLine:
    """A law with a density: Gauss quadrature of it, segment by segment.

    Where the density is infinite at an end of its support, the last half cell is integrated by parts from the
    distribution function instead.
    """

    def __init__(self, law: Law, p: float) -> None:
        self.law, self.name = law, repr(law)
        if not (hasattr(law.distribution, "pdf") or hasattr(law.distribution, "logpdf")):
            raise errors.InvalidType(f"[{OPERATION}] measure: expected a law with a density (method pdf), got {law!r}")
        self.lower, self.upper = self._support()
        with np.errstate(all="ignore"):
            low, high = (10.0 ** -np.arange(2.0, 17.0) for _ in range(2))
            middle = np.arange(1, 64) / 64
            breaks = [law.quantile(low), law.quantile(middle), law.upper_quantile(high), _jumps(law.distribution)]
        inner = np.unique(np.concatenate([np.asarray(b, np.float64) for b in breaks]))
        self.breaks = inner[np.isfinite(inner) & (inner > self.lower) & (inner < self.upper)]
        quartiles = np.asarray(law.quantile(np.array([0.25, 0.5, 0.75])), np.float64)
        self.scale, self.middle = float(quartiles[2] - quartiles[0]), float(quartiles[1])
        ends = np.where(np.isfinite([self.lower, self.upper]), self._pdf(np.array([self.lower, self.upper])), 0.0)
        self.singular = [not bool(v < 1e6 / self.scale) for v in ends]
        self._refuse_heavy(p)
        self.unique = log_concave(law.distribution)

    def _support(self) -> tuple[float, float]:
        law = self.law.distribution
        with np.errstate(all="ignore"):
            if hasattr(law, "support"):
                lower, upper = (float(v) for v in law.support())
            else:
                lower = float(np.asarray(self.law.quantile(np.array([0.0])))[0])
                upper = float(np.asarray(self.law.upper_quantile(np.array([0.0])))[0])
        return (-np.inf if np.isnan(lower) else lower), (np.inf if np.isnan(upper) else upper)

    def _refuse_heavy(self, p: float) -> None:
        """Raise where x^(p+1) rho does not go to 0: the slope of log rho in log x, far away, says so."""
        law = self.law.distribution
        far = 10 ** (np.array([1, 2, 3]) / 3 * min(100.0, 250 / (p + 1)))  # x^-(p+1) is a float there
        for side, end in ((-1, self.lower), (1, self.upper)):
            if np.isfinite(end):
                continue
            with np.errstate(all="ignore"):
                at = self.middle + side * self.scale * far
                log = np.asarray(law.logpdf(at) if hasattr(law, "logpdf") else np.log(law.pdf(at)), np.float64)
                first, second = np.diff(log) / np.diff(np.log(far))
            if second > -(p + 1) - 1e-6 and second > first - 0.05 * abs(first):
                raise errors.InvalidValue(
                    f"[{OPERATION}] measure: expected a law with finite E|X|^p for p = {p:g}, got {self.name}, "
                    f"whose density falls like |x|^{second:.3g}"
                )

    def density(self, x: Array) -> Array:
        """Return the density, 0 at single points where it is infinite."""
        return np.nan_to_num(self._pdf(x), nan=0.0, posinf=0.0)

    def _pdf(self, x: Array) -> Array:
        law = self.law.distribution
        with np.errstate(all="ignore"):
            return np.asarray(law.pdf(x) if hasattr(law, "pdf") else np.exp(law.logpdf(x)), np.float64)

    def _beyond(self, side: float, x: Array) -> Array:
        """Return the mass below (-1) or above (1)."""
        law = self.law.distribution
        with np.errstate(all="ignore"):
            if side < 0:
                return np.asarray(law.cdf(x), np.float64)
            for name in ("sf", "ccdf"):
                if hasattr(law, name):
                    return np.asarray(getattr(law, name)(x), np.float64)
            return 1 - np.asarray(law.cdf(x), np.float64)

    def _outer(self, site: float, side: int, p: float) -> Array:
        """Return dyadic points beyond the last site, to where nothing that counts is left."""
        end = abs((self.upper if side > 0 else self.lower) - site)
        mass = float(self._beyond(side, np.array([site]))[0])
        with np.errstate(all="ignore"):
            quantile = self.law.upper_quantile if side > 0 else self.law.quantile
            step = side * (float(np.asarray(quantile(np.array([mass / 2])))[0]) - site)
            step = min(step, self.scale / 64) if step > 1e-9 * self.scale else 1e-9 * self.scale
            if np.isfinite(end):
                r: Array = step * 2.0 ** np.arange(np.ceil(max(0.0, np.log2(end / step))))
                return np.asarray(site + side * np.append(r[r < end], end))
            r = step * 2.0 ** np.arange(np.floor(np.log2(1e300 / max(1.0, step))))
            size = np.nan_to_num(r ** (p + 1) * self.density(site + side * r), nan=0.0, posinf=0.0)
        counts = np.flatnonzero(size > NEGLIGIBLE * size.max())
        return np.asarray(site + side * r[: counts[-1] + 2 if len(counts) else 2])

    def halves(self, sites: Array, edges: Array, p: float) -> Halves:
        """Integrate over half cells."""
        n = len(sites)
        inner = self.breaks[(self.breaks > sites[0]) & (self.breaks < sites[-1])]
        extra = [inner]
        for side, site in ((-1, sites[0]), (1, sites[-1])):
            outer = self._outer(float(site), side, p)
            far = self.breaks[(self.breaks - site) * side > 0]
            extra += [outer, far[np.abs(far - site) <= np.abs(outer[-1] - site)]]
        s = segments(sites, edges, np.concatenate(extra))
        singular = [(side, half) for k, side, half in ((0, -1, 0), (1, 1, 2 * n - 1)) if self.singular[k]]
        regular = s.take(~np.isin(s.half, [half for _, half in singular]))
        integral = integrate(self.density, regular, p - 2 if p > 1 else 0.0, 3 if p > 1 else 2, 2 * n)
        slope, energy = p * integral[-2], integral[-1]
        curved = p * (p - 1) * integral[0] if p > 1 else np.tile(self.density(sites), 2)
        for side, half in singular:
            some = s.take(s.half == half)
            slope[half], energy[half], curve = self._by_parts(some._replace(half=0 * some.half), side, p)
            if p > 1:
                curved[half] = curve
        return Halves(slope[:n], slope[n:], energy[:n] + energy[n:], curved[:n] + curved[n:])

    def _by_parts(self, s: Segments, side: int, p: float) -> tuple[float, float, float]:
        """Return the integrals of p r^(p-1) rho, r^p rho and p (p-1) r^(p-2) rho beyond the last site."""
        mass = float(self._beyond(side, s.site[:1])[0])

        def moments(s: Segments, count: int) -> Array:
            return integrate(lambda x: self._beyond(side, x), s, p - 2 if p > 1 else 0.0, count, 1)[:, 0]

        if p == 1:
            return mass, float(moments(s, 1)[0]), 0.0
        first, second = moments(s, 2)
        if p == 2:
            return float(2 * first), float(2 * second), 2 * mass
        by = 1e-6 * float(s.far.max())  # a difference is good enough for a Hessian
        nearer = moments(s._replace(site=s.site + side * by), 1)[0]
        return float(p * (p - 1) * first), float(p * second), float(p * (p - 1) * (first - nearer) / by)

    def quantiles(self, below: Array, above: Array) -> Array:
        """Return where the masses lie."""
        near = below <= above
        with np.errstate(all="ignore"):
            found = np.asarray(self.law.quantile(below), np.float64)
            return np.where(near, found, np.asarray(self.law.upper_quantile(above), np.float64))

    def guess(self, n: int, p: float) -> Array:
        """Return sites of density about rho^(1/(1+p)), the last of them where half a cell's energy lies beyond."""
        deep = min(570.0, (p + 1) * np.log(20.0 * n))
        t = np.linspace(-deep, deep, 4001)
        at = self.quantiles(1 / (1 + np.exp(-t)), 1 / (1 + np.exp(t)))
        at = np.unique(np.clip(at[np.isfinite(at)], self.lower, self.upper))
        if n == 1 or len(at) < 3:
            return np.full(1, self.middle) if n == 1 else self.quantiles(*_levels(n))
        nodes, weight = np.polynomial.legendre.leggauss(4)
        width = np.diff(at)
        rho = self.density(at[:-1, None] + width[:, None] * (1 + nodes) / 2)
        thin = np.cumsum(np.append(0.0, width * (rho ** (1 / (1 + p)) @ weight) / 2))
        mass = width * (rho @ weight) / 2
        keep = np.append(True, np.diff(thin) > 0)
        beyond = [_energies(at, mass, p), _energies(-at[::-1], mass[::-1], p)]
        ends = np.array([at[0], at[-1]])
        for _ in range(6):
            first, last = np.interp(ends, at, thin)
            half = np.float64((last - first) / (2 * max(1, n - 1))) ** min(p + 1, 300.0) / (p + 1)
            ends = np.array([-_reach(*beyond[1], half), _reach(*beyond[0], half)])
            if not ends[0] < ends[1]:
                return self.quantiles(*_levels(n))
        first, last = np.interp(ends, at, thin)
        interpolate: Any = require("scipy.interpolate", OPERATION, "exact")  # without corners in the spacing
        inverse = interpolate.PchipInterpolator(thin[keep], at[keep])
        return np.asarray(inverse(np.linspace(first, last, n)))


def _jumps(distribution: Any) -> Array:
    """Return where the density of a ``scipy.stats.rv_histogram`` jumps (they would be found, not to the last digit)."""
    bins = getattr(getattr(distribution, "dist", distribution), "_hbins", None)
    if bins is None:
        return np.zeros(0)
    place = dict(zip(("loc", "scale"), getattr(distribution, "args", ()), strict=False))
    place |= getattr(distribution, "kwds", {})
    return np.asarray(place.get("loc", 0.0) + place.get("scale", 1.0) * np.asarray(bins, np.float64))


def _levels(n: int) -> tuple[Array, Array]:
    """Return the masses below and above n quantiles."""
    return (np.arange(n) + 0.5) / n, (np.arange(n)[::-1] + 0.5) / n


def _energies(at: Array, mass: Array, p: float) -> tuple[Array, Array]:
    """Return some places and the logarithm of the integral of (t - x)^p rho beyond each of them."""
    first = np.arange(0, len(mass), 8)  # precise enough for a start
    x, mass = at[first], np.add.reduceat(mass, first)
    middle = (x + np.append(x[1:], at[-1])) / 2
    with np.errstate(all="ignore"):
        energy = np.maximum(middle - x[:, None], 0.0) ** p @ mass
    keep = energy > 0
    return x[keep], np.log(energy[keep])


def _reach(x: Array, log: Array, energy: float) -> float:
    """Return where no more than this lies beyond."""
    return float(np.interp(-np.log(energy), -log, x))
