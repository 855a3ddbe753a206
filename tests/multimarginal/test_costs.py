"""Pair costs: values, slopes, what they say at every level, and what they refuse."""

import deblai
import numpy as np
import pytest
from deblai import costs, errors
from deblai.multimarginal import sinkhorn
from deblai.reference.multimarginal import pair_cost, pair_slope

# a cost and its formula in the distance r
COSTS = {
    "coulomb": (costs.Coulomb(), lambda r: 1 / r),
    "riesz": (costs.Riesz(1.7), lambda r: r**-1.7),
    "log": (costs.Logarithmic(), lambda r: -np.log(r)),
    "harmonic": (costs.Harmonic(-0.7), lambda r: -0.7 * r**2),
    "yukawa": (costs.Yukawa(2.0, 1.5), lambda r: 1.5 * np.exp(-2 * r) / r),
    "unscreened": (costs.Yukawa(0.0), lambda r: 1 / r),
    "soft": (costs.SoftCoulomb(0.3, -2.0), lambda r: -2 / np.sqrt(r**2 + 0.09)),
    "distance": (costs.Power(1.0), lambda r: r),
    "square": (costs.Power(2.0, 3.0), lambda r: 3 * r**2),
    "power": (costs.Power(2.6, -0.5), lambda r: -0.5 * r**2.6),
    "root": (costs.Power(0.5), lambda r: np.sqrt(r)),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_reference_is_the_formula(name, rng):
    """Values; slopes by central differences of the values."""
    cost, formula = COSTS[name]
    x, y = rng.standard_normal((2, 5, 3))
    kind = (cost.kind, cost.s, cost.strength)
    r = np.linalg.norm(x[:, None] - y, axis=-1)
    assert np.allclose(pair_cost(x, y, *kind), formula(r), rtol=1e-13)
    slope, h = pair_slope(x, y, *kind), 1e-5
    for k in range(3):
        step = h * np.eye(3)[k]
        change = (pair_cost(x + step, y, *kind) - pair_cost(x - step, y, *kind)) / (2 * h)
        assert np.allclose(slope * (x[:, None, k] - y[:, k]), change, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", COSTS)
def test_kernels_are_the_formula(name, dtype, level, rng):
    """<c, plan> of zero potentials, and the gradient in the points, as the reference says; points may meet."""
    cost, _ = COSTS[name]
    points = [rng.standard_normal((n, 2)).astype(dtype) for n in (7, 9, 8)]
    points[1][:2] = points[0][:2]
    ask = {"cost": cost, "epsilon": 1.0, "max_iter": 0, "grad": "points"}
    with deblai.use_backend("reference"):
        expected = sinkhorn(points, **ask)
    with deblai.use_backend("cpu", simd=level):
        found = sinkhorn(points, **ask)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert float(found.value_linear) == pytest.approx(float(expected.value_linear), rel=tolerance)
    for one, other in zip(found.grad["points"], expected.grad["points"], strict=True):
        assert np.abs(one - other).max() <= tolerance * max(1.0, np.abs(other).max())


def test_where_points_meet():
    """Infinite for the singular ones, finite for the others, with no gradient from a kink."""
    x = np.zeros((1, 2))
    for name, value in {"yukawa": np.inf, "coulomb": np.inf, "log": np.inf, "distance": 0.0, "root": 0.0}.items():
        cost, _ = COSTS[name]
        kind = (cost.kind, cost.s, cost.strength)
        assert pair_cost(x, x, *kind)[0, 0] == value
        assert pair_slope(x, x, *kind)[0, 0] == 0
    assert pair_cost(x, x, "soft", 0.3, -2.0)[0, 0] == pytest.approx(-2 / 0.3)
    assert pair_slope(x, x, "power", 2.0, 3.0)[0, 0] == 6
    r = sinkhorn(np.array([0.0, 1.0, 3.0]), n_marginals=2, cost="euclidean", epsilon=1.0, grad="points")
    assert np.isfinite(r.grad["points"]).all()


def test_names_and_numbers_stand_for_objects():
    """The name of the distance; what operators of PyTorch and JAX pass as numbers comes back as the same object."""
    x = np.array([0.0, 0.3, 1.1])
    named, given = (sinkhorn(x, n_marginals=2, cost=c, epsilon=0.2).value for c in ("euclidean", costs.Power(1.0)))
    assert named == given
    for cost, _ in COSTS.values():
        again = costs.of_kind(cost.kind, cost.s, cost.strength)
        assert (again.kind, again.s, again.strength) == (cost.kind, cost.s, cost.strength)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: costs.Yukawa(-1.0), r"\[costs.Yukawa\] kappa: expected a nonnegative number, got -1.0"),
        (lambda: costs.Yukawa(1.0, 0.0), r"\[costs.Yukawa\] strength: expected a positive number, got 0.0"),
        (lambda: costs.SoftCoulomb(0.0), r"\[costs.SoftCoulomb\] a: expected a positive number, got 0.0"),
        (lambda: costs.SoftCoulomb(1.0, np.inf), r"\[costs.SoftCoulomb\] strength: expected a finite number"),
        (lambda: costs.Power(0.0), r"\[costs.Power\] p: expected a positive number, got 0.0"),
        (lambda: costs.Power(1.0, np.nan), r"\[costs.Power\] strength: expected a finite number"),
    ],
)
def test_bad_parameters(make, message):
    """Designed errors."""
    with pytest.raises(errors.InvalidValue, match=message):
        make()
