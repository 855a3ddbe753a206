"""Genetic column generation: known values, the linear program, certificates, starts, interrupts."""

import json
import sys

import deblai
import numpy as np
import pytest
from deblai import _core, _dlpack
from deblai.errors import InvalidType, InvalidValue
from deblai.multimarginal import genetic, linear_program, seidl
from deblai.reference import columns as reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("highspy", reason="the extra 'exact' is not installed")


def midpoints(n):
    return (np.arange(n) + 0.5) / n


def ring():
    """A ring of density on 12 x 12 points of the plane."""
    g = np.linspace(-2, 2, 12)
    x = np.stack(np.meshgrid(g, g), -1).reshape(-1, 2)
    return x, np.exp(-4 * (np.hypot(*x.T) - 1.3) ** 2)


@pytest.mark.parametrize("init", ["auto", "random"])
def test_ten_electrons_on_a_hundred_points(init):
    """T1: N (N H_{N-1} - N + 1) = 192.89682540 for N = 10, 100 midpoints, to 1e-9, from random starts as well."""
    r = genetic(midpoints(100), n_marginals=10, init=init, rng=0)
    truth = 10 * (10 * sum(1 / k for k in range(1, 10)) - 9)
    assert float(r.value) == pytest.approx(truth, rel=1e-11)
    assert r.certified
    assert r.converged
    assert r.lower <= truth * (1 + 1e-15)
    assert r.upper - r.lower < 1e-9 * truth
    assert r.n_iter == len(r.history)
    assert (r.history[:, 1] <= 5 * 100 + 100).all()
    if init == "random":
        assert r.n_iter > 10
        assert r.history[0, 0] > 1.5 * truth


@pytest.mark.parametrize(("N", "truth"), [(2, 2.564774018), (3, 9.265818059)])
def test_published_density(N, truth):
    """T18: .2 + sin^2(pi i / 21) on linspace(0, 1, 20), (.01 + r^2)^(-1/2), whose diagonal is finite."""
    x, i = np.linspace(0, 1, 20), np.arange(1, 21)
    C = (0.01 + (x[:, None] - x) ** 2) ** -0.5
    r = genetic(cost=C, weights=0.2 + np.sin(np.pi * i / 21) ** 2, n_marginals=N, rng=0, init="random")
    assert float(r.value) == pytest.approx(truth, abs=1e-9)
    assert r.certified


def test_small_truths():
    """T15: 473/60; T16: 5/2; T19: -18 for the repulsive harmonic cost on {-2..2}, N = 3, where points may meet."""
    assert float(genetic(midpoints(7), n_marginals=3, init="random", rng=1).value) == pytest.approx(473 / 60, rel=1e-12)
    assert float(genetic(midpoints(3), n_marginals=2).value) == pytest.approx(2.5, rel=1e-12)
    r = genetic(np.arange(-2.0, 3.0), n_marginals=3, cost="repulsive-harmonic", rng=0)
    assert float(r.value) == pytest.approx(-18, abs=1e-10)
    assert r.certified


def test_four_particles_in_the_plane():
    """A ring of density: certified; its three particles agree with the linear program over all 487 000 tuples."""
    x, w = ring()
    r = genetic(x, w, n_marginals=4, rng=0)
    assert float(r.value) == pytest.approx(2.746622348, abs=1e-8)  # the linear program over 1.7e7 tuples, once
    assert r.certified
    assert r.upper - r.lower < 1e-8
    assert len(r.masses) <= 144
    other = genetic(x, w, n_marginals=4, rng=5, init="random")
    assert float(other.value) == pytest.approx(float(r.value), rel=1e-9)


@given(st.integers(2, 4), st.integers(0, 10**6), st.sampled_from(["finite", "diagonal", "more"]))
@settings(max_examples=100)
def test_it_is_the_linear_program(N, seed, infinite):
    """Random symmetric matrices of both signs: value and bounds of the linear program, or its error."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 8))
    C = rng.standard_normal((n, n))
    C = C + C.T
    w = rng.random(n) + (rng.random(n) < 0.8)
    w[rng.random(n) < 0.15] = 0
    assume(w.sum() > 0)
    if infinite != "finite":
        np.fill_diagonal(C, np.inf)
    if infinite == "more":
        holes = rng.random((n, n)) < 0.15
        C[holes | holes.T] = np.inf
    try:
        expected = linear_program(cost=C, weights=w, n_marginals=N)
    except InvalidValue:
        with pytest.raises(InvalidValue, match=r"no plan (has a|of) finite cost"):
            genetic(cost=C, weights=w, n_marginals=N, rng=0)
        return
    r = genetic(cost=C, weights=w, n_marginals=N, rng=0)
    assert float(r.value) == pytest.approx(float(expected.value), abs=1e-8)
    assert r.certified
    assert r.lower - 1e-9 <= float(expected.value) <= r.upper + 1e-9
    assert r.upper - r.lower < 1e-7
    # The potential lies below every tuple's cost, where there is no mass as well.
    f = r.potentials
    least, _ = reference.least(np.where(np.isfinite(C), C, 1e9), f, N)
    assert least > -1e-10 * max(1.0, np.abs(f).max())
    assert N * (w / w.sum()) @ f == pytest.approx(r.lower, abs=1e-9)


def test_bounds_without_a_certificate():
    """With no budget for branch and bound, the line's proof aside: still a valid bound, and it says so."""
    x, w = ring()
    r = genetic(x[::4], w[::4], n_marginals=7, rng=0, budget=3000, restarts=0)
    assert not r.certified
    assert 0.3 * float(r.value) < r.lower < float(r.value)
    two = genetic(x[::4], w[::4], n_marginals=2, rng=0)
    assert r.lower >= 21 * two.lower * (1 - 1e-12)  # OT_7 >= 21 OT_2
    bare = genetic(x[::4], w[::4], n_marginals=4, rng=0, certify=False)
    assert bare.lower == -np.inf
    assert not bare.certified


def test_starts():
    """Tuples of the caller, those of a result; the same seed gives the same plan."""
    x = np.random.default_rng(3).standard_normal((40, 2))
    r = genetic(x, n_marginals=5, rng=0, certify=False)
    again = genetic(x, n_marginals=5, rng=0, certify=False)
    assert np.array_equal(r.tuples, again.tuples)
    assert np.array_equal(r.masses, again.masses)
    warm = genetic(x, n_marginals=5, rng=0, certify=False, init=r)
    assert warm.n_iter < r.n_iter
    assert float(warm.value) <= float(r.value) * (1 + 1e-10)
    assert warm.history[0, 0] == pytest.approx(float(r.value), rel=1e-9)
    listed = genetic(x, n_marginals=5, rng=0, certify=False, init=np.asarray(r.tuples)[:, ::-1])
    assert np.array_equal(listed.history, warm.history)


@pytest.mark.parametrize("beta", [2.0, 3.0, 8.0])
def test_the_tail_is_cleared(beta):
    """No more than beta n columns stay before n new ones come; the optimum is met whatever beta."""
    r = genetic(midpoints(30), n_marginals=3, init="random", rng=0, beta=beta)
    assert float(r.value) == pytest.approx(7.5, rel=1e-10)
    assert r.history[:, 1].max() <= beta * 30 + 30


def test_reference_backend():
    """NumPy's prices lead to the same optimum."""
    x = np.random.default_rng(0).standard_normal((12, 2))
    with deblai.use_backend("reference"):
        r = genetic(x, n_marginals=3, rng=0)
        assert not genetic(x, n_marginals=5, rng=0, budget=10).certified
    assert r.backend == "reference"
    assert r.certified
    assert float(r.value) == pytest.approx(float(linear_program(x, n_marginals=3).value), rel=1e-9)


@given(st.integers(2, 5), st.integers(0, 10**6), st.sampled_from(["finite", "diagonal", "more"]))
@settings(max_examples=40)
def test_prices_are_those_of_the_reference(N, seed, infinite):
    """Moves of one and of two particles, and the minimum by branch and bound."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    C = rng.standard_normal((n, n))
    C, f = C + C.T, rng.standard_normal(n)
    if infinite != "finite":
        np.fill_diagonal(C, np.inf)
    if infinite == "more":
        C[0, 1] = C[1, 0] = C[2, 0] = C[0, 2] = np.inf
    parents = rng.integers(0, n, (40, N)).astype(np.int32)
    parents = np.ascontiguousarray(parents[np.isfinite(reference.tuple_costs(C, parents))])
    assume(len(parents))
    view = _dlpack.view
    for pairs, oracle, wide in ((False, reference.price, N), (True, reference.price_pairs, 4)):
        gain, to = np.empty((len(parents), 1 if pairs else N)), np.empty((len(parents), wide), np.int32)
        assert _core.columns_price(view(C), view(f), view(parents), pairs, view(gain, True), view(to, True), 2)
        expected, where = oracle(C, f, parents)
        assert np.allclose(gain, expected, atol=1e-12)
        if not pairs:
            assert np.array_equal(to, where)
    least, _ = reference.least(C, f, N)
    assume(np.isfinite(least))
    problem = ([None], [None], [view(C)], [n], N, 0, 1.0, 1.0, 1.0, None)
    wanted = (10**6, least + 0.5, True)
    lower, best, exact, _, _, values, tuples = _core.multimarginal_minimum(*problem, view(f, True), *wanted, 2, "")
    assert exact
    assert lower == best == pytest.approx(least, abs=1e-12)
    tuples = np.array(tuples).reshape(-1, N)
    assert np.allclose(reference.tuple_costs(C, tuples) - f[tuples].sum(1), values, atol=1e-12)


def test_libraries_and_dtypes(library):
    """Arrays of the caller's library and dtype."""
    x = np.random.default_rng(0).standard_normal((8, 2))
    for dtype in ("float32", "float64"):
        r = genetic(library.array(x, dtype), n_marginals=3, rng=0)
        expected = genetic(x.astype(dtype), n_marginals=3, rng=0)
        assert library.is_scalar(r.value)
        for array in (r.potentials, r.masses, r.pair_marginal()):
            assert isinstance(array, library.array_type)
            assert library.dtype(array) == dtype
        assert np.array_equal(library.numpy(r.tuples), expected.tuples)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"points": midpoints(3), "n_marginals": 4}, InvalidValue, "weights: expected at most 1/4 of the mass"),
        ({"points": midpoints(3), "n_marginals": 1}, InvalidValue, "n_marginals: expected at least 2"),
        ({"points": [midpoints(3)] * 2, "n_marginals": 2}, InvalidType, "points: expected one array"),
        ({"points": midpoints(9), "n_marginals": 2, "beta": 1.5}, InvalidValue, "beta: expected at least 2"),
        ({"points": midpoints(9), "n_marginals": 2, "tol": -1.0}, InvalidValue, "tol: expected a nonnegative"),
        ({"points": midpoints(9), "n_marginals": 2, "init": "best"}, InvalidValue, "init: expected 'auto', 'random'"),
        (
            {"points": midpoints(9), "n_marginals": 2, "init": [[0, 1, 2]]},
            InvalidValue,
            r"init: expected integer tuples",
        ),
        ({"points": midpoints(9), "n_marginals": 2, "init": [[0, 9]]}, InvalidValue, "init: expected indices from 0"),
        ({"points": midpoints(9), "n_marginals": 2, "certify": 1}, InvalidType, "certify: expected True or False"),
        ({"points": midpoints(9), "n_marginals": 2, "rng": "x"}, InvalidType, "rng: expected None"),
        ({"points": midpoints(9), "n_marginals": 2, "callback": 1}, InvalidType, "callback: expected a function"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=r"\[multimarginal.genetic\] .*" + message):
        genetic(**arguments)


def test_a_callback_sees_and_stops(monkeypatch):
    """It sees programs, falling values, columns, the bound where it is known; True stops without a warning."""
    monkeypatch.setattr(deblai.multimarginal._exact.search, "REPORT_EVERY", 0.0)
    seen = []
    solve = {"n_marginals": 4, "init": "random", "rng": 0}
    r = genetic(midpoints(40), callback=lambda s: seen.append(s) or len(seen) == 8, **solve)
    assert not r.converged
    assert r.n_iter == 8 == seen[-1].iteration
    assert np.diff([s.value for s in seen]).max() <= 1e-9
    assert all(s.lower == seidl(midpoints(40), n_marginals=4).lower for s in seen)
    assert r.lower < float(r.value) == pytest.approx(seen[-1].value, rel=1e-12)
    with pytest.warns(deblai.ConvergenceWarning, match="not converged after 3 linear programs"):
        genetic(midpoints(40), max_iter=3, **solve)


SCRIPT = """
import json, os, signal, threading, time
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).standard_normal((400, 3))
deblai.multimarginal.genetic(x[:5], n_marginals=2)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    deblai.multimarginal.genetic(x, n_marginals=20, init="random", rng=0)
except KeyboardInterrupt as error:
    r = error.result
    spread = np.bincount(r.tuples.ravel(), np.repeat(r.masses, 20) / 20, 400)
    print(json.dumps(dict(kind=type(error).__name__, n=r.n_iter, value=float(r.value), converged=r.converged,
                          certified=r.certified, error=float(np.abs(spread - 1 / 400).sum()), message=str(error))))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_keeps_the_best_plan(python):
    """The result of the last linear program: its plan has the marginals."""
    said = json.loads(python(SCRIPT).stdout)
    assert said["kind"] == "Interrupted"
    assert said["n"] > 0
    assert not said["converged"]
    assert said["error"] < 1e-9
    assert np.isfinite(said["value"])
    assert said["message"] == f"[multimarginal.genetic] interrupted after {said['n']} linear programs"
