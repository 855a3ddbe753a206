"""JAX: sliced.wasserstein inside jit, grad, vmap and control flow."""

import os
import sys

import deblai
import numpy as np
import pytest
from deblai.sliced import wasserstein

jax = pytest.importorskip("jax")
jnp = jax.numpy

NAMES = ("x", "y", "a", "b")
SCALARS = ("value", "value_p", "stderr", "stderr_p")
PS = (1.0, 1.5, 2.0, 3.0)
DTYPES = ("float32", "float64")
JAX_ERRORS = (RuntimeError, ValueError)  # the latter from the second call of a compiled function on


def clouds(n=9, m=7, d=3, dtype="float64", weights=True):
    rng = np.random.default_rng(0)
    q = {"x": rng.standard_normal((n, d)), "y": rng.standard_normal((m, d)) + 0.3}
    if weights:
        q |= {"a": rng.random(n) + 0.1, "b": rng.random(m) + 0.1}
    return {name: v.astype(dtype) for name, v in q.items()}


def arrays(**options):
    return {name: jnp.asarray(v) for name, v in clouds(**options).items()}


def value(x, y=None, a=None, b=None, **options):
    return wasserstein(x, clouds()["y"] if y is None else y, a, b, **{"rng": 0} | options).value


@pytest.fixture
def calls(monkeypatch):
    """What the kernel was asked for, call by call."""
    import deblai.jax.sliced as adapter

    seen = []

    def spy(problem, wanted):
        evaluation = evaluate(problem, wanted)
        seen.append((set(wanted), evaluation.backend))
        return evaluation

    evaluate = adapter.evaluate
    monkeypatch.setattr(adapter, "evaluate", spy)
    return seen


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "weights"), [(1.0, False), (1.5, True), (2.0, True), (2.0, False), (3.0, True)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_jit_gives_what_numpy_gives(dtype, weights, p):
    """Every array of the result, to the bit, in the dtype that came in."""
    expected = wasserstein(**clouds(dtype=dtype, weights=weights), p=p, rng=0, grad=True)
    r = jax.jit(lambda q: wasserstein(**q, p=p, rng=0, grad=True))(arrays(dtype=dtype, weights=weights))
    assert isinstance(r, deblai.results.SlicedResult)
    for name in (*SCALARS, "per_direction", "directions"):
        one, other = getattr(r, name), getattr(expected, name)
        assert isinstance(one, jax.Array)
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, other)
    assert set(r.grad) == set(expected.grad)
    for name, gradient in expected.grad.items():
        np.testing.assert_array_equal(r.grad[name], gradient)
    assert (r.p, r.n_projections, r.backend) == (p, 100, expected.backend)


def test_without_x64():
    """JAX as it comes: NumPy constants of the program become float32, as everywhere in JAX."""
    with jax.enable_x64(False):
        q = clouds()
        x = jnp.asarray(q["x"])
        v, g = jax.jit(jax.value_and_grad(value))(x, q["y"])
        closed = jax.jit(lambda x: value(x, q["y"]))(x)
        assert v.dtype == g.dtype == closed.dtype == "float32"
        assert closed == v == value(np.float32(q["x"]), np.float32(q["y"]))


def test_compiled_once_called_once():
    """A second call traces nothing; each call is one callback."""
    q, seen = arrays(), []

    @jax.jit
    def f(x):
        seen.append(x)
        return value(x, q["y"])

    assert f(q["x"]) == f(q["x"])
    assert f(q["x"] + 1) != f(q["x"])
    assert len(seen) == 1


def test_only_what_is_needed_is_computed(calls):
    """No gradients for a value alone; for a gradient one callback, in the arguments that are differentiated."""
    q = tuple(arrays().values())
    jax.jit(value)(*q).block_until_ready()
    assert [wanted for wanted, _ in calls] == [set()]
    for argnums in ((0,), (1, 3), (0, 1, 2, 3)):
        names = {NAMES[k] for k in argnums}
        for f in (jax.value_and_grad(value, argnums), jax.jit(jax.value_and_grad(value, argnums))):
            calls.clear()
            jax.block_until_ready(f(*q))
            assert [wanted for wanted, _ in calls] == [names]
    calls.clear()
    jax.block_until_ready(jax.grad(jax.jit(value))(*q))
    jax.block_until_ready(jax.grad(lambda x: wasserstein(x, *q[1:], grad="y").value)(q[0]))
    assert [wanted for wanted, _ in calls] == [{"x"}, {"x", "y"}]


def test_constants_of_the_program():
    """NumPy arrays and concrete JAX ones beside tracers; integers become floats, lists stay errors."""
    q, x = clouds(), jnp.asarray(clouds()["x"])
    expected = value(*q.values())
    assert jax.jit(lambda x: value(x, q["y"], q["a"], jnp.asarray(q["b"])))(x) == expected
    assert jax.jit(lambda y: value(q["x"], y, q["a"], q["b"]))(q["y"]) == expected
    assert jax.grad(lambda x: value(x, q["y"]))(x).shape == x.shape
    counts = np.arange(1, 8)
    assert jax.jit(lambda x: value(x, q["y"], b=counts))(x) == value(q["x"], q["y"], b=counts)
    with pytest.raises(deblai.errors.InvalidType, match=r"y: expected a JAX array to match x, got list"):
        jax.jit(lambda x: value(x, q["y"].tolist()))(x)
    with pytest.raises(deblai.errors.InvalidType, match=r"y: expected a plain array, got a masked one"):
        jax.jit(lambda x: value(x, np.ma.array(q["y"])))(x)


def test_directions_as_an_argument():
    """Fresh ones in every call of a compiled function."""
    q = arrays()

    @jax.jit
    def f(x, key):
        theta = jax.random.normal(key, (50, 3), x.dtype)
        theta = theta / jnp.linalg.norm(theta, axis=1, keepdims=True)
        return wasserstein(x, q["y"], directions=theta)

    one, other = (f(q["x"], jax.random.key(k)) for k in (0, 1))
    assert one.value != other.value
    assert one.value == wasserstein(q["x"], q["y"], directions=one.directions).value


def test_use_backend():
    """The settings under which JAX traced, also where the compiled function runs later; nothing moves to CUDA."""
    q = tuple(arrays().values())
    with deblai.use_backend("reference"):
        f = jax.jit(lambda *q: wasserstein(*q, rng=0)).lower(*q).compile()
        expected = wasserstein(*q, rng=0).value_p
    assert f(*q).backend == "reference"
    assert f(*q).value_p == expected
    with deblai.use_backend("cuda"), pytest.raises(deblai.errors.BackendError, match="'cuda' was asked for"):
        jax.jit(lambda *q: value(*q))(*q)  # not traced yet


def test_settings_reach_the_callback(calls):
    """Callbacks run in threads of XLA, which know nothing of the `with` block."""
    q = tuple(arrays().values())
    with deblai.use_backend("reference"):
        compiled = jax.jit(lambda *q: value(*q)).lower(*q).compile()
    compiled(*q).block_until_ready()
    with deblai.use_backend("reference"):
        jax.jit(lambda *q: value(*q, p=3))(*q).block_until_ready()
    jax.jit(lambda *q: value(*q, p=4))(*q).block_until_ready()
    assert [backend.partition("/")[0] for _, backend in calls] == ["reference", "reference", "cpu"]


def test_repr_of_a_traced_result():
    """print(result) inside jit says that there is no value yet."""
    said = []
    jax.jit(lambda x: said.append(repr(wasserstein(x, x))))(jnp.ones((4, 2)))
    assert "Trace" in said[0]


# --- derivatives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "weights"), [(1.0, True), (1.5, True), (2.0, True), (2.0, False), (3.0, True)])
@pytest.mark.parametrize("what", ["value", "value_p"])
def test_central_differences(what, weights, p):
    """JAX's own check, reverse mode."""
    from jax.test_util import check_grads

    q = arrays(n=5, m=4, weights=weights)
    check_grads(
        lambda *q: getattr(wasserstein(*q, p=p, n_projections=5, rng=0), what),
        tuple(q.values()),
        order=1,
        modes=["rev"],
        rtol=1e-5,
    )


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_gradients_as_the_kernel_and_pytorch(dtype, p):
    """value_p to the bit; value, behind a root, to rounding."""
    q = clouds(dtype=dtype)
    eager = wasserstein(**q, p=p, grad=True, rng=0)
    gradients = jax.jit(jax.grad(lambda q: wasserstein(**q, p=p, rng=0).value_p))(arrays(dtype=dtype))
    for name, gradient in gradients.items():
        assert gradient.dtype == dtype
        np.testing.assert_array_equal(gradient, eager.grad[name])
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(v, requires_grad=True) for name, v in q.items()}
    wasserstein(**tensors, p=p, rng=0).value.backward()
    gradients = jax.grad(lambda q: wasserstein(**q, p=p, rng=0).value)(arrays(dtype=dtype))
    for name, gradient in gradients.items():
        theirs = tensors[name].grad.numpy()
        np.testing.assert_allclose(gradient, theirs, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-9)


def test_every_order_of_transforms():
    """grad of jit, jit of grad, without jit, with checkpoint, cond and scan around the call."""
    q = arrays()
    x = q.pop("x")

    def f(x):
        return value(x, **q)

    expected = jax.grad(f)(x)
    for other in (
        jax.jit(jax.grad(f)),
        jax.grad(jax.jit(f)),
        jax.jit(jax.grad(jax.jit(f))),
        jax.grad(jax.checkpoint(f)),
        jax.grad(lambda x: jax.lax.cond(x.sum() > -100, f, lambda x: 0.0, x)),
        jax.grad(lambda x: jax.lax.scan(lambda c, _: (c, f(c)), x, None, 2)[1].mean()),
        jax.grad(lambda x: jax.lax.map(f, x[None])[0]),
        jax.grad(lambda x: 3 * f(x) / 3),
    ):
        np.testing.assert_allclose(other(x), expected, rtol=1e-14)
    with jax.disable_jit():
        np.testing.assert_array_equal(jax.jit(jax.grad(f))(x), expected)


def test_chain_rule():
    """d/ds SW_2(X, X + s t) = SW_2(X, X + t) for a scalar s > 0."""
    x, t = clouds()["x"], np.array([3.0, -1.0, 2.0])
    slope = jax.grad(lambda s: value(x, x + s * t))(2.0)
    assert slope == pytest.approx(value(x, x + t), rel=1e-12)


def test_shapes_of_gradients():
    """(n,) in, (n,) out, also for gradients that were asked for."""
    x, y = jnp.array([0.0, 2.0, 1.0]), jnp.array([3.0, 5.0, 4.5])
    expected = 2 * (x - y) / 3
    np.testing.assert_allclose(jax.grad(lambda x: wasserstein(x, y[:, None]).value_p)(x), expected)
    asked = jax.jit(lambda x: wasserstein(x, y[:, None], grad=True).grad)(x)
    np.testing.assert_allclose(asked["x"], expected)
    assert asked["y"].shape == (3, 1)


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("what", ["value", "value_p"])
def test_equal_clouds(what, p):
    """0, not NaN, where the distance is 0; the same array twice adds both gradients."""
    x = jnp.asarray(clouds()["x"])
    for f in (lambda x: wasserstein(x, x + 0, p=p, rng=0), lambda z: wasserstein(z, x, p=p, rng=0)):
        gradient = jax.grad(lambda x, f=f: getattr(f(x), what))(x)
        np.testing.assert_array_equal(gradient, np.zeros_like(x))


def test_second_derivatives_raise():
    """Never a silent zero: neither behind value and value_p nor behind a gradient that was asked for."""
    q = arrays()
    x = q.pop("x")
    match = r"^\[sliced.wasserstein\] second derivatives are not supported"
    for what in ("value", "value_p"):

        def f(x, what=what):
            return getattr(wasserstein(x, **q, rng=0), what)

        for twice in (
            jax.grad(lambda x, f=f: (jax.grad(f)(x) ** 2).sum() + (x**2).sum()),
            jax.jit(jax.grad(lambda x, f=f: (jax.jit(jax.grad(f))(x) ** 2).sum())),
            jax.hessian(f),
            jax.jacrev(jax.jacrev(f)),
        ):
            with pytest.raises(deblai.errors.InvalidType, match=match):
                twice(x)
    with pytest.raises(deblai.errors.InvalidType, match=match):
        jax.grad(lambda x: wasserstein(x, **q, rng=0, grad="x").grad["x"].sum())(x)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda x: value(x, **q), (x,), (x,))


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_what_has_no_derivative_raises(transform):
    """Other results, and the directions, unless they are said to be constants; as auxiliary output they may come."""
    q = arrays()
    x, y = q["x"], q["y"]
    for name in ("stderr", "stderr_p", "per_direction"):
        with pytest.raises(deblai.errors.InvalidType, match=rf"^\[sliced.wasserstein\] {name} has no derivative here"):
            transform(jax.grad(lambda x, name=name: getattr(wasserstein(x, y, rng=0), name).max()))(x)

    def loss(x):
        r = wasserstein(x, y, rng=0)
        return r.value + 0 * jax.lax.stop_gradient(r.stderr), r

    gradient, r = transform(jax.grad(loss, has_aux=True))(x)
    np.testing.assert_array_equal(gradient, jax.grad(value)(x, y))
    assert r.stderr == wasserstein(x, y, rng=0).stderr
    with pytest.raises(
        deblai.errors.InvalidType, match=r"^\[sliced.wasserstein\] directions: expected a constant, got an arg"
    ):
        transform(jax.grad(lambda theta: wasserstein(x, y, directions=theta).value))(jnp.eye(3))


def test_descent_in_a_scan():
    """Twenty steps of a training loop that is one program, the result as a pytree inside it."""
    q = arrays(n=40, m=40, weights=False)

    def step(x, _):
        def loss(x):
            r = wasserstein(x, q["y"], rng=0)
            return r.value_p, r

        (_, r), gradient = jax.value_and_grad(loss, has_aux=True)(x)
        return x - 40 * 3 / 2 * 0.5 * gradient, r

    history = jax.jit(lambda x: jax.lax.scan(step, x + 3, None, 20)[1])(q["x"])
    assert history.value.shape == (20,)
    assert history.per_direction.shape == (20, 100)
    assert history.value[-1] < 0.1 * history.value[0]


# --- vmap -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_vmap_is_the_loop(transform):
    """To the bit: over any of the arguments, along any axis, nested, and empty."""
    q = arrays()
    x, y, a, b = q.values()
    xs, scaled = jnp.stack([x, x + 1, 2 * x], 1), jnp.stack([a, a**2, a + 1])
    out = transform(jax.vmap(value, (1, None, 0, None)))(xs, y, scaled, b)
    assert out.tolist() == [float(value(xs[:, k], y, scaled[k], b)) for k in range(3)]
    table = [[float(value(xs[:, i], ys)) for ys in (y, y - 1)] for i in range(3)]
    nested = jax.vmap(jax.vmap(value, (None, 0)), (1, None))
    assert transform(nested)(xs, jnp.stack([y, y - 1])).tolist() == table
    nested = jax.vmap(jax.vmap(value, (1, None)), (None, 0))
    assert transform(nested)(xs, jnp.stack([y, y - 1])).T.tolist() == table
    assert transform(jax.vmap(value))(jnp.zeros((0, 4, 2)), jnp.zeros((0, 5, 2))).shape == (0,)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_vmap_and_gradients(transform):
    """Gradients of a batch, and the gradient of its sum: those of each element."""
    q = arrays()
    x, y, *_ = q.values()
    xs = jnp.stack([x, x + 1, 2 * x])
    expected = np.stack([jax.grad(value)(x, y) for x in xs])
    np.testing.assert_array_equal(transform(jax.vmap(jax.grad(value), (0, None)))(xs, y), expected)
    sums = jax.grad(lambda xs, y: jax.vmap(value, (0, None))(xs, y).sum(), (0, 1))
    of_x, of_y = transform(sums)(xs, y)
    np.testing.assert_array_equal(of_x, expected)
    np.testing.assert_allclose(of_y, sum(jax.grad(value, 1)(x, y) for x in xs), rtol=1e-14)
    jacobian = transform(jax.jacrev(lambda xs: jax.vmap(value, (0, None))(xs, y)))(xs)
    np.testing.assert_allclose(jacobian[1], np.stack([0 * x, expected[1], 0 * x]), rtol=1e-14)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "arguments", "options"),
    [
        ("y: expected 3 coordinates to match x, got 2", ((4, 3), (5, 2)), {}),
        ("x: expected shape", ((4, 3, 2), (5, 2)), {}),
        ("x: expected at least one point", ((0, 3), (5, 3)), {}),
        ("a: expected 4 values to match x, got shape", ((4, 3), (5, 3), (5,)), {}),
        ("p: expected 1 <= p < 1000, got 0.5", ((4, 3), (5, 3)), {"p": 0.5}),
        ("n_projections: expected a positive integer, got 0", ((4, 3), (5, 3)), {"n_projections": 0}),
        ("directions: expected 'auto', 'mc' or an array", ((4, 3), (5, 3)), {"directions": "all"}),
        ("grad: 'a' was not given", ((4, 3), (5, 3)), {"grad": "a"}),
    ],
)
def test_errors_of_shapes_and_options_come_when_jax_traces(message, arguments, options):
    """Before anything runs."""
    q = [jax.ShapeDtypeStruct(shape, "float64") for shape in arguments]
    with pytest.raises(deblai.errors.InvalidValue, match=rf"^\[sliced.wasserstein\] {message}"):
        jax.eval_shape(lambda *q: wasserstein(*q, **options), *q)


def test_errors_of_types_come_when_jax_traces():
    """Mixed dtypes, integers, and tracers in the place of a number or a seed."""
    x = jnp.ones((4, 3))

    def refuses(message, f, *arguments):
        with pytest.raises(deblai.errors.InvalidType, match=rf"^\[sliced.wasserstein\] {message}"):
            jax.eval_shape(f, *arguments)

    refuses("y: expected float64 to match x, got float32", wasserstein, x, x.astype("float32"))
    refuses("x: expected float32 or float64, got int64", wasserstein, x.astype(int), x)
    refuses("y: expected float32 to match x, got float64", lambda x: wasserstein(x, np.ones((4, 3))), jnp.float32(x))
    refuses("p: expected a number, got", lambda p: wasserstein(x, x + p, p=p), 2.0)
    refuses("rng: expected None, a nonnegative seed", lambda k: wasserstein(x, x + k, rng=k), 2)
    refuses("y: expected a JAX array to match x, got a PyTorch", lambda x: wasserstein(x, tensor()), x)


def tensor():
    return pytest.importorskip("torch").ones((4, 3))


def test_errors_of_entries():
    """Under jit JAX's exception with deblai's message in it, in the first call and later; else deblai's own."""
    q = arrays()
    bad = q["x"].at[2, 1].set(jnp.nan)
    message = r"\[sliced.wasserstein\] x: expected finite values, got nan at \[2, 1\]"

    def batch(x, y):
        return jax.vmap(value, (0, None))(x[None], y)

    for f in map(jax.jit, (value, jax.grad(value), batch)):
        for _ in range(2):
            with pytest.raises(JAX_ERRORS, match=message):
                f(bad, q["y"]).block_until_ready()
            for _ in range(2):
                f(q["x"], q["y"]).block_until_ready()
    for f in (jax.grad(value), batch):
        with pytest.raises(deblai.errors.InvalidValue, match="^" + message):
            f(bad, q["y"])
    assert jax.jit(value)(q["x"], q["y"]) == value(q["x"], q["y"])


# --- processes ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot confine a process to one core")
def test_one_core(python):
    """No deadlock where XLA has one thread, with arrays of a megabyte; results that nobody awaits end in peace."""
    code = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
import faulthandler
faulthandler.dump_traceback_later(50, exit=True)
import jax, numpy as np, deblai
x = jax.numpy.asarray(np.random.default_rng(0).standard_normal((100_000, 3)), "float32")
f = jax.jit(jax.value_and_grad(lambda x, y: sum(
    deblai.sliced.wasserstein(k * x, y, n_projections=2, rng=0).value for k in (2, 3))))
results = [f(x + k, x) for k in range(3)]
print(float(results[0][0]))
results = [f(x + k, x) for k in range(3)]
"""
    assert float(python(code, JAX_PLATFORMS="cpu", JAX_ENABLE_X64="0").stdout) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c(python):
    """Outside jit: deblai.Interrupted, with the result so far."""
    code = """
import os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import jax, numpy as np, deblai
x = jax.numpy.asarray(np.random.default_rng(0).standard_normal((50_000, 3)), "float32")

def f(x):
    return deblai.sliced.wasserstein(x, x + 1, n_projections=20_000, rng=0).value

jax.grad(f)(x[:10])  # JAX compiles, and deblai imports, what a first call wants
threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    jax.grad(f)(x)
except deblai.Interrupted as error:
    assert 0 < error.result.n_projections < 20_000
    print("stopped")
"""
    assert python(code, JAX_PLATFORMS="cpu").stdout == "stopped\n"
