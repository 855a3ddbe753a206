"""Uniform and piecewise constant densities of the line, for quantizers."""

from __future__ import annotations

import numpy as np

from ...measures import Grid, UniformBox
from .line import Halves, segments
from .quadrature import Array


class PixelLine:
    """A density that is constant between breaks: everything in closed form."""

    def __init__(self, breaks: Array, values: Array) -> None:
        full = np.flatnonzero(values > 0)
        first, last = int(full[0]), int(full[-1]) + 1
        self.breaks, values = breaks[first : last + 1], values[first:last]
        self.widths = np.diff(self.breaks)
        self.values = values / values.max()
        self.values = self.values / (self.values @ self.widths)
        self.lower, self.upper = float(self.breaks[0]), float(self.breaks[-1])
        self.unique = bool((values == values[0]).all())

    @classmethod
    def of(cls, measure: UniformBox | Grid, values: Array) -> PixelLine:
        """Read a measure of dimension 1, whose pixels are `values`."""
        lower, upper = measure.lower[0], measure.upper[0]
        return cls(np.linspace(lower, upper, len(values) + 1), values)

    def _pixel(self, x: Array) -> Array:
        return np.clip(np.searchsorted(self.breaks, x, side="right") - 1, 0, len(self.values) - 1)

    def density(self, x: Array) -> Array:
        """Return the density."""
        return np.asarray(self.values[self._pixel(x)])

    def halves(self, sites: Array, edges: Array, p: float) -> Halves:
        """Integrate over half cells."""
        n = len(sites)
        s = segments(sites, edges, self.breaks)
        rho = self.density(s.site + s.side * (s.near + s.far) / 2)

        def total(k: float) -> Array:
            """Integrate (k + 1) r^k: far^(k+1) - near^(k+1), without cancellation."""
            with np.errstate(divide="ignore"):
                part = s.far ** (k + 1) * -np.expm1((k + 1) * np.log1p(-(s.far - s.near) / s.far))
            return np.bincount(s.half, weights=rho * part, minlength=2 * n)

        slope, energy = total(p - 1), total(p) / (p + 1)
        curved = p * total(p - 2) if p > 1 else np.tile(self.density(sites), 2)
        return Halves(slope[:n], slope[n:], energy[:n] + energy[n:], curved[:n] + curved[n:])

    def quantiles(self, below: Array, above: Array) -> Array:
        """Return where the masses lie."""
        low = np.concatenate([[0.0], np.cumsum(self.values * self.widths)])
        high = np.concatenate([[0.0], np.cumsum((self.values * self.widths)[::-1])])[::-1]
        return np.where(below <= above, _invert(low, self.breaks, below), _invert(-high, self.breaks, -above))

    def guess(self, n: int, p: float) -> Array:
        """Return the quantiles of the density to the power 1/(1+p)."""
        thin = np.concatenate([[0.0], np.cumsum(self.values ** (1 / (1 + p)) * self.widths)])
        return _invert(thin, self.breaks, thin[-1] * (np.arange(n) + 0.5) / n)


def _invert(rising: Array, at: Array, value: Array) -> Array:
    """Return where a function that is linear between `at` takes a value; the first of such places."""
    k = np.clip(np.searchsorted(rising, value, side="left") - 1, 0, len(at) - 2)
    step = rising[k + 1] - rising[k]
    part = (value - rising[k]) / np.where(step > 0, step, 1.0)
    return np.asarray(at[k] + np.clip(part, 0.0, 1.0) * (at[k + 1] - at[k]))
