"""Sliced Wasserstein distances."""

from __future__ import annotations

from typing import Any

from .. import _backend, _rng, _validate, errors
from .._array import TORCH, TRACED, gather
from ..results import SlicedResult
from ._directions import sphere
from ._evaluate import NAMES, OPERATION, Problem, evaluate, summarize


def wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    directions: Any = "auto",
    grad: Any = (),
    rng: Any = None,
) -> SlicedResult:
    r"""Sliced Wasserstein distance of two weighted point clouds, with its standard error.

    .. math::
        SW_p^p = \mathbb{E}_\theta W_p^p(\theta_\# \mu, \theta_\# \nu), \qquad
        W_p^p = \int_0^1 |F^{-1}(t) - G^{-1}(t)|^p \, dt

    with :math:`\theta` uniform on the sphere [1]_ [2]_. Directions are streamed: nothing of size n times
    `n_projections` is stored.

    Parameters
    ----------
    x : array (n, d) or (n,)
        Points; NumPy, PyTorch, JAX or CuPy, float32 or float64, any strides, read without a copy. A vector is n
        points of the line. Lists and integer NumPy arrays are converted.
    y : array (m, d) or (m,)
        Points; same library, dtype and device.
    a, b : array (n,), (m,), optional
        Nonnegative weights of any positive sum: they are divided by it. Equal weights by default.
    p : float, default 2
        Exponent, 1 <= p < 1000.
    n_projections : int, default 100
        Number of random directions.
    directions : {"auto", "mc"} or array (L, d)
        "mc" draws independent uniform directions. "auto" does so for d > 1; on the line it takes the one direction
        there is, which is exact. An array is used as it is (normalise its rows for SW_p) and `n_projections` is
        ignored.
    grad : str or sequence of str or bool, default ()
        Which gradients of `value_p` to return in ``result.grad``: any of "x", "y", "a", "b"; True for all of the
        arguments given. The gradient in weights is that of the normalised weights, so its inner product with the
        weights is 0; where the dual potential is not unique (equal weights) it is a subgradient.
    rng : None, int or numpy.random.Generator
        Source of the directions (SPEC 7). They are drawn on the CPU: every backend and library sees the same.

    Returns
    -------
    SlicedResult
        `value`, `value_p`, `stderr`, `stderr_p`, `per_direction`, `directions`, `grad`, `backend`. For PyTorch and
        JAX, `value` and `value_p` are differentiable once in x, y, a and b.

    Raises
    ------
    InvalidValue
        Empty or mismatched shapes, NaN or infinite entries, negative weights, zero mass, overflow.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.
    OutOfMemory
        The workspace, O((n + m) (chunk + threads)) with a chunk of at most 32 directions, would not fit.
    Interrupted
        Ctrl-C; ``.result`` holds the directions done so far.

    Notes
    -----
    Sums, differences and costs are float64 whatever the dtype. Results do not depend on the number of threads, to
    the bit.

    Inside ``jax.jit``, ``grad``, ``value_and_grad`` and ``vmap`` (a loop) the kernel is called back on the CPU: from a
    GPU the arrays are copied there and the results back. Derivatives in reverse mode only; a derivative of anything
    but `value` and `value_p` raises. The backend of `use_backend` and whatever is not an array are those of the
    tracing: a compiled function sees the same random directions in every call, unless they are an argument of it.
    Errors in the entries of arrays (NaN, ...) and Ctrl-C arise while the compiled function runs: JAX raises an
    exception of its own, ``JaxRuntimeError`` or ``ValueError``, whose message ends with that of deblai.

    References
    ----------
    .. [1] J. Rabin, G. Peyré, J. Delon, M. Bernot, "Wasserstein barycenter and its application to texture mixing",
       SSVM 2011.
    .. [2] N. Bonneel, J. Rabin, G. Peyré, H. Pfister, "Sliced and Radon Wasserstein barycenters of measures",
       JMIV 2015.

    Examples
    --------
    A translation by t costs exactly :math:`|t|^2 / d` on average:

    >>> import numpy as np, deblai
    >>> x = np.random.default_rng(0).standard_normal((500, 3))
    >>> r = deblai.sliced.wasserstein(x, x + np.array([3.0, 0.0, 0.0]), n_projections=2000, rng=1)
    >>> bool(abs(r.value_p - 3.0) < 4 * r.stderr_p)
    True

    On the line the distance is exact:

    >>> float(deblai.sliced.wasserstein([0.0, 1.0, 3.0], [5.0, 6.0, 8.0], p=1).value)
    5.0
    """
    own = None if isinstance(directions, str) else directions
    arguments = {"x": x, "y": y, "a": a, "b": b, "directions": own}
    library, (x_, y_, a_, b_, theta) = gather(OPERATION, arguments, traces=True)
    points_x = _validate.points(OPERATION, "x", x_)
    points_y = _validate.points(OPERATION, "y", y_, points_x)
    a_ = _validate.weights(OPERATION, "a", a_, points_x, "x")
    b_ = _validate.weights(OPERATION, "b", b_, points_y, "y")
    p = _validate.exponent(OPERATION, p)
    given = ("x", "y") + (("a",) if a_ is not None else ()) + (("b",) if b_ is not None else ())
    wanted = _validate.gradient_names(OPERATION, grad, NAMES, given)
    exact = False
    if theta is not None:
        theta = _validate.points(OPERATION, "directions", theta, points_x)
    elif directions in ("auto", "mc"):
        d = points_x.shape[1]
        exact = d == 1 and directions == "auto"
        count = 1 if exact else _validate.positive_integer(OPERATION, "n_projections", n_projections)
        _backend.require_memory(OPERATION, 24 * count * d)
        drawn = [[1.0]] if exact else sphere(_rng.generator(OPERATION, rng), count, d)
        theta = library.export(drawn, points_x)
    else:
        raise errors.InvalidValue(
            f"[{OPERATION}] directions: expected 'auto', 'mc' or an array (L, d), got {directions!r}"
        )
    problem = Problem(library, points_x, points_y, a_, b_, theta, p, exact)
    if library is TORCH:
        from ..torch import sliced

        result = sliced.wasserstein(problem, wanted)
    elif library is TRACED:
        from ..jax import sliced as traced

        result = traced.wasserstein(problem, wanted)
    else:
        result = summarize(problem, evaluate(problem, wanted))
    if wanted:
        for name, original in (("x", x_), ("y", y_)):
            if name in wanted and original.ndim == 1:
                result.grad[name] = result.grad[name].reshape(original.shape)
    return result
