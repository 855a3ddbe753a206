"""CPU kernels of deblai. Arguments are views made by deblai._dlpack.view."""

from collections.abc import Callable, Sequence

_View = object  # a capsule around deblai::View

def columns_price(
    costs: _View, potential: _View, parents: _View, pairs: bool, gain: _View, to: _View, threads: int
) -> bool: ...
def laguerre(
    sites: _View,
    psi: _View | None,
    density: _View | None,
    lower: Sequence[float],
    upper: Sequence[float],
    periodic: bool,
    mass: _View,
    centroid: _View,
    second_moment: _View,
    count: _View,
    grad_sites: _View | None,
    threads: int,
    simd: str,
    graph: Sequence[_View | None] = [None, None, None, None],
    form: Sequence[_View | None] = [None, None, None, None, None],
) -> tuple[int, float, float, int]: ...
def laguerre_facets(
    sites: _View,
    psi: _View | None,
    density: _View | None,
    lower: Sequence[float],
    upper: Sequence[float],
    periodic: bool,
    offsets: _View,
    mass: _View | None,
    first: _View | None,
    second: _View | None,
    offset: _View | None,
    threads: int,
    simd: str,
    form: Sequence[_View | None] = [None, None, None, None, None],
) -> int: ...
def laguerre_polygons(
    sites: _View,
    psi: _View | None,
    lower: Sequence[float],
    upper: Sequence[float],
    periodic: bool,
    offsets: _View,
    vertices: _View,
    neighbours: _View,
    threads: int,
    simd: str,
    form: Sequence[_View | None] = [None, None, None, None, None],
) -> int: ...
def laguerre_workspace(
    sites: _View,
    psi: _View | None,
    density: _View | None,
    threads: int,
    form: Sequence[_View | None] = [None, None, None, None, None],
) -> int: ...
def laguerre3(
    sites: _View,
    psi: _View | None,
    lower: Sequence[float],
    upper: Sequence[float],
    periodic: bool,
    mass: _View,
    centroid: _View,
    second_moment: _View,
    counts: _View,
    grad_sites: _View | None,
    threads: int,
    simd: str,
) -> tuple[int, float, float]: ...
def laguerre3_polyhedra(
    sites: _View,
    psi: _View | None,
    lower: Sequence[float],
    upper: Sequence[float],
    periodic: bool,
    offsets: _View,
    vertices: _View,
    neighbours: _View,
    areas: _View,
    facet_offsets: _View,
    corners: _View,
    threads: int,
    simd: str,
) -> int: ...
def laguerre3_workspace(sites: _View, psi: _View | None, threads: int) -> int: ...
def laplacian_solve(
    begin: _View, across: _View, weight: _View, rhs: _View, x: _View, rtol: float, max_iter: int, threads: int
) -> tuple[int, int, float]: ...
def lloyd(
    x: _View,
    weights: _View | None,
    sites: _View,
    mass: _View,
    sum: _View,
    labels: _View | None,
    cost: _View | None,
    threads: int,
    simd: str,
) -> float: ...
def lloyd_seed(x: _View, weights: _View | None, uniforms: _View, chosen: _View, threads: int, simd: str) -> int: ...
def lloyd_workspace(x: _View, weights: _View | None, sites: _View, threads: int) -> int: ...
def simd(requested: str = "") -> str: ...
def simd_best() -> str: ...
def multimarginal(
    points: list[_View | None],
    weights: list[_View | None],
    costs: list[_View],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    edges: Sequence[tuple[int, int]] | None,
    tol: float,
    max_iter: int,
    memory: int,
    report: Callable[[int], bool] | None,
    potentials: _View,
    errors: _View,
    values: _View,
    threads: int,
    simd: str,
) -> tuple[int, bool]: ...
def multimarginal_evaluate(
    points: list[_View | None],
    weights: list[_View | None],
    costs: list[_View],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    edges: Sequence[tuple[int, int]] | None,
    potentials: _View,
    pairs: list[_View | None],
    grad_points: list[_View],
    plans_only: bool,
    threads: int,
    simd: str,
) -> tuple[float, float, float, float, list[float], int]: ...
def multimarginal_minimum(
    points: list[_View | None],
    weights: list[_View | None],
    costs: list[_View],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    edges: Sequence[tuple[int, int]] | None,
    potentials: _View,
    budget: int,
    threshold: float,
    tuples: bool,
    threads: int,
    simd: str,
) -> tuple[float, float, bool, int, list[int], list[float], list[int]]: ...
def multimarginal_workspace(
    points: list[_View | None],
    weights: list[_View | None],
    costs: list[_View],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    edges: Sequence[tuple[int, int]] | None,
    threads: int,
    memory: int,
) -> int: ...
def multimarginal_pair(
    points: list[_View | None],
    weights: list[_View | None],
    costs: list[_View],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    edges: Sequence[tuple[int, int]] | None,
    potentials: _View,
    p: int,
    q: int,
    plan: _View,
    threads: int,
    simd: str,
) -> bool: ...
def multimarginal_pair_workspace(
    points: list[_View | None],
    weights: list[_View | None],
    costs: list[_View],
    sizes: list[int],
    n_marginals: int,
    kind: int,
    s: float,
    strength: float,
    epsilon: float,
    edges: Sequence[tuple[int, int]] | None,
    p: int,
    q: int,
    threads: int,
) -> int: ...
def multimarginal_bags(sizes: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]: ...
def sliced(
    x: _View,
    y: _View,
    a: _View | None,
    b: _View | None,
    directions: _View,
    p: float,
    cost: _View,
    grad_x: _View | None,
    grad_y: _View | None,
    grad_a: _View | None,
    grad_b: _View | None,
    threads: int,
    simd: str,
) -> tuple[float, float]: ...
def sliced_workspace(
    x: _View,
    y: _View,
    a: _View | None,
    b: _View | None,
    directions: _View,
    p: float,
    grad_x: bool,
    grad_y: bool,
    grad_a: bool,
    grad_b: bool,
    threads: int,
) -> int: ...
