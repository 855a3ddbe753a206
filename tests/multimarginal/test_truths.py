"""Known values of multi-marginal transport: closed forms, with their sources."""

import deblai
import numpy as np
import pytest
from deblai.multimarginal import sinkhorn


def midpoints(n):
    return (np.arange(n) + 0.5) / n


def uniform_cost(N):
    """Strictly correlated electrons of U[0, 1] sit 1/N apart (Colombo, De Pascale and Di Marino, 2015).

    Sum over pairs of N / (j - i), integrated: N (N H_{N-1} - N + 1).
    """
    return N * (N * sum(1 / k for k in range(1, N)) - N + 1)


def test_three_electrons_on_a_segment():
    """Three electrons of U[0, 1], 240 midpoints, epsilon = 0.01: <c, plan> within 1 % of 7.5."""
    r = sinkhorn(midpoints(240), n_marginals=3, epsilon=1e-2)
    assert r.converged
    assert uniform_cost(3) == 7.5
    assert float(r.value_linear) == pytest.approx(7.5, rel=0.01)
    assert float(r.value) > 7.5  # KL >= 0, and the midpoints' own optimum is 7.5 as well


@pytest.mark.parametrize(("N", "n", "epsilon"), [(2, 200, 0.01), (3, 60, 0.02), (4, 40, 0.05)])
def test_the_cost_falls_to_that_of_strict_correlation(N, n, epsilon):
    """<c, plan> falls with epsilon, stays above the optimum of the midpoints and below the value."""
    costs = []
    for scale in (4, 2, 1):
        r = sinkhorn(midpoints(n), n_marginals=N, epsilon=scale * epsilon)
        assert r.converged
        costs.append(float(r.value_linear))
        assert costs[-1] <= float(r.value) + 1e-9
    assert costs[0] > costs[1] > costs[2] > uniform_cost(N) * (1 - 1e-4)
    assert costs[2] == pytest.approx(uniform_cost(N), rel=0.02)


def test_potential_of_two_electrons():
    """Two electrons of U[0, 1]: u(x) = 2 - 4 |x - 1/2| (same source), reached as epsilon falls."""
    x = midpoints(200)
    r = sinkhorn(x, n_marginals=2, epsilon=2e-3, max_iter=50_000)
    assert np.abs(r.potentials - (2 - 4 * np.abs(x - 0.5)))[5:-5].max() < 0.03


@pytest.mark.parametrize(("N", "truth"), [(2, 0.6931471805599453), (3, 2.602689685444384), (4, 5.832858)])
def test_logarithmic_cost(N, truth):
    """U[0, 1], -log r: sum over k of (N - k) log(N / k), the same maps."""
    assert sum((N - k) * np.log(N / k) for k in range(1, N)) == pytest.approx(truth, rel=1e-6)
    r = sinkhorn(midpoints(36), n_marginals=N, cost="log", epsilon=5e-3, tol=1e-4)
    assert float(r.value_linear) == pytest.approx(truth, rel=0.02)


@pytest.mark.parametrize("epsilon", [10.0, 1.0, 0.1, 1e-2, 1e-4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_three_points_and_an_infinite_diagonal(dtype, epsilon):
    """Two electrons on three points, infinite diagonal: P_ij = 1/6 off the diagonal whatever epsilon, cost 5/2.

    Each pair shares a sixth by symmetry of the marginals' equations: p12 + p13 = p12 + p23 = p13 + p23 = 1/3.
    """
    x = midpoints(3).astype(dtype)
    tol = 1e-6 if dtype == "float64" else max(1e-6, 3 / epsilon * 2e-7)  # 24 bits of c / epsilon
    r = sinkhorn(x, n_marginals=2, epsilon=epsilon, tol=tol)
    expected = (1 - np.eye(3)) / 6
    assert np.allclose(r.pair_marginal(), expected, atol=2 * tol)
    assert float(r.value_linear) == pytest.approx(2.5, rel=4 * tol)  # 1/3 (3 + 3 + 3/2)
    matrix = 1 / np.where(np.eye(3) > 0, 1, np.abs(x[:, None] - x)).astype(dtype)
    matrix[np.eye(3) > 0] = np.inf
    by_matrix = sinkhorn(cost=matrix, n_marginals=2, epsilon=epsilon, tol=tol)
    assert np.allclose(by_matrix.pair_marginal(), expected, atol=2 * tol)


def gaussian(s, N, gamma, epsilon):
    """Covariance, correlation and value of entropic N(0, s^2)^N with gamma sum (x_i - x_j)^2.

    The plan is Gaussian with an exchangeable covariance; stationarity of its 2 x 2 block gives a quadratic.
    """
    kappa = 2 * gamma / epsilon
    b = 1 + s * s * kappa * N
    alpha = (b + np.sqrt(b * b - 4 * s * s * kappa * (N - 1))) / (2 * s * s)
    covariance = kappa / (alpha * (alpha - kappa * N))
    rho = covariance / (s * s)
    entropy = (N - 1) * np.log(1 - rho) + np.log(1 + (N - 1) * rho)
    return covariance, gamma * N * (N - 1) * (s * s - covariance) - epsilon / 2 * entropy


def test_gaussian_formula():
    """The formula's own published digits."""
    covariance, value = gaussian(1.0, 3, -1.0, 0.5)
    assert covariance == pytest.approx(-0.460582305, abs=1e-9)
    assert value == pytest.approx(-8.317813110, abs=1e-8)
    assert gaussian(1.0, 2, 1.0, 0.5)[1] == pytest.approx(0.612178340, abs=1e-8)


@pytest.mark.parametrize(("N", "gamma"), [(3, -1.0), (3, 1.0), (2, -1.0), (2, 1.0)])
def test_gaussians(N, gamma):
    """Entropic Gaussians with attractive and repulsive harmonic cost, 121 points of [-5.5, 5.5]: 1e-5 relative."""
    x = np.linspace(-5.5, 5.5, 121)
    a = np.exp(-x * x / 2)
    r = sinkhorn(x, a, n_marginals=N, cost=deblai.costs.Harmonic(gamma), epsilon=0.5, tol=1e-9)
    a /= a.sum()
    covariance, value = gaussian(np.sqrt(a @ x**2), N, gamma, 0.5)
    assert float(r.value) == pytest.approx(value, abs=1e-5)
    assert x @ r.pair_marginal() @ x == pytest.approx(covariance, abs=1e-5)


@pytest.mark.parametrize(("N", "gamma", "s"), [(3, -0.5, 1.5), (2, 1.0, 0.6), (4, 0.3, 0.8)])
def test_gaussians_of_another_width(N, gamma, s):
    """The formula away from s = 1, to 1e-5."""
    x = np.linspace(-6 * s, 6 * s, 91)
    a = np.exp(-x * x / (2 * s * s))
    r = sinkhorn(x, a, n_marginals=N, cost=deblai.costs.Harmonic(gamma), epsilon=0.5, tol=1e-9)
    covariance, value = gaussian(s, N, gamma, 0.5)
    assert float(r.value) == pytest.approx(value, abs=1e-5)
    assert x @ r.pair_marginal() @ x == pytest.approx(covariance, abs=1e-5)


def test_published_value_of_81_points():
    """81 points of [-5.5, 5.5], N = 3, -(x_i - x_j)^2, epsilon 0.5: -8.317806."""
    x = np.linspace(-5.5, 5.5, 81)
    r = sinkhorn(x, np.exp(-x * x / 2), n_marginals=3, cost="repulsive-harmonic", epsilon=0.5, tol=1e-10)
    assert float(r.value) == pytest.approx(-8.317806, abs=1e-5)


def test_gaussians_of_different_variance():
    """N = 2, variances 1 and 4, (x - y)^2, epsilon 1/2: cov = (-eps/2 + sqrt(eps^2/4 + 16)) / 2, value 1.777670345."""
    x, y = np.linspace(-7, 7, 201), np.linspace(-14, 14, 301)
    r = sinkhorn([x, y], [np.exp(-x * x / 2), np.exp(-y * y / 8)], cost="sqeuclidean", epsilon=0.5, tol=1e-9)
    assert x @ r.pair_marginal(0, 1) @ y == pytest.approx(1.878902443, abs=1e-6)
    assert float(r.value) == pytest.approx(1.777670345, abs=1e-6)


def test_selection_among_many_optimal_plans():
    """Uniform on {-2..2}, N = 3, repulsive harmonic: every plan with x + y + z = 0 is optimal, and entropy selects one.

    The plan that maximises entropy among them gives the triple {-2, 1, 1} the mass d that solves
    24 (d - 0.2) d^2 = (0.6 - 2 d)^2 (0.6 - d): 0.211383146316.
    """
    x = np.arange(-2.0, 3.0)
    r = sinkhorn(x, n_marginals=3, cost="repulsive-harmonic", epsilon=0.05, tol=1e-10)
    plan = r.plan()
    d = 3 * plan[0, 3, 3]
    assert d == pytest.approx(0.21138314, abs=1e-7)
    assert 24 * (d - 0.2) * d * d == pytest.approx((0.6 - 2 * d) ** 2 * (0.6 - d), abs=1e-7)


def test_zero_cost_gives_the_product():
    """A zero cost leaves the product of the marginals; so does |x - y| between separated supports of the line."""
    rng = np.random.default_rng(0)
    a, b = rng.random(7), rng.random(9)
    r = sinkhorn(weights=[a, b], cost={(0, 1): np.zeros((7, 9))}, epsilon=0.3)
    product = np.outer(a / a.sum(), b / b.sum())
    assert np.allclose(r.pair_marginal(), product, atol=1e-15)
    x, y = rng.random(7), 2 + rng.random(9)
    apart = sinkhorn(weights=[a, b], cost={(0, 1): np.abs(x[:, None] - y)}, epsilon=0.05, tol=1e-12)
    assert np.allclose(apart.pair_marginal(), product, atol=1e-10)


def test_small_linear_program():
    """Three electrons on seven midpoints: the linear program's optimum is 473/60."""
    r = sinkhorn(midpoints(7), n_marginals=3, epsilon=0.02, tol=1e-5, max_iter=100_000)
    assert float(r.value_linear) == pytest.approx(473 / 60, rel=2e-3)
