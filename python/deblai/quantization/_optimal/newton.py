"""Newton's method with the exact Hessian, in a trust region: truncated conjugate gradients (Steihaug, Toint)."""

from __future__ import annotations

import numpy as np

from .descent import LBFGS
from .landscape import FLAT, Array, Landscape, Point, dot, scaled

LEVEL = 1e-9  # curvatures, relative to those of fixed cells, that are rounding
MOST = 2000  # products with the Hessian a step


class Newton:
    """Steps that minimise the quadratic model in a ball of the metric of the curvatures.

    T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization", SIAM J. Numer. Anal. 20,
    1983: where the Hessian is not positive the step goes along such a direction to the ball's border.
    """

    def __init__(self, land: Landscape) -> None:
        self.land = land
        self.bound = np.inf  # of the step; set from the first energy
        self.products = 0

    def next(self, now: Point) -> Point | None:
        """Shrink the ball until a step lowers the energy by at least a thousandth of what the model says."""
        if not np.isfinite(self.bound):
            self.bound = 0.5 * float(np.sqrt((now.curvature * now.radius**2).sum()))
        floor = 1e-9 * self.bound
        while self.bound > floor:
            step, size, foreseen = self.solve(now)
            if not foreseen > 0:
                return None
            new = self.land.at(self.land.inside(now.sites + step), now)
            ratio = -1.0 if new is None else gain(now, new) / foreseen
            if ratio < 0.25:
                self.bound = 0.25 * min(self.bound, size)
            elif ratio > 0.75 and size > 0.9 * self.bound:
                self.bound *= 2
            if new is not None and ratio > 1e-3:
                return new
            if foreseen < FLAT * now.energy:  # no step is seen in the energy
                return new if new is not None and new.better(now) else None
        return None

    def forget(self) -> None:
        """Take a ball of the size of the cells again."""
        self.bound = np.inf

    def solve(self, now: Point) -> tuple[Array, float, float]:
        """Return the step, its norm, and by how much the model falls."""
        h, curvature, shape = now.hessian, now.curvature, now.sites.shape
        x, r = np.zeros(shape), self.free(now.gradient.copy())
        z = scaled(r, curvature)
        p, rz = -z, dot(r, z)
        least = 1e-15 * float(np.sqrt((curvature * now.radius**2).sum()))  # what is left is rounding
        enough = max(min(0.1, now.residual) * float(np.sqrt(rz)), least)
        size, pp, xp = 0.0, rz, 0.0  # squares in the metric, by recurrence: |x| itself, |p|^2, <x, p>
        inverse = scaled(np.ones((len(x), 1)), curvature)
        for _ in range(MOST):
            hp = self.free((h @ p.ravel()).reshape(shape))
            self.products += 1
            bend = dot(p, hp)
            if abs(bend) < LEVEL * pp and size > 0:  # turns of a round measure, say: nothing to gain
                break
            length = rz / bend if bend > 0 else np.inf
            border = not size**2 + 2 * length * xp + length**2 * pp < self.bound**2
            if border:
                length = (-xp + np.sqrt(xp**2 + pp * (self.bound**2 - size**2))) / pp
            x += length * p
            r += length * hp
            if border:
                size = self.bound
                break
            size = float(np.sqrt(size**2 + 2 * length * xp + length**2 * pp))
            z = r * inverse
            before, rz = rz, dot(r, z)
            if np.sqrt(rz) <= enough:
                break
            share = rz / before
            xp, pp = share * (xp + length * pp), rz + share**2 * pp
            p *= share
            p -= z
        return x, size, -0.5 * dot(x, now.gradient + r)

    def free(self, v: Array) -> Array:
        """Leave out what moves all sites alike, where that changes nothing."""
        return v - v.mean(0) if self.land.invariant else v


def gain(now: Point, new: Point) -> float:
    """Return by how much the energy falls; from the gradients of both ends where it is lost in rounding."""
    by_energy = now.energy - new.energy
    if abs(by_energy) > 1e-9 * now.energy:
        return by_energy
    return -0.5 * float(((new.sites - now.sites) * (now.gradient + new.gradient)).sum())


class Auto:
    """L-BFGS into a basin, Newton's method in it; back to L-BFGS where a step of Newton's does not halve the residual.

    Far from a minimum of many sites the trust region leads from one saddle to the next, and each step costs as much as
    ten of L-BFGS.
    """

    def __init__(self, land: Landscape, switch: float = 2e-3) -> None:
        self.land, self.first, self.second, self.switch = land, LBFGS(land), Newton(land), switch
        self.newton = self.stuck = False
        self.entry = self.before = np.inf  # residuals where Newton's method began, and of the last step

    def next(self, now: Point) -> Point | None:
        """Step."""
        if self.newton and not self.stuck and now.residual > 0.5 * self.before:
            self.switch = self.entry / 4
            self.forget()
        if not self.newton and now.residual < self.switch:
            self.newton, self.entry, self.before = True, now.residual, np.inf
        if not self.newton:
            new = self.first.next(now)
            if new is not None:
                return new
            self.newton = self.stuck = True
        self.before = now.residual
        return self.second.next(now)

    def forget(self) -> None:
        """Begin anew."""
        self.first.forget()
        self.second.forget()
        self.newton = self.stuck = False
