"""Batches: arrays with a leading axis and lists of problems say what a loop says, to the bit."""

import sys

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn, sinkhorn_batch

SOLVE = {"epsilon": 0.4, "grad": True}
RNG = np.random.default_rng(3)
X, A = RNG.standard_normal((5, 7, 2)), RNG.random((5, 7)) + 0.5
Y, B = RNG.standard_normal((5, 4, 2)), RNG.random((5, 4)) + 0.5
C = RNG.random((5, 6, 6))
CASES = {
    "points and weights": (lambda k: (X[k], A[k]), {"n_marginals": 3}),
    "points alone": (lambda k: (X[k],), {"n_marginals": 2}),
    "weights alone": (lambda k: (X[0], A[k]), {"n_marginals": 3}),
    "a chain": (lambda k: (X[k], A[k]), {"n_marginals": 4, "graph": "chain", "cost": "euclidean"}),
    "a list": (lambda k: ([X[k], Y[k], X[0]], [A[k], None, A[1]]), {"cost": "sqeuclidean"}),
}


def same(one, other):
    """Whether two results say the same, to the bit."""
    for name in ("value", "value_linear", "marginal_error", "converged", "n_iter", "history"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for p, q in zip(one.potentials, other.potentials, strict=True):
        assert np.array_equal(p, q)


@pytest.fixture(autouse=True)
def on_threads(monkeypatch):
    """Small problems run one after the other; here they go on threads, too."""
    monkeypatch.setattr("deblai.multimarginal._entropic.batch.SMALL", 0.0)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_a_loop(case, threads):
    """Every entry of the batch, and its own result, are those of the problem alone; entries stop on their own."""
    of, keywords = CASES[case]
    arguments = {"points and weights": (X, A), "points alone": (X,), "weights alone": (X[0], A), "a chain": (X, A)}.get(
        case, ([X, Y, X[0]], [A, None, A[1]])
    )
    with deblai.use_backend(threads=threads):
        batch = sinkhorn(*arguments, **keywords, **SOLVE)
    assert isinstance(batch, deblai.results.MultimarginalBatch)
    assert len(batch) == 5
    loop = [sinkhorn(*of(k), **keywords, **SOLVE) for k in range(5)]
    for k, (r, own) in enumerate(zip(loop, batch, strict=True)):
        same(own, r)
        assert batch.value[k] == r.value
        assert batch.marginal_error[k] == r.marginal_error
        assert np.array_equal(batch.pair_marginal(0, 1)[k], r.pair_marginal(0, 1))
        assert np.array_equal(batch.marginal(0)[k], r.marginal(0))
        for name, gradient in r.grad.items():
            several = isinstance(gradient, list)
            for one, other in zip(
                batch.grad[name] if several else [batch.grad[name]], gradient if several else [gradient], strict=True
            ):
                assert other is None or np.array_equal(one[k], other)
    assert len(set(batch.n_iter)) > 1
    assert batch.converged.all()
    assert np.array_equal(batch.entropy, [r.entropy for r in loop])
    assert np.array_equal(batch.shannon_entropy(), [r.shannon_entropy() for r in loop])
    assert repr(batch).startswith("MultimarginalBatch(5 problems, values ")


def test_matrices():
    """One matrix, symmetric or not, and matrices by pair."""
    equal = sinkhorn(cost=C + C.transpose(0, 2, 1), n_marginals=3, **SOLVE)
    shared = sinkhorn(weights=[None, A[:, :6], None], cost=C, **SOLVE)
    pairs = sinkhorn(cost={(0, 1): C, (0, 2): C[:, :, :3], (1, 2): C[0, :, :3]}, **SOLVE)
    for k in range(5):
        same(equal[k], sinkhorn(cost=C[k] + C[k].T, n_marginals=3, **SOLVE))
        same(shared[k], sinkhorn(weights=[None, A[k, :6], None], cost=C[k], **SOLVE))
        same(pairs[k], sinkhorn(cost={(0, 1): C[k], (0, 2): C[k, :, :3], (1, 2): C[0, :, :3]}, **SOLVE))
        assert np.array_equal(pairs.grad["cost"][0, 2][k], pairs[k].grad["cost"][0, 2])


def test_warm_starts():
    """Potentials of a batch start the next one, one a problem."""
    first = sinkhorn(X, A, n_marginals=3, epsilon=0.4, tol=1e-8)
    again = sinkhorn(X, A, n_marginals=3, epsilon=0.4, tol=1e-8, init=first.potentials)
    assert (again.n_iter == 1).all()
    several = sinkhorn([X, Y], epsilon=0.4, tol=1e-8)
    assert (sinkhorn([X, Y], epsilon=0.4, tol=1e-8, init=several.potentials).n_iter == 1).all()


def test_ragged_problems():
    """Different sizes, modes, costs and epsilons, each with its own arguments over the common ones."""
    problems = [
        {"points": X[0], "weights": A[0]},
        {"points": Y[1], "n_marginals": 4, "cost": "log"},
        {"points": [X[2], Y[2]], "n_marginals": None, "epsilon": 0.2},
        {"cost": {(0, 1): C[0]}, "n_marginals": None, "max_iter": 5000},
        {"points": X[3], "graph": "chain"},
    ]
    common = {"n_marginals": 3, "epsilon": 0.5}
    found = sinkhorn_batch(problems, **common)
    for problem, r in zip(problems, found, strict=True):
        same(r, sinkhorn(**{**common, **problem}))
    assert sinkhorn_batch([], epsilon=1.0) == []


def test_answers_of_a_batch():
    """Samples have one stream of random numbers; expectations are arrays."""
    batch = sinkhorn(X, n_marginals=3, epsilon=0.4)
    tuples = batch.sample(4, rng=0)
    assert tuples.shape == (5, 4, 3)
    stream = np.random.default_rng(0)
    assert np.array_equal(tuples, [r.sample(4, rng=stream) for r in batch])
    found = batch.expectation(lambda x, y: (x - y)[:, 0] ** 2, 0, 1)
    assert np.array_equal(found.value, [r.expectation(lambda x, y: (x - y)[:, 0] ** 2, 0, 1).value for r in batch])
    assert (found.stderr == 0).all()
    assert batch.conditional_map().shape == (5, 7, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_libraries(library, dtype):
    """NumPy, PyTorch and JAX: arrays of their own, the same bits."""
    expected = sinkhorn(X.astype(dtype), A.astype(dtype), n_marginals=3, **SOLVE)
    batch = sinkhorn(library.array(X, dtype), library.array(A, dtype), n_marginals=3, **SOLVE)
    for one, other in (
        (batch.value, expected.value),
        (batch.potentials, expected.potentials),
        (batch.grad["points"], expected.grad["points"]),
        (batch.pair_marginal(), expected.pair_marginal()),
    ):
        assert isinstance(one, library.array_type)
        assert library.dtype(one) == dtype
        assert np.array_equal(library.numpy(one), other)


def test_gradients_of_pytorch():
    """A loss of all values: every problem's own gradient, whether on threads or one after the other; shared weights."""
    torch = pytest.importorskip("torch")
    a = torch.tensor(A[0], requires_grad=True)
    found = []
    for threads in (1, 2):
        x = torch.tensor(X, requires_grad=True)
        with deblai.use_backend(threads=threads):
            batch = sinkhorn(x, a, n_marginals=3, epsilon=0.4, tol=1e-10)
        assert batch.value.shape == (5,)
        found.append(torch.autograd.grad((batch.value * torch.arange(5.0)).sum(), (x, a)))
    parts = [sinkhorn(X[k], A[0], n_marginals=3, epsilon=0.4, tol=1e-10, grad=True).grad for k in range(5)]
    for by_x, by_a in found:
        assert np.allclose(by_x, [k * g["points"] for k, g in enumerate(parts)], atol=1e-13)
        assert np.allclose(by_a, sum(k * g["weights"] for k, g in enumerate(parts)), atol=1e-13)
    with torch.no_grad():
        assert not sinkhorn(torch.tensor(X, requires_grad=True), n_marginals=2, epsilon=0.4).value.requires_grad


def test_gradients_of_jax():
    """Inside jit and grad, with batched and shared arguments."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss(x, a):
        r = sinkhorn([x, jnp.asarray(Y)], [a, None], epsilon=0.4, tol=1e-10)
        assert isinstance(r, deblai.results.MultimarginalBatch)
        return (r.value * jnp.arange(5.0)).sum(), r

    (_, r), (by_x, by_a) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(jnp.asarray(X), jnp.asarray(A[0]))
    eager = sinkhorn([X, Y], [A[0], None], epsilon=0.4, tol=1e-10, grad=True)
    assert np.array_equal(r.value, eager.value)
    assert np.array_equal(r.potentials[1], eager.potentials[1])
    assert np.allclose(by_x, np.arange(5)[:, None, None] * eager.grad["points"][0], atol=1e-14)
    assert np.allclose(by_a, np.arange(5) @ eager.grad["weights"][0], atol=1e-13)
    with pytest.raises(errors.InvalidValue, match="init: expected one start of all problems"):
        jax.jit(lambda x: sinkhorn(x, n_marginals=2, epsilon=1.0, init=A).value)(jnp.asarray(X))


def test_what_has_not_converged():
    """One warning that names them; the others have."""
    with pytest.warns(
        deblai.ConvergenceWarning, match=r"sinkhorn_batch\] 1 of 3 problems have not converged \(1\)"
    ) as seen:
        batch = sinkhorn_batch(
            [{"points": X[0]}, {"points": X[1], "max_iter": 2}, {"points": X[2]}], n_marginals=2, epsilon=0.3
        )
    assert [r.converged for r in batch] == [True, False, True]
    assert [w.filename for w in seen] == [__file__]


LINE = (np.arange(120) + 0.5) / 120
LONG = {"n_marginals": 3, "epsilon": 1e-3, "tol": 0.0, "max_iter": 10**6}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_callback_sees_and_stops(threads):
    """It counts the problems that are done; True stops all of them."""
    states = []

    def watch(state):
        states.append(state)
        return len(states) == 3

    with deblai.use_backend(threads=threads), pytest.warns(deblai.ConvergenceWarning, match="have not converged"):
        batch = sinkhorn(np.stack([LINE] * 4)[..., None], callback=watch, **LONG)
    assert len(states) == 3
    assert all(s.total == 4 and s.done == 0 for s in states)
    assert not batch.converged.any()
    assert batch.n_iter[0] > 0
    assert batch.n_iter[3] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_keeps_what_was_done(threads):
    """Results that were done and those under way, None for the others."""

    def stop(state):
        if state.done:
            raise KeyboardInterrupt

    problems = [{"points": X[0], "n_marginals": 2, "epsilon": 1.0, "tol": 1e-3}, *[{"points": LINE, **LONG}] * 3]
    with (
        deblai.use_backend(threads=threads),
        pytest.raises(deblai.Interrupted, match="1 of 4 problems had") as caught,
    ):
        sinkhorn_batch(problems, callback=stop)
    assert caught.value.result[0].converged
    assert not caught.value.result[1].converged
    assert caught.value.result[3] is None


SCRIPT = """
import os, signal, threading, time, numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
x = (np.arange(120) + 0.5) / 120
sent = []
threading.Timer(0.5, lambda: (sent.append(time.perf_counter()), os.kill(os.getpid(), signal.SIGINT))).start()
try:
    with deblai.use_backend(threads=2):
        deblai.multimarginal.sinkhorn_batch([{"points": x}] * 4, n_marginals=%d, epsilon=1e-3, tol=0.0, max_iter=10**6)
except deblai.Interrupted as error:
    print(time.perf_counter() - sent[0], error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("n_marginals", [3, 9])
def test_ctrl_c(n_marginals, python):
    """Ends a batch within a second, also where no first sweep ever ends in threads that signals do not reach."""
    for _ in range(3):  # the machine may be busy
        latency, _, message = python(SCRIPT % n_marginals).stdout.partition(" ")
        if float(latency) < 1:
            break
    assert float(latency) < 1
    assert message == "[multimarginal.sinkhorn_batch] interrupted: 0 of 4 problems had converged\n"


def test_errors_name_the_problem():
    """An error of one problem ends the batch, whichever thread it is in."""
    bad = A.copy()
    bad[3, 1] = -1
    for threads in (1, 2):
        with (
            deblai.use_backend(threads=threads),
            pytest.raises(
                errors.InvalidValue,
                match=r"\[multimarginal.sinkhorn\] problem 3: weights: expected finite nonnegative weights",
            ),
        ):
            sinkhorn(X, bad, n_marginals=2, epsilon=0.3)
    with pytest.raises(
        errors.InvalidValue, match=r"\[multimarginal.sinkhorn_batch\] problem 1: epsilon: expected a pos"
    ):
        sinkhorn_batch([{"points": X[0]}, {"points": X[1], "epsilon": -1.0}], n_marginals=2, epsilon=0.3)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: sinkhorn(X, B[:3], n_marginals=2, epsilon=1.0), "weights: expected 5 problems to match points, got 3"),
        (lambda: sinkhorn([X, Y[:4]], epsilon=1.0), r"points\[1\]: expected 5 problems to match points\[0\], got 4"),
        (lambda: sinkhorn(X[:0], n_marginals=2, epsilon=1.0), "points: expected at least one problem, got none"),
        (lambda: sinkhorn_batch(X, epsilon=1.0), "problems: expected a list of dicts of arguments of sinkhorn"),
        (lambda: sinkhorn_batch([{"points": X}], epsilon=1.0), r"problems\[0\]: expected one problem, not a batch"),
        (lambda: sinkhorn_batch([{}, {"point": 1}]), r"problems\[1\]: expected arguments of sinkhorn, got 'point'"),
        (lambda: sinkhorn_batch([{"callback": print}]), r"problems\[0\]: expected one problem without a callback"),
    ],
)
def test_bad_input(ask, message):
    """Designed errors."""
    with pytest.raises(errors.DeblaiError, match=message):
        ask()


def test_small_problems_run_one_after_the_other(monkeypatch):
    """Threads that all wait for Python gain nothing: only problems of many tuples are shared out."""
    monkeypatch.undo()
    seen = []
    inner = deblai.multimarginal._entropic.batch._side_by_side
    monkeypatch.setattr(
        "deblai.multimarginal._entropic.batch._side_by_side", lambda *given: (seen.append(given[1]), inner(*given))[1]
    )
    rng = np.random.default_rng(0)
    with deblai.use_backend(threads=2):
        for n in (9, 40):
            x = rng.random((2, n, 2))
            batch = deblai.multimarginal.sinkhorn(x, n_marginals=3, epsilon=0.5)
            alone = [deblai.multimarginal.sinkhorn(y, n_marginals=3, epsilon=0.5).value for y in x]
            assert list(batch.value) == alone
    assert [len(p[0]["points"]) for p in seen] == [40]
