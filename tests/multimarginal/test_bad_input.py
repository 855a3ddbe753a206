"""Bad input: errors that name function, argument, what came and what was wanted."""

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn

X = np.random.default_rng(0).random((5, 2))
Y = np.random.default_rng(1).random((4, 2))
C = np.random.default_rng(2).random((5, 5))
EQUAL = {"n_marginals": 3, "epsilon": 0.5}
TWO = {"epsilon": 0.5}


def changed(x, index, value):
    x = x.copy()
    x[index] = value
    return x


VALUE, TYPE = errors.InvalidValue, errors.InvalidType
CASES = {
    "no epsilon": ((X,), {"n_marginals": 3, "epsilon": 0.0}, VALUE, "epsilon: expected a positive number, got 0.0"),
    "nan epsilon": ((X,), {"n_marginals": 3, "epsilon": np.nan}, VALUE, "epsilon: expected a finite number"),
    "text epsilon": ((X,), {"n_marginals": 3, "epsilon": "small"}, TYPE, "epsilon: expected a number, got 'small'"),
    "no number of marginals": ((X,), TWO, VALUE, "n_marginals: expected the number of equal marginals"),
    "one marginal": ((X,), {"n_marginals": 1, "epsilon": 1.0}, VALUE, "n_marginals: expected at least 2, got 1"),
    "list of one": (([X],), TWO, VALUE, "points: expected at least 2 marginals, got 1"),
    "list of another length": (([X, Y],), EQUAL, VALUE, "points: expected 3 marginals, got 2"),
    "half a marginal": ((X,), {"n_marginals": 2.5, "epsilon": 1.0}, TYPE, "n_marginals: expected a positive integer"),
    "four dimensions": (
        (X[None, None],),
        EQUAL,
        VALUE,
        r"points: expected shape \(n, d\) or \(n,\), got \(1, 1, 5, 2\)",
    ),
    "no points": (([X, Y[:0]],), TWO, VALUE, r"points\[1\]: expected at least one point, got shape \(0, 2\)"),
    "coordinates": (([X, Y[:, :1]],), TWO, VALUE, r"points\[1\]: expected 2 coordinates to match points\[0\], got 1"),
    "nan": (
        ([X, changed(Y, (2, 1), np.nan)],),
        TWO,
        VALUE,
        r"points\[1\]: expected finite values, got nan at",
    ),
    "inf": ((changed(X, (0, 0), np.inf),), EQUAL, VALUE, r"points: expected finite values, got inf at \[0, 0\]"),
    "squares that overflow": (
        ([X, changed(Y, (0, 1), 1e200)],),
        TWO,
        VALUE,
        r"points\[1\]: expected coordinates up to 7.1e\+152, whose squares are finite, got 1e\+200",
    ),
    "dtype": (([X, Y.astype("f4")],), TWO, TYPE, r"points\[1\]: expected float64 to match points\[0\], got float32"),
    "complex": ((X + 1j,), EQUAL, TYPE, "points: expected float32 or float64, got complex128"),
    "text points": (("points",), EQUAL, TYPE, "points: expected an array of NumPy, PyTorch, JAX or CuPy"),
    "few weights": ((X, np.ones(4)), EQUAL, VALUE, r"weights: expected 5 values to match points, got shape \(4,\)"),
    "weights of one": (
        ([X, Y], [np.ones(5), np.ones(3)]),
        TWO,
        VALUE,
        r"weights\[1\]: expected 4 values to match",
    ),
    "weights for two": (([X, Y], np.ones(5)), TWO, VALUE, "weights: expected a list of 2, one a marginal, got ndarray"),
    "negative": ((X, changed(np.ones(5), 3, -1)), EQUAL, VALUE, "weights: expected finite nonnegative weights"),
    "no mass": ((X, np.zeros(5)), EQUAL, VALUE, "weights: expected a positive finite total mass, got 0"),
    "unknown cost": ((X,), {"cost": "yukawa", **EQUAL}, VALUE, "cost: expected one of 'coulomb', 'log', 'euclidean'"),
    "cost of points": ((X,), {"cost": C, **EQUAL}, TYPE, r"cost: expected a name or .* beside points, got .* \(5, 5\)"),
    "costs of points": (
        (X,),
        {"cost": {(0, 1): C}, **EQUAL},
        TYPE,
        "cost: expected a name .* beside points, got a dict",
    ),
    "tiny epsilon": ((X,), {"n_marginals": 3, "epsilon": 1e-300}, VALUE, "epsilon: expected a number from 1e-250 to"),
    "huge epsilon": (
        (X.astype("f4"),),
        {"n_marginals": 3, "epsilon": 1e31},
        VALUE,
        r"epsilon: expected a number from 1e-30 to 1e\+30, .* got 1e\+31",
    ),
    "hours": (
        ([np.zeros((2, 1))] * 60,),
        {"cost": "sqeuclidean", "epsilon": 1.0},
        VALUE,
        r"n_marginals: expected at most 1e\+15 tuples to a sweep on the complete graph, got 3.5e\+19, which take hours",
    ),
    "two axes of weights": (
        (X, np.ones((5, 1))),
        EQUAL,
        VALUE,
        r"weights: expected \(5,\), or \(B, 5\) for a batch, got shape \(5, 1\)",
    ),
    "text init": ((X,), {"init": "a", **EQUAL}, TYPE, "init: expected 5 numbers for marginal 0, got 'a'"),
    "callback": ((X,), {"callback": 3, **EQUAL}, TYPE, "callback: expected a function of a SinkhornState, got 3"),
    "no points for a name": ((), EQUAL, VALUE, "points: expected points for the cost 'coulomb', got None"),
    "square": ((), {"cost": C[:4], **EQUAL}, VALUE, r"cost: expected shape \(4, 4\), got \(4, 5\)"),
    "vector": ((), {"cost": C[0], **EQUAL}, VALUE, r"cost: expected a matrix \(n, m\), got \(5,\)"),
    "asymmetric": ((), {"cost": C, **EQUAL}, VALUE, "cost: expected a symmetric matrix for equal marginals"),
    "nan matrix": (
        (),
        {"cost": {(0, 1): changed(C, 2, np.nan)}, **TWO},
        VALUE,
        "cost.*: expected numbers or .inf, got",
    ),
    "-inf matrix": ((), {"cost": {(0, 1): -np.inf * C}, **TWO}, VALUE, "cost.*: expected numbers or .inf, got -inf"),
    "missing pair": (
        (),
        {"cost": {(0, 1): C, (0, 2): C}, "graph": "complete", **TWO},
        VALUE,
        r"a matrix for each edge of the graph, \[\(0, 1\), \(0, 2\), \(1, 2\)\], got the keys",
    ),
    "sizes of pairs": (
        (),
        {"cost": {(0, 1): C, (0, 2): C, (1, 2): C[:4]}, **TWO},
        VALUE,
        r"cost\[1, 2\]: expected shape \(5, 5\), got \(4, 5\)",
    ),
    "tol": ((X,), {"tol": -1.0, **EQUAL}, VALUE, "tol: expected a nonnegative number, got -1.0"),
    "max_iter": ((X,), {"max_iter": -1, **EQUAL}, VALUE, "max_iter: expected a nonnegative integer, got -1"),
    "memory": ((X,), {"memory": 1.5, **EQUAL}, TYPE, "memory: expected a nonnegative integer, got 1.5"),
    "init": (
        (X,),
        {"init": np.zeros(4), **EQUAL},
        VALUE,
        r"init: expected 5 finite values for marginal 0",
    ),
    "inits": (([X, Y],), {"init": [np.zeros(5)], **TWO}, VALUE, "init: expected 2 potentials, got 1"),
    "grad name": ((X,), {"grad": "epsilon", **EQUAL}, VALUE, "grad: expected names among"),
    "grad not given": ((X,), {"grad": "weights", **EQUAL}, VALUE, "'weights' was not given, so it has no gradient"),
    "riesz": ((X,), {"cost": "riesz", **EQUAL}, VALUE, "cost: expected one of"),
    "nobody to meet": (
        (np.array([0.0, 1.0]),),
        EQUAL,
        VALUE,
        r"weights: expected at most 1/3 of the mass at a point whose cost with itself is infinite, got 0.5\d* at \[0\]",
    ),
    "too heavy": (
        (np.arange(3.0), [3.0, 1.0, 1.0]),
        {"n_marginals": 2, "epsilon": 1.0},
        VALUE,
        r"weights: expected at most 1/2 of the mass at a point .* got 0.6\d* at \[0\]",
    ),
    "one that can meet nobody": (
        (),
        {"cost": {(0, 1): changed(C, 2, np.inf)}, **TWO},
        VALUE,
        "cost: point 2 of marginal 0 has infinite cost with all choices of the others",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_designed_errors(case):
    """Each names the function and the argument, says what was expected and what came."""
    arguments, keywords, kind, message = CASES[case]
    with pytest.raises(kind, match=message) as caught:
        sinkhorn(*arguments, **keywords)
    assert str(caught.value).startswith("[multimarginal.sinkhorn] ")


@pytest.mark.parametrize("case", ["nan", "negative", "no mass", "nan matrix"])
def test_the_reference_refuses_the_same(case):
    """Entries are checked on every backend."""
    arguments, keywords, kind, _ = CASES[case]
    with deblai.use_backend("reference"), pytest.raises(kind, match=r"\[multimarginal.sinkhorn\]"):
        sinkhorn(*arguments, **keywords)


@pytest.mark.parametrize("s", [0.0, -1.0, np.inf])
def test_riesz_exponents(s):
    """Positive and finite."""
    with pytest.raises(VALUE, match=r"\[costs.Riesz\] s: expected a"):
        deblai.costs.Riesz(s)


def test_mixed_libraries(get):
    """A NumPy array among PyTorch's."""
    torch = get("torch")
    with pytest.raises(TYPE, match=r"points\[1\]: expected a PyTorch array to match points\[0\], got a NumPy array"):
        sinkhorn([torch.array(X), Y], epsilon=0.5)


def test_not_converged_says_so():
    """A warning with figures, converged=False, and an honest marginal error."""
    x = (np.arange(30) + 0.5) / 30
    with pytest.warns(
        deblai.ConvergenceWarning, match=r"marginal error is .* after 3 steps, which does not meet tol 1e-06"
    ):
        r = sinkhorn(x, n_marginals=3, epsilon=0.01, max_iter=3)
    assert not r.converged
    assert r.n_iter == 3
    assert "NOT converged" in repr(r)
    plan = r.plan().sum(axis=(1, 2))
    assert r.marginal_error == pytest.approx(np.abs(plan - 1 / 30).sum(), rel=1e-9)


def test_a_run_that_does_not_fit():
    """Says how much memory it would take, before it starts."""
    points = [np.broadcast_to(np.zeros((1, 1)), (300_000, 1)) for _ in range(3)]
    with pytest.raises(errors.OutOfMemory, match=r"the workspace would take \d+\.\d GiB"):
        sinkhorn(points, cost="sqeuclidean", epsilon=0.5)


def test_pair_marginal_arguments():
    """Two different marginals that are there."""
    r = sinkhorn(X, **EQUAL)
    for p, q in ((0, 3), (-1, 1), (0, 0.5)):
        with pytest.raises(VALUE, match="expected an integer from 0 to 2"):
            r.pair_marginal(p, q)
    with pytest.raises(VALUE, match=r"\[multimarginal.pair_marginal\] p, q: expected two different .*, got 1 twice"):
        r.pair_marginal(1, 1)
    assert np.array_equal(r.pair_marginal(*np.arange(2)), r.pair_marginal(0, 1))  # NumPy's integers are integers


def test_marginals_too_far_off_for_a_certificate():
    """float32 at an epsilon where every exponential is 0 or 1: no plan, no exception, valid bounds."""
    x = ((np.arange(30) + 0.5) / 30).astype("f4")
    with pytest.warns(deblai.ConvergenceWarning):
        r = sinkhorn(x, n_marginals=3, epsilon=1e-12, max_iter=200, certify=True)
    assert not r.converged
    assert r.lower <= 7.5 * (1 + 1e-7)
    assert r.upper >= 7.5 * (1 - 1e-7)


def test_a_batch_without_epsilon():
    """Names the problem."""
    with pytest.raises(VALUE, match=r"\[multimarginal.sinkhorn_batch\] problems\[0\]: expected an epsilon"):
        deblai.multimarginal.sinkhorn_batch([{"points": X, "n_marginals": 2}])
