"""Blocks of graphs: their optima add up; plans, Newton's steps and certificates of the whole come from them."""

from itertools import combinations

import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import linear_program, sinkhorn
from deblai.multimarginal._entropic import blocks as _blocks
from deblai.multimarginal._entropic import newton as _newton
from deblai.multimarginal._entropic import repair
from deblai.multimarginal._entropic.path import Path
from deblai.multimarginal._problem import problem
from deblai.multimarginal._runners import Reference, runner
from deblai.reference.multimarginal import tensor
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

GRID = [(p, p + 1) for p in (0, 1, 3, 4)] + [(p, p + 3) for p in range(3)]
GRAPHS = {
    "chain": (5, "chain"),
    "star": (5, "star"),
    "ring": (4, "ring"),
    "two triangles at a corner": (5, [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4)]),
    "ring with a tail": (6, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (4, 5)]),
    "K4 without an edge": (4, [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]),
    "grid": (6, GRID),
    "parts and one alone": (6, [(0, 4), (1, 2), (2, 3), (1, 3)]),
}


def clouds(count, n, seed=0):
    rng = np.random.default_rng(seed)
    points = [rng.random((n + p % 3, 2)) for p in range(count)]
    return points, [rng.random(len(x)) + 0.1 for x in points]


def small(name, epsilon=2.0, seed=0, sweeps=1):
    """A problem, potentials after few sweeps, and the plan as a tensor."""
    count, graph = GRAPHS[name]
    points, weights = clouds(count, 3, seed)
    q = problem("test", points, weights, None, "coulomb", epsilon, graph)
    f = np.random.default_rng(seed).standard_normal(sum(q.sizes)) * 0.1
    runner(q).sweeps(f, sweeps, 0.0, 0, None)
    by_reference = Reference(q)
    return q, f, by_reference.module.plan(by_reference.costs, by_reference.weights, epsilon, by_reference.split(f))


def marginal(plan, at):
    return plan.sum(axis=tuple(k for k in range(plan.ndim) if k not in at))


@given(st.integers(2, 8), st.floats(0.1, 0.6), st.integers(0, 10_000))
def test_biconnected_components(count, share, seed):
    """Each edge once; no marginal holds a block together; blocks share one at most and make a forest."""
    rng = np.random.default_rng(seed)
    edges = [pair for pair in combinations(range(count), 2) if rng.random() < share]
    found = _blocks.blocks(count, edges)
    assert sorted(k for b in found for k in b.edges) == list(range(len(edges)))

    def pieces(at, among):
        label = {p: p for p in at}
        for p, r in among:
            if p in label and r in label:
                old, new = label[p], label[r]
                label = {v: new if m == old else m for v, m in label.items()}
        return len(set(label.values()))

    for b in found:
        own = [edges[k] for k in b.edges]
        assert sorted({v for e in own for v in e}) == b.at
        assert pieces(b.at, own) == 1
        assert all(pieces([v for v in b.at if v != gone], own) == 1 for gone in b.at)
    assert all(len(set(a.at) & set(b.at)) <= 1 for a, b in combinations(found, 2))
    assert sum(len(b.at) - 1 for b in found) == count - pieces(range(count), edges)


@pytest.mark.parametrize("name", GRAPHS)
def test_potentials_of_blocks(name):
    """Their plans are the marginals of the whole tensor, over as many scales as numbers have, and beyond."""
    for shift in (0.0, 3.0, 1000.0):
        q, f, plan = small(name)
        moved = np.concatenate(
            [v + shift * s for v, s in zip(np.split(f, np.cumsum(q.sizes)[:-1]), signs(q), strict=True)]
        )
        parts = _blocks.pieces(q, moved, _newton.masses(q))
        every = _blocks.blocks(q.n_marginals, q.pairs)
        if parts is None:
            assert len(every) == 1
            continue
        for (part, g), block in zip(parts, every, strict=True):
            for (p, r), found in zip(part.pairs, runner(part).evaluate(g, False, True).plans, strict=True):
                expected = marginal(plan, (block.at[p], block.at[r]))
                assert np.allclose(found / found.sum(), expected / expected.sum(), rtol=1e-7, atol=1e-12)


def signs(q):
    """Numbers that add up to 0, one a marginal."""
    return [(-1.0) ** p for p in range(q.n_marginals)] if q.n_marginals % 2 == 0 else [1.0, -2.0, 1.0, 1.0, -1.0]


@pytest.mark.parametrize("name", ["two triangles at a corner", "ring with a tail", "parts and one alone"])
def test_potentials_beyond_the_range_of_numbers(name):
    """At a small epsilon blocks alone overflow, the whole does not: the sums between them are right all the same."""
    count, graph = GRAPHS[name]
    points, weights = clouds(count, 6)
    r = sinkhorn(points, weights, cost="coulomb", graph=graph, epsilon=1e-3, tol=1e-6)
    q, f = r._plans.q, np.concatenate(r.potentials)
    for (part, g), block in zip(_blocks.pieces(q, f, _newton.masses(q)), _blocks.blocks(count, q.pairs), strict=True):
        for (p, r_), found in zip(part.pairs, runner(part).evaluate(g, False, True).plans, strict=True):
            assert np.allclose(found, runner(q).pair(f, (block.at[p], block.at[r_])), atol=1e-6)


@pytest.mark.parametrize("name", GRAPHS)
def test_steps_of_blocks_are_the_step_of_the_whole(name):
    """The dense system, with plans of all pairs from the tensor, is solved by systems of the blocks."""
    q, f, plan = small(name)
    wanted, at = _newton.masses(q), np.concatenate([[0], np.cumsum(q.sizes)])
    run = runner(q)
    e = run.evaluate(f, False, True)
    dense = np.diag(np.concatenate([marginal(plan, (p,)) for p in range(q.n_marginals)]))
    for p, r in combinations(range(q.n_marginals), 2):
        dense[at[p] : at[p + 1], at[r] : at[r + 1]] = marginal(plan, (p, r))
        dense[at[r] : at[r + 1], at[p] : at[p + 1]] = marginal(plan, (p, r)).T
    missing = wanted - e.marginals
    assert np.abs(missing).sum() > 1e-2
    d = _newton.system(q, run, f, e, wanted).correction(missing)
    assert np.allclose(dense @ d, missing, atol=1e-11)


@pytest.mark.parametrize("name", ["chain", "two triangles at a corner", "ring with a tail", "parts and one alone"])
def test_optima_of_blocks_add_up(name):
    """Of the exact linear program, and of the entropic problem."""
    count, graph = GRAPHS[name]
    points, weights = clouds(count, 2 if count > 5 else 3, 1)
    q = problem("test", points, weights, None, "sqeuclidean", 0.1, graph)
    whole, entropic = (
        float(linear_program(points, weights, cost="sqeuclidean", graph=graph).value),
        float(sinkhorn(points, weights, cost="sqeuclidean", graph=graph, epsilon=0.1, tol=1e-10).value),
    )
    for block in _blocks.blocks(count, q.pairs):
        part = _blocks.part(q, block)
        whole -= float(linear_program(part.points, part.weights, cost="sqeuclidean", graph=part.pairs).value)
        entropic -= float(
            sinkhorn(part.points, part.weights, cost="sqeuclidean", graph=part.pairs, epsilon=0.1, tol=1e-10).value
        )
    assert abs(whole) < 1e-9
    assert abs(entropic) < 1e-9


@pytest.mark.parametrize("name", GRAPHS)
def test_gap_of_second_order(name):
    """A marginal error of some 1e-4 leaves a gap of 1e-7; the optimum, as the sweeps alone find it, is inside."""
    count, graph = GRAPHS[name]
    points, weights = clouds(count, 12)
    ask = {"cost": "sqeuclidean", "graph": graph, "epsilon": 0.1}
    rough = sinkhorn(points, weights, tol=1e-4, certify=True, **ask)
    fine = sinkhorn(points, weights, tol=1e-9, method="sinkhorn", annealing=False, **ask)
    assert rough.value_lower <= float(fine.value) + 1e-10
    assert rough.value_upper >= float(fine.value) - 1e-10
    assert rough.value_upper - rough.value_lower < 1e-7
    assert rough.certified
    stopped = sinkhorn(points, weights, gap=1e-3, **ask)
    assert stopped.value_upper - stopped.value_lower <= 1e-3


@pytest.mark.parametrize("name", GRAPHS)
def test_the_default_way_is_short(name):
    """At an epsilon where sweeps alone need many hundreds, steps get there in 300 in all."""
    count, graph = GRAPHS[name]
    points, weights = clouds(count, 16)
    r = sinkhorn(points, weights, cost="sqeuclidean", graph=graph, epsilon=1e-3, tol=1e-8, max_iter=300)
    assert r.converged
    newton = sinkhorn(points, weights, cost="sqeuclidean", graph=graph, epsilon=1e-2, tol=1e-10, method="newton")
    swept = sinkhorn(
        points, weights, cost="sqeuclidean", graph=graph, epsilon=1e-2, tol=1e-10, method="sinkhorn", annealing=False
    )
    assert float(newton.value) == pytest.approx(float(swept.value), abs=1e-9)
    assert newton.n_iter < swept.n_iter


def test_points_without_weight_and_float32():
    """Steps leave those alone and sweeps lift them; single precision converges to its own tolerance."""
    points, weights = clouds(4, 10)
    weights[1][2] = 0.0
    for graph in ("chain", "ring"):
        solve = {"cost": "sqeuclidean", "graph": graph, "epsilon": 0.02}
        found = sinkhorn(points, weights, tol=1e-11, **solve)
        swept = sinkhorn(points, weights, tol=1e-11, method="sinkhorn", annealing=False, **solve)
        for f, g in zip(found.potentials, swept.potentials, strict=True):
            assert np.allclose(f, g, atol=1e-6)
        single = sinkhorn([x.astype("float32") for x in points], epsilon=1e-3, cost="sqeuclidean", graph=graph)
        assert single.converged
        assert single.potentials[0].dtype == np.float32


def test_steps_that_are_too_dear():
    """A block beyond the limit says so, "auto" sweeps; the plans of too many pairs without an edge are not made."""
    x = np.random.default_rng(0).random(_newton.LIMIT // 2 + 1)
    with pytest.raises(errors.InvalidValue, match=r"method: expected at most 3000 potentials .* block .* use 'auto'"):
        sinkhorn([x, x, x[:2]], cost="sqeuclidean", graph="chain", epsilon=1.0, method="newton")
    tree = problem("test", [x[:100]] * 40, None, None, "sqeuclidean", 1.0, "star")
    ring = tree._replace(edges=[(p, p + 1) for p in range(39)] + [(0, 39)])
    assert _newton.possible(tree)  # 4000 potentials, 200 a block
    assert not _newton.possible(ring)
    path = Path(ring, np.zeros(4000), 10, 10, None)
    assert path.left == 10


def test_a_plan_that_falls_apart():
    """Corrections of 1e9 and more, whose constants cancel: the bounds are still above the optimum."""
    inf = np.inf
    cases = [
        ([[0.54, 0.28], [1.64, -0.26]], [0.0, 1.0], [0.417, 0.583]),
        ([[-0.5, 1.2], [0.7, -0.6]], [0.3, 0.7], [0.6, 0.4]),
        ([[0.2, inf, inf], [0.4, -1.0, inf], [0.9, 0.3, 0.8]], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1]),
    ]
    for cost, a, b in cases:
        given_ = {"cost": {(0, 1): np.array(cost)}, "weights": [np.array(a), np.array(b)]}
        truth = linear_program(**given_)
        for epsilon in (0.3, 0.09, 0.03, 0.015):
            r = sinkhorn(**given_, epsilon=epsilon, max_iter=0, certify=True)
            assert r.lower <= truth.upper
            assert r.upper >= truth.lower
            assert r.upper < inf


@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.1, 0.9), st.integers(0, 10_000))
def test_augmenting_paths(n, m, share, seed):
    """They find a plan on the free entries, near the one given, just where there is one."""
    rng = np.random.default_rng(seed)
    free = rng.random((n, m)) < share
    a, b = rng.random(n), rng.random(m)
    if rng.random() < 0.7 and free.any():
        plan = rng.random((n, m)) * free
        a, b = plan.sum(1), plan.sum(0)
    a, b = a / a.sum(), b / b.sum()
    cost = np.where(free, rng.random((n, m)), np.inf)
    begin = np.where(free, 0.3 * rng.random((n, m)) * np.minimum(a[:, None] / m, b / n), 0.0)
    found = repair.filled(begin.copy(), free, cost, a, b)
    rows = [np.eye(n)[i][:, None] * np.ones(m) for i in range(n)] + [np.ones((n, 1)) * np.eye(m)[j] for j in range(m)]
    system = np.array([row[free] for row in rows]) if free.any() else np.zeros((n + m, 1))
    truth = linprog(np.zeros(system.shape[1]), A_eq=system, b_eq=np.concatenate([a, b]), method="highs")
    assert (found is not None) == (truth.status == 0)
    if found is not None:
        assert (found >= 0).all()
        assert (found[~free] == 0).all()
        assert np.allclose(found.sum(1), a, atol=1e-14)
        assert np.allclose(found.sum(0), b, atol=1e-14)


def forced(kind):
    """Infinite entries and marginals that leave no mass at a tuple of finite cost, on a triangle or a chain."""
    rng = np.random.default_rng(4)
    cost = {(0, 1): np.array([[0.0, 0.5], [np.inf, 0.2]]), (1, 2): rng.random((2, 3))}
    if kind == "triangle":
        cost[0, 2] = rng.random((2, 3))
    half = np.array([0.5, 0.5])
    return {"cost": cost, "weights": [half, half, np.array([0.2, 0.3, 0.5])]}


@pytest.mark.filterwarnings("ignore::deblai.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["triangle", "chain"])
def test_marginals_that_force_zeros(kind, monkeypatch):
    """No correction is positive: a coupling near the plan is found; without HiGHS perhaps none, and that is said."""
    arguments = forced(kind)
    truth = float(linear_program(**arguments).value)
    r = sinkhorn(**arguments, epsilon=0.05, max_iter=200)
    found = r.certify()
    assert found.lower <= truth <= found.upper < np.inf
    assert found.certified
    assert found.value_upper - found.value_lower < 1e-2

    def missing(*_, **__):
        raise errors.MissingExtra("no highspy")

    monkeypatch.setattr("deblai.multimarginal._exact.master.require", missing)
    without = r.certify()
    assert without.upper >= truth - 1e-12
    assert without.certified == (without.upper < np.inf)
    assert without.upper < np.inf or kind == "triangle"


@pytest.mark.parametrize("seed", range(4))
def test_the_entropic_optimum_is_inside(seed):
    """On graphs with infinite entries: the value of far better potentials is between the bounds of rough ones."""
    rng = np.random.default_rng(seed)
    for name in GRAPHS:
        count, graph = GRAPHS[name]
        points, weights = clouds(count, 3, seed)
        edges = problem("test", points, weights, None, "coulomb", 1.0, graph).pairs
        cost = {(p, r): rng.standard_normal((len(points[p]), len(points[r]))) for p, r in edges}
        for c in cost.values():
            c[rng.random(c.shape) < 0.1] = np.inf
        absent = {k: np.zeros([len(points[p]) for p in k]) for k in combinations(range(count), 2) if k not in cost}
        chosen = np.argwhere(np.isfinite(tensor(cost | absent, count)))
        chosen = chosen[rng.integers(len(chosen), size=30)]
        weights = [np.bincount(chosen[:, p], minlength=len(x)) / 30 for p, x in enumerate(points)]
        ask = {"cost": cost, "weights": weights, "graph": graph, "epsilon": 0.5}
        rough = sinkhorn(tol=0.1, annealing=False, **ask).certify()
        fine = sinkhorn(tol=1e-8, **ask)
        assert rough.value_lower <= float(fine.value) + 1e-12
        assert rough.value_upper >= float(fine.value) - 1e-7
        assert rough.value_upper < np.inf
