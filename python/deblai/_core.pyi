"""CPU kernels of deblai. Arguments are views made by deblai._dlpack.view."""

from collections.abc import Callable

_View = object  # a capsule around deblai::View

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
    potentials: _View,
    pairs: list[_View | None],
    grad_points: list[_View],
    plans_only: bool,
    threads: int,
    simd: str,
) -> tuple[float, float, float, float]: ...
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
    threads: int,
    memory: int,
) -> int: ...
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
