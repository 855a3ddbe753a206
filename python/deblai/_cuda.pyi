"""CUDA kernels of deblai, where the build has them. Arguments are views made by deblai._dlpack.view."""

from collections.abc import Callable, Sequence

_View = object  # a capsule around deblai::View

def columns_price(
    costs: _View, potential: _View, parents: _View, gain: _View, to: _View, stream: int, device: int
) -> None: ...
def device_count() -> int: ...
def device_name(device: int) -> str: ...
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
    stream: int,
    device: int,
) -> tuple[int, float, float]: ...
def laguerre_polygons(
    sites: _View,
    psi: _View | None,
    lower: Sequence[float],
    upper: Sequence[float],
    periodic: bool,
    offsets: _View,
    vertices: _View,
    neighbours: _View,
    stream: int,
    device: int,
) -> int: ...
def lloyd(
    x: _View,
    weights: _View | None,
    sites: _View,
    mass: _View,
    sum: _View,
    labels: _View | None,
    cost: _View | None,
    stream: int,
    device: int,
) -> float: ...
def lloyd_seed(x: _View, weights: _View | None, uniforms: _View, chosen: _View, stream: int, device: int) -> int: ...
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
    stream: int,
    device: int,
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
    stream: int,
    device: int,
) -> tuple[float, float, float, float, list[float], int]: ...
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
    stream: int,
    device: int,
) -> bool: ...
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
    stream: int,
    device: int,
) -> tuple[float, float, bool, int, list[int]]: ...
def multimarginal_graph_minimum(
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
    stream: int,
    device: int,
) -> tuple[float, float, bool, int, list[int]]: ...
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
    stream: int,
    device: int,
) -> tuple[float, float]: ...
