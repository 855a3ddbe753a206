"""The energy of sites, with what a descent asks of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]

OPERATION = "quantization.quantize"
ULP = float(np.finfo(np.float64).eps)
FLAT = 1e-13  # relative changes of an energy that may be rounding


class Point:
    """Sites (N, d), what their cells hold, and the energy's derivatives there.

    `curvature` (N,) is that of fixed cells: the step of Lloyd's iteration is - gradient / curvature. `each` are the
    energies of the cells, `psi` the potentials of given masses.
    """

    def __init__(
        self,
        sites: Array,
        p: float,
        mass: Array,
        each: Array,
        gradient: Array,
        curvature: Array,
        hessian: Callable[[], Any],
        energy: float | None = None,
        psi: Array | None = None,
    ) -> None:
        self.sites, self.mass, self.each, self.gradient, self.psi = sites, mass, each, gradient, psi
        self.energy = float(each.sum()) if energy is None else energy
        self.curvature, self._hessian, self.p = curvature, hessian, p
        filled = mass > 0
        self.empty = ~filled
        whole = np.where(filled, mass, 1.0)
        self.radius = (np.maximum(each, 0) / whole) ** (1 / p)  # the mean distance of degree p to the site
        pull = p * whole * self.radius ** (p - 1)
        force = np.sqrt(np.einsum("ij,ij->i", gradient, gradient))
        self.imbalance = np.where(filled & (pull > 0), force / np.where(pull > 0, pull, 1.0), 0.0)
        self.residual = float(self.imbalance.max())

    @cached_property
    def hessian(self) -> Any:
        """The second derivatives, a linear operator on vectors (N d,): a sparse matrix where one is known."""
        return self._hessian()

    @cached_property
    def slope(self) -> float:
        """The norm of the gradient in the metric of the curvatures: falls where the energy no longer can."""
        return float(np.sqrt((self.gradient * self.step).sum() * -1.0))

    @cached_property
    def step(self) -> Array:
        """The step of Lloyd's iteration: to the centres of the cells, if they are quadratic."""
        return -scaled(self.gradient, self.curvature)

    def settled(self, tol: float, loose: float = 1.0) -> bool:
        """Return whether each cell pulls its site as much from all sides, as far as floats can say."""
        if self.residual <= tol:
            return True
        reach = 1 + np.abs(self.sites).max() / self.radius.min() if self.radius.min() > 0 else np.inf
        if self.residual > loose * 8 * ULP * reach:
            return False  # without a closer look
        rounding = 8 * ULP * (1 + np.abs(self.sites).max(1) / np.where(self.radius > 0, self.radius, np.inf))
        return bool((self.imbalance <= np.maximum(tol, loose * rounding)).all())

    def better(self, than: Point) -> bool:
        """Return whether this is lower; where energies are equal up to rounding, whether it is flatter."""
        if self.energy < than.energy * (1 - FLAT):
            return True
        return self.energy <= than.energy * (1 + FLAT) and self.slope < than.slope


def dot(a: Array, b: Array) -> float:
    """Return the sum of products of two arrays (N, d)."""
    return float(np.einsum("ij,ij->", a, b))


def scaled(v: Array, curvature: Array) -> Array:
    """Return v / curvature site by site, 0 where that is 0."""
    return np.asarray(v / np.where(curvature > 0, curvature, np.inf)[:, None])


class Landscape(Protocol):
    """The energy of sites of a measure."""

    p: float
    measure: Any
    torus: Array | None  # sides of the box whose opposite borders are one
    invariant: bool  # whether all sites may move alike without a change

    def at(self, sites: Array, near: Point | None = None) -> Point | None:
        """Find the cells of sites, None where they cannot be; `near` is a point not far away."""

    def inside(self, sites: Array) -> Array:
        """Return the sites, those outside of a box at its border; as they are where there is no border."""

    def home(self, sites: Array) -> Array:
        """Return sites of a torus in its box."""


class Domain:
    """What landscapes over one measure share: its box."""

    def __init__(self, measure: Any, periodic: bool, p: float) -> None:
        from ...measures import UniformBox

        self.measure, self.periodic, self.p = measure, periodic, p
        corners = getattr(measure, "lower", None), getattr(measure, "upper", None)
        bounded = all(c is not None for c in corners)
        self.box = (np.array(corners[0], float), np.array(corners[1], float)) if bounded else None
        self.torus = self.box[1] - self.box[0] if periodic and self.box is not None else None
        self.uniform = isinstance(measure, UniformBox)
        self.invariant = periodic and self.uniform

    def inside(self, sites: Array) -> Array:
        """Return the sites, those outside of the box at its border."""
        return sites if self.box is None or self.periodic else np.clip(sites, *self.box)

    def home(self, sites: Array) -> Array:
        """Return sites of the torus in its box."""
        if self.torus is None or self.box is None:
            return sites
        return np.asarray(self.box[0] + np.mod(sites - self.box[0], self.torus))
