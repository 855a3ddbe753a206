"""The blocks of a graph: what its pieces are, once it is cut at the marginals that alone hold it together.

All marginals are prescribed, so that plans of two parts of a graph that have one marginal in common can be glued there,
whatever they are: pi(x, y, z) = pi_1(x, y) pi_2(y, z) / mu(y). The optimum is therefore the sum of those of the blocks
(biconnected components), OT_0 as well as OT_epsilon, whose relative entropies add up too. On a tree each edge is a
block, that is a problem of two marginals.

The plan of potentials f, restricted to a block, is that of f_p + epsilon log(what the other blocks at p sum up to).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from .. import _tuples
from .._problem import Problem
from .._runners import runner

Array = np.ndarray[Any, Any]
ROWS = 1 << 20  # entries of the rows that are summed at once
NODES = 10_000  # of a search for the largest exponent
STEP, MOVES = 600.0, 50  # of potentials in units of epsilon, within the range of exp, and how many


class Block(NamedTuple):
    """Marginals, ascending, and where the edges between them stand in the list of all."""

    at: list[int]
    edges: list[int]


def blocks(count: int, edges: Sequence[tuple[int, int]]) -> list[Block]:
    """Return the biconnected components, children before parents in the tree that cuts make of them [1]_.

    .. [1] J. Hopcroft, R. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation", 1973.
    """
    near: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for k, (p, r) in enumerate(edges):
        near[p].append((r, k))
        near[r].append((p, k))
    depth, low = [-1] * count, [0] * count
    found: list[Block] = []
    for root in range(count):
        if depth[root] >= 0:
            continue
        depth[root] = 0
        trail: list[int] = []  # edges in the order in which they were seen
        stack = [(root, -1, iter(near[root]))]
        while stack:
            p, came, others = stack[-1]
            step = next(others, None)
            if step is not None:
                r, k = step
                if depth[r] < 0:
                    trail.append(k)
                    depth[r] = low[r] = len(stack)
                    stack.append((r, k, iter(near[r])))
                elif k != came and depth[r] < depth[p]:
                    trail.append(k)
                    low[p] = min(low[p], depth[r])
                continue
            stack.pop()
            if not stack:
                continue
            parent = stack[-1][0]
            low[parent] = min(low[parent], low[p])
            if low[p] >= depth[parent]:
                begin = trail.index(came)
                own = sorted(trail[begin:])
                del trail[begin:]
                found.append(Block(sorted({v for k in own for v in edges[k]}), own))
    return found


def part(q: Problem, block: Block) -> Problem:
    """Return the problem of one block."""
    where = {p: k for k, p in enumerate(block.at)}
    count = len(block.at)
    chosen = {(where[q.pairs[k][0]], where[q.pairs[k][1]]): k for k in block.edges}
    complete = len(chosen) == count * (count - 1) // 2
    pairs = list(combinations(range(count), 2)) if complete else list(chosen)
    return q._replace(
        points=[q.points[p] for p in block.at],
        weights=[q.weights[p] for p in block.at],
        sizes=[q.sizes[p] for p in block.at],
        matrices=q.matrices if q.shared or not q.matrices else [q.matrices[chosen[pair]] for pair in pairs],
        n_marginals=count,
        edges=None if complete else pairs,
        tied=False,
    )


def pieces(h: Problem, potentials: Array, masses: Array) -> list[tuple[Problem, Array]] | None:
    """Return the problems of the blocks (NumPy, float64), with potentials whose plans restrict that of the whole.

    None where a single block is everything.

    Where the plan is too far from having the marginals for that to make sense, the potentials are any finite ones.
    """
    all_blocks = blocks(h.n_marginals, h.pairs)
    if len(all_blocks) == 1 and len(all_blocks[0].at) == h.n_marginals:
        return None
    cuts = np.cumsum(h.sizes)[:-1]
    a = np.split(masses, cuts)
    f = _balanced(h, all_blocks, _centred(np.split(potentials, cuts), a))
    problems = [part(h, block) for block in all_blocks]
    heard: list[dict[int, Array]] = [{p: np.zeros(len(f[p])) for p in block.at} for block in all_blocks]
    home: dict[int, list[int]] = {}
    for b, block in enumerate(all_blocks):
        for p in block.at:
            home.setdefault(p, []).append(b)

    def tell(b: int, to: list[int]) -> None:
        """Tell the other blocks at the marginals `to` what this one sums up to."""
        to = [p for p in to if len(home[p]) > 1]
        if not to:
            return
        at = all_blocks[b].at
        own = [f[p] + h.epsilon * heard[b][p] for p in at]
        sums = _sums(problems[b], own, [a[p] for p in at], [at.index(p) for p in to])
        for p, s in zip(to, sums, strict=True):
            for other in home[p]:
                if other != b:
                    heard[other][p] = heard[other][p] + s

    above = {p: max(list_of) for p, list_of in home.items()}  # the block at p that is nearest to the root
    for b, block in enumerate(all_blocks):
        tell(b, [p for p in block.at if above[p] != b])
    for b in reversed(range(len(all_blocks))):
        tell(b, [p for p in all_blocks[b].at if above[p] == b])
    found = []
    for b, block in enumerate(all_blocks):
        own = [f[p] + h.epsilon * heard[b][p] for p in block.at]
        found.append((problems[b], np.concatenate(_centred(own, [a[p] for p in block.at]))))
    return found


def _centred(f: list[Array], a: list[Array]) -> list[Array]:
    """Return the same sum of potentials, of equal means."""
    means = [float(w[w > 0] @ g[w > 0]) for g, w in zip(f, a, strict=True)]
    return [g - (mean - sum(means) / len(means)) for g, mean in zip(f, means, strict=True)]


def _balanced(h: Problem, all_blocks: list[Block], f: list[Array]) -> list[Array]:
    """Return potentials whose plan has mass 1 on each of several components: constants can move between those."""
    components: list[Block] = []
    for block in reversed(all_blocks):  # parents come first
        near = next((c for c in components if set(c.at) & set(block.at)), None)
        if near is None:
            components.append(near := Block([], []))
        near.at[:] = sorted({*near.at, *block.at})
        near.edges.extend(block.edges)
    if len(components) == 1 and len(components[0].at) == h.n_marginals:
        return f
    f = list(f)
    for component in components:
        alone, flat = part(h, component), np.concatenate([f[p] for p in component.at])
        least = runner(alone).minimum(flat, NODES).best
        flat += (least if np.isfinite(least) else 0.0) / len(component.at)
        mass = runner(alone).evaluate(flat, False, False).mass
        flat -= (h.epsilon * np.log(mass) if 0 < mass < np.inf else 0.0) / len(component.at)
        for p, g in zip(component.at, np.split(flat, np.cumsum(alone.sizes)[:-1]), strict=True):
            f[p] = g
    return f


def _sums(h: Problem, f: list[Array], a: list[Array], to: list[int]) -> list[Array]:
    """Return the log of the sum of exp((f - c) / epsilon) over all marginals but one, with their masses, for some."""
    found = _logs(h, f, a, to)
    for k, p in enumerate(to):
        lost = (a[p] > 0) & ~np.isfinite(found[k])
        if lost.any() and h.n_marginals == 2:
            found[k][lost] = _exactly(h, p, np.flatnonzero(lost), f[1 - p], a[1 - p])
        elif lost.any():
            found[k] = _within_range(h, list(f), a, p)
        known = np.isfinite(found[k])
        found[k] = np.where(known, found[k], found[k][known].min(initial=0.0))
    return found


def _logs(h: Problem, f: list[Array], a: list[Array], to: list[int]) -> list[Array]:
    """Return these sums from marginals; infinite or NaN beyond the range of numbers."""
    parts = np.split(runner(h).evaluate(np.concatenate(f), False, False).marginals, np.cumsum(h.sizes)[:-1])
    with np.errstate(all="ignore"):
        return [np.log(parts[p]) - np.log(a[p]) - f[p] / h.epsilon for p in to]


def _within_range(h: Problem, f: list[Array], a: list[Array], p: int) -> Array:
    """Return these sums for one marginal, whose potential is moved until its masses can be told."""
    least = runner(h).minimum(np.concatenate(f), NODES).best
    f[p] = f[p] + (least if np.isfinite(least) else 0.0)
    known = np.full(len(a[p]), -np.inf)
    for _ in range(MOVES):
        (found,) = _logs(h, f, a, [p])
        seen = np.isfinite(found)
        known[seen] = found[seen]
        if seen[a[p] > 0].all():
            break
        f[p] = np.where(seen, -h.epsilon * known, f[p] + h.epsilon * np.where(found == np.inf, -STEP, STEP))
    return known


def _exactly(h: Problem, p: int, rows: Array, f: Array, a: Array) -> Array:
    """Return these sums at some points of one of two marginals, where they are beyond the range of numbers."""
    with np.errstate(divide="ignore"):
        line = np.log(a) + f / h.epsilon
    found = np.empty(len(rows))
    step = max(1, ROWS // len(line))
    for begin in range(0, len(rows), step):
        some = rows[begin : begin + step]
        cost = _tuples.block(h, (0, 1), some) if p == 0 else _tuples.block(h, (0, 1), slice(None), some).T
        z = line - cost / h.epsilon
        top = z.max(1)
        top = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            found[begin : begin + step] = np.log(np.exp(z - top[:, None]).sum(1)) + top
    return found
