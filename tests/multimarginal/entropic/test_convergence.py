"""The way to the minimum: annealing, Newton's steps, sweeps; what each promises and what the history says."""

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn
from deblai.multimarginal._entropic import newton as _newton
from deblai.multimarginal._entropic.path import ladder
from deblai.multimarginal._problem import problem
from deblai.multimarginal._runners import runner

RNG = np.random.default_rng(7)
LINE, CLOUD = (np.arange(48) + 0.5) / 48, RNG.standard_normal((40, 2))
PROBLEMS = {
    "line": ((LINE, None), {"n_marginals": 3}),
    "uneven line": ((LINE, RNG.random(48) + 0.01), {"n_marginals": 3}),
    "uneven line of two": ((LINE, RNG.random(48) + 0.01), {"n_marginals": 2}),
    "cloud": ((CLOUD, None), {"n_marginals": 3}),
    "clouds": (([CLOUD, CLOUD[:31] + 0.2, CLOUD[5:30] * 1.5], None), {}),
    "attraction": (([CLOUD, CLOUD[:31] + 0.2, CLOUD[5:30] * 1.5], None), {"cost": "sqeuclidean"}),
    "repulsion": ((LINE, None), {"n_marginals": 3, "cost": "repulsive-harmonic"}),
    "four": ((CLOUD[:16], None), {"n_marginals": 4}),
}


@pytest.mark.parametrize("epsilon", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_default_way_is_short(name, epsilon):
    """Marginal error 1e-8 within 200 sweeps and steps, where sweeps alone need thousands at the smallest epsilon."""
    given, more = PROBLEMS[name]
    r = sinkhorn(*given, epsilon=epsilon, tol=1e-8, max_iter=200, **more)
    assert r.converged
    assert r.marginal_error <= 1e-8
    assert r.history.shape == (r.n_iter, 3)


@pytest.mark.parametrize("name", ["uneven line", "clouds", "attraction"])
def test_all_ways_end_in_the_same_place(name):
    """Sweeps alone, with and without annealing, and Newton's steps: the same value and potentials."""
    given, more = PROBLEMS[name]
    solve = {"epsilon": 0.1, "tol": 1e-10} | more
    expected = sinkhorn(*given, method="sinkhorn", annealing=False, **solve)
    for way in (
        {"method": "sinkhorn", "annealing": True},
        {"method": "newton", "annealing": False},
        {"method": "newton", "annealing": [3.0, 0.5]},
        {},
    ):
        found = sinkhorn(*given, **way, **solve)
        assert found.converged
        assert float(found.value) == pytest.approx(float(expected.value), abs=1e-10)
        for f, g in zip(_list(found), _list(expected), strict=True):
            assert np.allclose(f, g, atol=1e-6)


def _list(r):
    return r.potentials if isinstance(r.potentials, list) else [r.potentials]


def test_history_says_which_epsilon():
    """A row a sweep or Newton step; its epsilon falls down the ladder to the one wanted."""
    r = sinkhorn(LINE, n_marginals=3, epsilon=0.01, annealing=[1.0, 0.1])
    rungs = r.history[:, 2]
    assert set(rungs) == {1.0, 0.1, 0.01}
    assert (np.diff(rungs) <= 0).all()
    assert r.history[-1, 0] <= 1e-6
    plain = sinkhorn(LINE, n_marginals=3, epsilon=0.01, annealing=False)
    assert set(plain.history[:, 2]) == {0.01}


def test_ladder():
    """It halves down to epsilon from twice a tenth of the cost's spread; none where epsilon is large, or one warm."""
    q = problem("test", LINE, None, 3, "coulomb", 1e-3)
    rungs = ladder(q)
    assert len(rungs) > 5
    assert all(a == 2 * b for a, b in zip(rungs, (*rungs[1:], 1e-3), strict=True))
    assert ladder(q._replace(epsilon=10.0)) == ()
    r = sinkhorn(LINE, n_marginals=3, epsilon=0.01)
    again = sinkhorn(LINE, n_marginals=3, epsilon=0.01, init=r.potentials)
    assert set(again.history[:, 2]) == {0.01}
    assert again.n_iter <= 2
    anew = sinkhorn(LINE, n_marginals=3, epsilon=0.01, init=r.potentials, annealing=True)
    assert anew.history[0, 2] > 0.01


def test_few_steps_do_not_anneal():
    """What max_iter = 50 allows belongs to the epsilon that was asked for, and so does what a stop leaves."""
    with pytest.warns(deblai.ConvergenceWarning):
        r = sinkhorn(LINE, n_marginals=3, epsilon=1e-4, max_iter=50, tol=0.0)
    assert r.n_iter == 50
    assert set(r.history[:, 2]) == {1e-4}
    x = (np.arange(400) + 0.5) / 400
    stopped = sinkhorn(x, n_marginals=3, epsilon=1e-4, tol=0.0, max_iter=10**6, callback=lambda s: True)
    assert not stopped.converged
    assert stopped.history[-1, 2] == 1e-4
    assert np.isfinite(float(stopped.value))


@pytest.mark.parametrize("name", ["uneven line", "four", "clouds"])
def test_the_correction_has_the_marginals(name):
    """plan (1 + d_1 + ... + d_N) has the marginals exactly, of potentials that are far from right."""
    given, more = PROBLEMS[name]
    q = problem("test", *given, more.get("n_marginals"), "coulomb", 0.3)
    run, f = runner(q), np.zeros(sum(q.sizes))
    run.sweeps(f, 3, 0.0, 0, None)
    wanted = _newton.masses(q)
    e = run.evaluate(f, False, True)
    system = _newton.system(q, run, f, e, wanted)
    assert np.allclose(system.marginals, e.marginals, atol=1e-14)
    assert e.marginal_error > 1e-3
    d = system.correction(wanted - e.marginals)
    with deblai.use_backend("reference"):
        plan = sinkhorn(*given, n_marginals=more.get("n_marginals"), epsilon=0.3, init=_parts(q, f), max_iter=0).plan()
    parts = _parts(q, d) if not q.symmetric else [d] * q.n_marginals
    total = sum(v.reshape([-1 if k == p else 1 for k in range(plan.ndim)]) for p, v in enumerate(parts))
    corrected, targets = plan * (1 + total), _parts(q, wanted) if not q.symmetric else [wanted] * q.n_marginals
    for p, a in enumerate(targets):
        others = tuple(k for k in range(plan.ndim) if k != p)
        assert np.allclose(corrected.sum(axis=others), a, atol=1e-12)


def _parts(q, flat):
    return flat if q.symmetric else np.split(flat, np.cumsum(q.sizes)[:-1])


def test_points_without_weight_get_potentials():
    """Newton's steps cannot move them; they end where sweeps put them, -epsilon log of the sum over the others."""
    a = np.ones(48)
    a[[0, 7, 30]] = 0
    for given, more in (((LINE, a), {"n_marginals": 3}), (([LINE, LINE], [a, a]), {})):
        solve = {"epsilon": 0.05, "tol": 1e-11} | more
        swept = sinkhorn(*given, method="sinkhorn", annealing=False, **solve)
        found = sinkhorn(*given, **solve)
        assert np.allclose(np.ravel(found.potentials), np.ravel(swept.potentials), atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_newton_in_either_precision(dtype):
    """float32 converges to its own tolerance, and the dtype comes out."""
    given, more = PROBLEMS["uneven line"]
    r = sinkhorn(given[0].astype(dtype), given[1].astype(dtype), epsilon=0.02, **more)
    assert r.converged
    assert r.potentials.dtype == dtype
    assert r.n_iter < 150


def test_libraries_take_the_same_way(library):
    """Method, annealing and gap reach every library's own adapter."""
    solve = {"n_marginals": 3, "epsilon": 0.02, "method": "newton", "annealing": [0.5, 0.1], "gap": 1e-6}
    expected = sinkhorn(LINE, **solve)
    found = sinkhorn(library.array(LINE), **solve)
    assert found.converged
    assert found.n_iter == expected.n_iter
    assert np.array_equal(library.numpy(found.potentials), expected.potentials)


BAD = {
    "method": ({"method": "fast"}, errors.InvalidValue, r"method: expected one of .*'newton'.*, got 'fast'"),
    "annealing": ({"annealing": 3.0}, errors.InvalidType, r"annealing: expected 'auto', True, False or decreasing"),
    "annealing rises": ({"annealing": [0.5, 0.7]}, errors.InvalidValue, r"annealing: expected numbers that decrease"),
    "annealing below": (
        {"annealing": [0.05]},
        errors.InvalidValue,
        r"annealing: .* towards epsilon = 0.1, got \[0.05\]",
    ),
    "gap": ({"gap": 0.0}, errors.InvalidValue, r"gap: expected a positive number, got 0.0"),
    "gap of text": ({"gap": "small"}, errors.InvalidType, r"gap: expected a number, got 'small'"),
}


@pytest.mark.parametrize("name", BAD)
def test_designed_errors(name):
    """Function, argument, what came and what was wanted."""
    more, kind, message = BAD[name]
    with pytest.raises(kind, match=r"\[multimarginal.sinkhorn\] " + message):
        sinkhorn(LINE, n_marginals=2, epsilon=0.1, **more)


def test_newton_that_would_not_fit():
    """Too many potentials for the linear system: an error that says so, while "auto" sweeps."""
    x = RNG.random(_newton.LIMIT + 1)
    with pytest.raises(errors.InvalidValue, match=r"method: expected at most 3000 potentials .* got 3001; use 'auto'"):
        sinkhorn(x, n_marginals=2, epsilon=1.0, method="newton")
    assert sinkhorn(x, n_marginals=2, cost="sqeuclidean", epsilon=1.0).converged
