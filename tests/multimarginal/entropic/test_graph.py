"""Costs on any graph of pairs: against the whole tensor, the complete graph, closed forms; what is refused."""

import json
import sys
import warnings
from itertools import combinations, permutations

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn
from deblai.multimarginal._plans.graph import sample_graph
from hypothesis import given
from hypothesis import strategies as st

GRAPHS = {
    "chain": "chain",
    "ring": "ring",
    "star": "star",
    "tree": [(1, 0), (1, 3), (3, 2)],
    "K4 without an edge": [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)],
    "two parts": [(0, 2), (3, 1)],
    "one alone": [(0, 2), (2, 3)],
    "nothing": [],
}
SIZES = (5, 7, 4, 6)
RING = [(0, 1), (1, 2), (2, 3), (0, 3)]


def clouds(dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    points = [rng.standard_normal((n, 2)).astype(dtype) for n in SIZES]
    weights = [(rng.random(n) + 0.1).astype(dtype) for n in SIZES]
    weights[1][0] = 0.0
    return points, weights


def numbers(r):
    """Everything that a result says, as float64; pairs with and without an edge."""
    flat = [r.value, r.value_linear, *r.potentials, *r.grad.get("points", []), *r.grad.get("weights", [])]
    pairs = [r.pair_marginal(p, q) for p in range(r.n_marginals) for q in range(p)]
    return [np.asarray(v, np.float64) for v in (*flat, *pairs)]


def close(one, other, tolerance):
    for a, b in zip(one, other, strict=True):
        assert np.abs(a - b).max() <= tolerance * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_levels_and_reference_agree(graph, dtype, level):
    """At the same potentials: {reference, baseline, avx2, avx512} x {float32, float64}, all graphs."""
    points, weights = clouds(dtype)
    ask = {"cost": "coulomb", "graph": GRAPHS[graph], "epsilon": 0.1}
    with deblai.use_backend("reference"):
        fixed = sinkhorn(points, weights, tol=1e-3, **ask).potentials
        ask |= {"init": fixed, "max_iter": 0, "grad": True}
        expected = sinkhorn(points, weights, **ask)
    with deblai.use_backend("cpu", simd=level):
        found = sinkhorn(points, weights, **ask)
    assert found.backend == f"cpu/{level}"
    close(numbers(found), numbers(expected), 1e-11 if dtype == "float64" else 5e-5)


@given(st.data())
def test_random_graphs(data):
    """Sizes, graphs, weights and forbidden pairs at random: solution, plans and dual value of the whole tensor."""
    count = data.draw(st.integers(2, 4))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    edges = [pair for pair in combinations(range(count), 2) if data.draw(st.booleans())]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    weights = [rng.random(n) + 0.1 for n in sizes]
    cost = {}
    for p, q in edges:
        cost[p, q] = rng.random((sizes[p], sizes[q]))
        if sizes[p] == sizes[q] > 2:
            cost[p, q][data.draw(st.integers(0, sizes[p] - 1)), 0] = np.inf
    solve = {"epsilon": 0.3, "tol": 1e-9, "max_iter": 3000}
    if not edges:
        points = [np.zeros((n, 1)) for n in sizes]
        assert sinkhorn(points, weights, cost="coulomb", graph=[], **solve).value == pytest.approx(0.0, abs=1e-12)
        return
    found = sinkhorn(weights=weights, cost=cost, **solve)
    assert found.converged
    with deblai.use_backend("reference"):
        same = sinkhorn(weights=weights, cost=cost, epsilon=0.3, init=found.potentials, max_iter=0)
    assert same.marginal_error <= 2e-9
    close(numbers(found), numbers(same), 1e-9)
    assert np.allclose(found.plan().sum(), 1.0, atol=1e-8)


@pytest.mark.parametrize("N", [3, 4])
def test_the_complete_graph_in_parts(N):
    """All pairs but one, and that one with a cost of zero: the same as all pairs with a matrix of zeros."""
    rng = np.random.default_rng(N)
    cost = {(p, q): rng.random((SIZES[p], SIZES[q])) for p, q in combinations(range(N), 2)}
    with_zeros = {**cost, (0, 2): np.zeros((SIZES[0], SIZES[2]))}
    del cost[0, 2]
    one, other = (sinkhorn(cost=c, epsilon=0.1, tol=1e-10, max_iter=5000) for c in (cost, with_zeros))
    close(numbers(one), numbers(other), 1e-8)


def test_gaussians_on_a_chain():
    """Entropic transport of Gaussians, cost (x - y)^2: neighbours as T21, the others by the Markov property.

    The covariance of neighbours of variances 1, 4 is (-e/2 + sqrt(e^2/4 + 16 s1 s2 / 4)) / 2 with e the entropic weight
    (facts, T21), and on a chain the correlations multiply.
    """
    x = np.linspace(-12, 12, 241)
    variances = [1.0, 4.0, 1.0]
    weights = [np.exp(-(x**2) / (2 * v)) for v in variances]
    r = sinkhorn([x] * 3, weights, cost="sqeuclidean", graph="chain", epsilon=0.5, tol=1e-9)
    neighbours = 1.878902443
    assert float(x @ r.pair_marginal(0, 1) @ x) == pytest.approx(neighbours, abs=1e-6)
    assert float(x @ r.pair_marginal(1, 2) @ x) == pytest.approx(neighbours, abs=1e-6)
    assert float(x @ r.pair_marginal(0, 2) @ x) == pytest.approx(neighbours**2 / 4.0, abs=1e-6)
    assert float(r.value) == pytest.approx(2 * 1.777670345, abs=1e-6)


def test_values_of_parts_add_up():
    """A tree's value is the sum of its pairs' when each has a leaf of its own: two pairs apart, and a star of two."""
    points, weights = clouds()
    solve = {"cost": "sqeuclidean", "epsilon": 0.3, "tol": 1e-10}
    pair = lambda p, q: float(sinkhorn([points[p], points[q]], [weights[p], weights[q]], **solve).value)  # noqa: E731
    apart = sinkhorn(points, weights, graph=[(0, 2), (1, 3)], **solve)
    assert float(apart.value) == pytest.approx(pair(0, 2) + pair(1, 3), abs=1e-9)
    star = sinkhorn(points[:3], weights[:3], graph=[(0, 1), (0, 2)], **solve)
    assert float(star.value) == pytest.approx(pair(0, 1) + pair(0, 2), abs=1e-9)


def test_large_chains_and_trees():
    """A chain of ten, a random tree of sixty, a long chain, a large star, to the default tolerance; pairs far apart."""
    rng = np.random.default_rng(1)
    chain = sinkhorn([rng.random(150) for _ in range(10)], cost="sqeuclidean", graph="chain", epsilon=0.05)
    assert chain.converged
    assert np.allclose(chain.pair_marginal(0, 9).sum(1), 1 / 150, atol=1e-6)
    edges = [(int(rng.integers(0, k)), k) for k in range(1, 60)]
    tree = sinkhorn([rng.random((int(rng.integers(10, 40)), 2)) for _ in range(60)], graph=edges, epsilon=0.5)
    assert tree.converged
    deep = sinkhorn([rng.random(3) for _ in range(1000)], cost="sqeuclidean", graph="chain", epsilon=1.0)
    assert deep.converged
    star = sinkhorn([rng.random(3) for _ in range(300)], cost="sqeuclidean", graph="star", epsilon=1.0)
    assert star.converged


def test_equal_marginals_of_a_graph():
    """One array with n_marginals stands for a list; gradients are of the one array; all pairs are symmetric mode."""
    rng = np.random.default_rng(3)
    x, a = rng.random((6, 2)), rng.random(6) + 0.5
    solve = {"cost": "sqeuclidean", "epsilon": 0.2, "tol": 1e-10, "grad": True}
    one = sinkhorn(x, a, n_marginals=4, graph="ring", **solve)
    many = sinkhorn([x] * 4, [a] * 4, graph=RING, **solve)
    assert len(one.potentials) == 4
    assert float(one.value) == float(many.value)
    for name, shape in (("points", (6, 2)), ("weights", (6,))):
        assert one.grad[name].shape == shape
        assert np.allclose(one.grad[name], sum(many.grad[name]), atol=1e-14)
    complete = sinkhorn(x, a, n_marginals=3, graph="ring", **solve)
    assert np.array_equal(complete.potentials, sinkhorn(x, a, n_marginals=3, **solve).potentials)
    line = sinkhorn(x[:, 0], n_marginals=4, graph="chain", epsilon=0.2, grad="points", cost="sqeuclidean")
    assert line.grad["points"].shape == (6,)
    matrix = rng.random((5, 5))  # from p to q: not symmetric
    chain = sinkhorn(cost=matrix, n_marginals=3, graph="chain", epsilon=0.2, tol=1e-10, grad="cost")
    by_pair = sinkhorn(cost={(0, 1): matrix, (1, 2): matrix}, epsilon=0.2, tol=1e-10, grad="cost")
    close(numbers(chain), numbers(by_pair), 1e-9)
    assert np.allclose(chain.grad["cost"], by_pair.grad["cost"][0, 1] + by_pair.grad["cost"][1, 2], atol=1e-9)


def test_names_and_lists_say_the_same():
    """Names, lists in any order and direction, arrays of pairs, and the keys of matrices."""
    points, weights = clouds()
    solve = {"cost": "sqeuclidean", "epsilon": 0.3, "tol": 1e-10}
    ring = sinkhorn(points, weights, graph="ring", **solve)
    for graph in (RING, [(3, 0), (3, 2), (1, 0), (2, 1)], np.array(RING), {(0, 1): 1, (1, 2): 1, (2, 3): 1, (0, 3): 1}):
        close(numbers(sinkhorn(points, weights, graph=graph, **solve)), numbers(ring), 1e-8)
    cost = {(p, q): ((points[p][:, None] - points[q]) ** 2).sum(-1) for p, q in RING}
    for graph in (None, "ring", RING[::-1]):
        by_matrix = sinkhorn(weights=weights, cost=cost, graph=graph, epsilon=0.3, tol=1e-10)
        close(numbers(by_matrix), numbers(ring), 1e-8)
    every = [*RING, (0, 2), (1, 3)]
    complete, listed = (sinkhorn(points, weights, graph=g, **solve) for g in (None, every))
    assert all(np.array_equal(a, b) for a, b in zip(numbers(complete), numbers(listed), strict=True))


def test_layouts_do_not_matter():
    """Matrices of any strides, also those that are read across."""
    rng = np.random.default_rng(0)
    cost = {(p, q): rng.random((40 + p, 30 + q)) for p, q in ((0, 1), (1, 2))}
    cost[1, 2] = rng.random((31, 20))
    expected = sinkhorn(cost=cost, epsilon=0.1)
    for change in (np.asfortranarray, lambda c: np.repeat(c, 2, axis=1)[:, ::2], lambda c: c[::-1].copy()[::-1]):
        found = sinkhorn(cost={key: change(c) for key, c in cost.items()}, epsilon=0.1)
        assert all(np.array_equal(a, b) for a, b in zip(numbers(found), numbers(expected), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("graph", "n"), [("chain", 400), ("ring", 130)])
@pytest.mark.filterwarnings("ignore::deblai.ConvergenceWarning")
def test_results_do_not_depend_on_the_number_of_threads(graph, n, dtype):
    """1, 2 and 5 threads: everything equal to the bit, at an epsilon where products lose range."""
    rng = np.random.default_rng(0)
    points = [rng.standard_normal((n + p, 2)).astype(dtype) for p in range(4)]
    expected = None
    for threads in (1, 2, 5):
        with deblai.use_backend(threads=threads):
            r = sinkhorn(points, graph=graph, epsilon=0.01, max_iter=3, tol=0.0, grad="points")
            found = [*numbers(r), r.history]
        expected = expected or found
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("graph", ["tree", "ring", "K4 without an edge", "two parts", "one alone"])
def test_samples(graph):
    """Tuples drawn exactly: their pair frequencies are the plan's marginals, within five standard errors."""
    points, weights = clouds()
    r = sinkhorn(points, weights, cost="sqeuclidean", graph=GRAPHS[graph], epsilon=0.5, tol=1e-10)
    flat = np.concatenate(r.potentials)
    k = 20_000
    drawn = sample_graph(r._plans.q, flat, k, np.random.default_rng(5))
    assert drawn.shape == (k, 4)
    assert not (drawn[:, 1] == 0).any()  # it has no mass
    for p, q in combinations(range(4), 2):
        seen = np.zeros((SIZES[p], SIZES[q]))
        np.add.at(seen, (drawn[:, p], drawn[:, q]), 1 / k)
        plan = r.pair_marginal(p, q)
        assert (np.abs(seen - plan) <= 5 * np.sqrt(plan / k) + 3 / k).all()
    by_matrix = {(p, q): ((points[p][:, None] - points[q]) ** 2).sum(-1) for p, q in r._plans.q.pairs}
    other = sinkhorn(weights=weights, cost=by_matrix, epsilon=0.5, init=r.potentials, max_iter=0)
    few, again = (sample_graph(v._plans.q, flat, 50, np.random.default_rng(5)) for v in (r, other))
    assert np.array_equal(few, again)


def test_libraries_give_the_same_numbers(library):
    """NumPy, PyTorch and JAX: bits and arrays of the library."""
    points, weights = clouds()
    ask = {"cost": "coulomb", "graph": "ring", "epsilon": 0.5, "grad": True}
    expected = sinkhorn(points, weights, **ask)
    found = sinkhorn([library.array(x) for x in points], [library.array(a) for a in weights], **ask)
    assert isinstance(found.pair_marginal(0, 2), library.array_type)
    assert all(np.array_equal(a, b) for a, b in zip(numbers(found), numbers(expected), strict=True))


@pytest.mark.parametrize("graph", [[(0, 1)], "chain", [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)]])
def test_gradients_in_points_and_weights(graph):
    """PyTorch's gradcheck on graphs of treewidth 1 and 2; a marginal alone has none."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    sizes = (4, 3, 5, 3)
    points = [torch.tensor(rng.random((n, 2)), requires_grad=True) for n in sizes]
    weights = [torch.tensor(rng.random(n) + 0.5, requires_grad=True) for n in sizes]

    def f(*v):
        return sinkhorn(list(v[:4]), list(v[4:]), graph=graph, epsilon=0.5, tol=1e-12).value

    assert torch.autograd.gradcheck(f, (*points, *weights), eps=1e-5, atol=1e-6)


def test_gradients_of_matrices_and_equal_marginals():
    """gradcheck by pair, of one matrix for all edges, and of the one array that stands for all marginals."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    leaf = lambda *shape: torch.tensor(rng.random(shape), requires_grad=True)  # noqa: E731
    check, solve = torch.autograd.gradcheck, {"epsilon": 0.5, "tol": 1e-12}
    a, b = leaf(3, 4), leaf(4, 2)
    assert check(lambda a, b: sinkhorn(cost={(0, 1): a, (1, 2): b}, **solve).value, (a, b), atol=1e-7)
    square = leaf(4, 4)
    assert check(lambda c: sinkhorn(cost=c, n_marginals=3, graph="chain", **solve).value, (square,), atol=1e-7)
    x = leaf(5, 2)
    ring = {"n_marginals": 4, "graph": "ring", "cost": "sqeuclidean"}
    assert check(lambda x: sinkhorn(x, **ring, **solve).value, (x,), eps=1e-5, atol=1e-6)


def test_the_operator_is_well_registered():
    """PyTorch's opcheck with edges: schema, fake tensors, autograd."""
    torch = pytest.importorskip("torch")
    import deblai.torch.multimarginal  # noqa: F401

    rng = np.random.default_rng(0)
    points = [torch.tensor(rng.random((n, 2)), requires_grad=True) for n in (4, 3, 5)]
    weights, start = [torch.empty(0, dtype=torch.float64)] * 3, torch.zeros(12, dtype=torch.float64)
    fixed = ([4, 3, 5], 3, 0, 1.0, 1.0, 0.5, False, start, 1e-12, 200, 5, "auto", True, start[:0], 0.0)
    done = torch.library.opcheck(
        torch.ops.deblai.multimarginal_sinkhorn.default,
        (points, weights, [], *fixed, True, False, False, [0, 1, 1, 2]),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static"),
    )
    assert set(done.values()) == {"SUCCESS"}


def test_jax_equals_pytorch():
    """Value and gradients under jit and grad equal PyTorch's to the bit."""
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    points, weights = clouds()

    def f(points, weights):
        return sinkhorn(points, weights, cost="sqeuclidean", graph=RING, epsilon=0.5, tol=1e-10).value

    arrays = [[jax.numpy.asarray(v) for v in group] for group in (points, weights)]
    by_jax, gradients = jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(*arrays)
    leaves = [torch.tensor(v, requires_grad=True) for v in (*points, *weights)]
    by_torch = f(leaves[:4], leaves[4:])
    assert float(by_jax) == by_torch.item()
    expected = torch.autograd.grad(by_torch, leaves)
    for one, other in zip((*gradients[0], *gradients[1]), expected, strict=True):
        assert np.array_equal(one, other.numpy())
    one = jax.grad(lambda x: sinkhorn(x, n_marginals=4, graph="ring", cost="sqeuclidean", epsilon=0.5).value)
    assert one(arrays[0][0]).shape == points[0].shape


X = np.random.default_rng(0).random((5, 2))
C = np.random.default_rng(2).random((5, 5))
VALUE, TYPE = errors.InvalidValue, errors.InvalidType
BAD = {
    "name": (
        {"graph": "circle"},
        VALUE,
        "graph: expected one of 'complete', 'chain', 'ring', 'star' or a list of edge",
    ),
    "number": ({"graph": 3}, TYPE, "graph: expected one of 'complete', .* got int"),
    "no pair": ({"graph": [(0, 1, 2)]}, VALUE, r"or a list of edges \(p, q\), got \(0, 1, 2\) among them"),
    "half": ({"graph": [(0, 0.5)]}, VALUE, r"got \(0, 0.5\) among them"),
    "self loop": ({"graph": [(1, 1)]}, VALUE, r"graph: expected edges between different marginals, got \(1, 1\)"),
    "again": ({"graph": [(0, 1), (1, 0)]}, VALUE, r"graph: expected each edge once, got \(1, 0\) again"),
    "range": ({"graph": [(0, 3)]}, VALUE, r"graph: expected edges between marginals from 0 to 2, got \(0, 3\)"),
    "negative": ({"graph": [(-1, 0)]}, VALUE, r"marginals from 0 to 2, got \(-1, 0\)"),
}
BAD_COSTS = {
    "keys that differ": (
        {"cost": {(0, 1): C, (0, 2): C}, "graph": "chain"},
        r"cost: expected a matrix for each edge of the graph, \[\(0, 1\), \(1, 2\)\], got the keys \['\(0, 1\)', ",
    ),
    "all pairs asked for": (
        {"cost": {(0, 1): C, (0, 2): C}, "graph": "complete"},
        r"cost: expected a matrix for each edge of the graph, \[\(0, 1\), \(0, 2\), \(1, 2\)\], got the keys",
    ),
    "backwards": ({"cost": {(1, 0): C}}, r"cost: expected a matrix for each of some pairs \(p, q\) with p < q < 2"),
    "sizes": (
        {"cost": {(0, 1): C, (1, 2): C[:4]}},
        r"cost\[1, 2\]: expected shape \(5, 5\), got \(4, 5\)",
    ),
    "alone without weights": (
        {"cost": {(0, 1): C}, "weights": [None] * 3},
        r"weights\[2\]: expected weights, since marginal 2 is in no pair, got None",
    ),
    "no edge for a matrix": (
        {"cost": C, "n_marginals": 3, "graph": []},
        "graph: expected at least one edge for a cost",
    ),
    "one that can meet nobody": (
        {"cost": {(0, 1): np.where(np.arange(5)[:, None] == 2, np.inf, C), (1, 2): C}},
        "cost: point 2 of marginal 0 has infinite cost with all choices of the others",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_graphs(case):
    """Each names the function and the argument, says what was expected and what came."""
    keywords, kind, message = BAD[case]
    with pytest.raises(kind, match=message) as caught:
        sinkhorn([X] * 3, epsilon=0.5, **keywords)
    assert str(caught.value).startswith("[multimarginal.sinkhorn] ")


@pytest.mark.parametrize("case", BAD_COSTS)
def test_bad_costs_of_graphs(case):
    """Keys, sizes, entries."""
    keywords, message = BAD_COSTS[case]
    with pytest.raises(VALUE, match=message):
        sinkhorn(epsilon=0.5, **keywords)


def test_a_graph_that_does_not_fit():
    """Says how much memory it would take and which marginals come together, before it starts."""
    points = [np.broadcast_to(np.zeros((1, 1)), (30_000, 1))] * 5
    grid = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 4), (1, 4), (2, 4), (3, 4)]
    with pytest.raises(
        errors.OutOfMemory,
        match=r"take \d+\.\d GiB, but .* the marginals \[\d, \d, \d, \d\] come together: .* 8.1e\+17 t",
    ):
        sinkhorn(points, cost="sqeuclidean", graph=grid, epsilon=0.5)
    r = sinkhorn([np.zeros((n, 1)) for n in (100_000, 1, 100_000)], cost="sqeuclidean", graph="chain", epsilon=1.0)
    with pytest.raises(errors.OutOfMemory, match="the workspace would take"):
        r.pair_marginal(0, 2)


SCRIPT = """
import json, os, signal, threading, time
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
sent = []

def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

points = [rng.random(({n}, 2)) for _ in range({count})]
threading.Timer(0.7, send).start()
try:
    deblai.multimarginal.sinkhorn(points, graph={graph!r}, epsilon=1e-3, max_iter=10**6, tol=0.0)
except KeyboardInterrupt as error:
    latency = time.perf_counter() - sent[0]
    assert type(error) is deblai.Interrupted
    finite = all(bool(np.isfinite(f).all()) for f in error.result.potentials)
    print(json.dumps(dict(latency=latency, finite=finite, converged=bool(error.result.converged))))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("graph", "n", "count"),
    [("chain", 8000, 4), ("ring", 700, 4), ([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 4)], 90, 5)],
)
def test_ctrl_c_keeps_the_potentials(graph, n, count, python):
    """Within half a second, also inside a message that takes far longer; .result has finite potentials."""
    for _ in range(3):
        said = json.loads(python(SCRIPT.format(n=n, count=count, graph=graph)).stdout)
        if said["latency"] < 0.5:
            break
    assert said["latency"] < 0.5
    assert said["finite"]
    assert not said["converged"]


def test_small_epsilon():
    """A ring of points at an epsilon where exp(-c / epsilon) underflows everywhere: the plan of the reference.

    All tuples are compared through the marginals of pairs, at potentials that the reference found.
    """
    rng = np.random.default_rng(7)
    points = [np.sort(rng.random(9)) for _ in range(4)]
    ask = {"cost": "sqeuclidean", "graph": "ring", "epsilon": 2e-5}
    with deblai.use_backend("reference"), pytest.warns(deblai.ConvergenceWarning):
        expected = sinkhorn(points, max_iter=30, **ask)
    with deblai.use_backend("reference"):
        expected = sinkhorn(points, init=expected.potentials, max_iter=0, **ask)
    found = sinkhorn(points, init=expected.potentials, max_iter=0, **ask)
    close(numbers(found), numbers(expected), 1e-7)
    assert np.isfinite(found.value)


def test_sums_made_exactly_are_counted():
    """None at a large epsilon or on a tree; some where products of random costs on a ring lose their range."""
    rng = np.random.default_rng(0)
    cost = {pair: rng.random((40, 40)) for pair in RING}
    count = lambda cost, epsilon: sinkhorn(cost=cost, epsilon=epsilon, max_iter=0).exact_rows  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert count(cost, 1.0) == 0
        assert count(cost, 1e-4) > 0
        del cost[0, 3]
        assert count(cost, 1e-4) == 0


def test_brute_force_minimum_of_a_small_chain():
    """As epsilon shrinks, <c, plan> comes to the best assignment of three points along a chain."""
    rng = np.random.default_rng(11)
    first, second = rng.random((3, 3)), rng.random((3, 3))
    r = sinkhorn(cost={(0, 1): first, (1, 2): second}, epsilon=2e-3, tol=1e-9, max_iter=20_000)
    perms = list(permutations(range(3)))
    best = sum(min(sum(c[i, p[i]] for i in range(3)) for p in perms) for c in (first, second)) / 3
    assert float(r.value_linear) == pytest.approx(best, abs=2e-3)
