"""Laguerre cells inside jit, grad and vmap of JAX."""

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre

jax = pytest.importorskip("jax")
jnp = jax.numpy

ARRAYS = ("value", "energy", "mass", "centroid", "second_moment", "empty", "complete")
DTYPES = ("float32", "float64")
BOX = UniformBox((-0.1, 0.0), (1.0, 1.5))
VALUES = 0.1 + np.random.default_rng(1).random((6, 5))
WAYS = {
    "square": {},
    "box": {"measure": BOX},
    "torus": {"periodic": True},
    "grid": {"measure": Grid(jnp.asarray(VALUES), BOX.lower, BOX.upper)},
}


def without_jax(options):
    """The same with values of NumPy."""
    return options | ({"measure": Grid(VALUES, BOX.lower, BOX.upper)} if options is WAYS["grid"] else {})


def problem(n=12, dtype="float64"):
    rng = np.random.default_rng(0)
    return rng.random((n, 2)).astype(dtype), (0.02 * rng.random(n)).astype(dtype)


@pytest.fixture(params=WAYS)
def options(request):
    return WAYS[request.param]


@pytest.mark.parametrize("dtype", DTYPES)
def test_jit_gives_what_numpy_gives(options, dtype):
    """Every array of the result, to the bit, in the dtype that came in; with psi and without."""
    sites, psi = problem(dtype=dtype)
    for arguments in ((sites,), (sites, psi), (sites, 30 * psi)):
        expected = laguerre(*arguments, **without_jax(options), grad=True)
        c = jax.jit(lambda *q: laguerre(*q, **options, grad=True))(*map(jnp.asarray, arguments))
        assert c.value == jax.jit(lambda *q: laguerre(*q, **without_jax(options)))(*arguments).value
        for name in ARRAYS:
            one, other = getattr(c, name), getattr(expected, name)
            assert isinstance(one, jax.Array)
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        assert set(c.grad) == set(expected.grad)
        for name, gradient in expected.grad.items():
            np.testing.assert_array_equal(c.grad[name], gradient)
        assert repr(c) == repr(expected)
    assert expected.empty.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_gradients_as_pytorch(options, dtype):
    """To the bit; the density goes along, in the library of the sites."""
    torch = pytest.importorskip("torch")
    sites, psi = problem(dtype=dtype)
    theirs = dict(options)
    if options is WAYS["grid"]:
        theirs["measure"] = Grid(torch.from_numpy(VALUES), BOX.lower, BOX.upper)
    s, h = (torch.tensor(v, requires_grad=True) for v in (sites, psi))
    laguerre(s, h, **theirs).value.backward()
    f = jax.value_and_grad(lambda s, h: laguerre(s, h, **options).value, (0, 1))
    for g in (f, jax.jit(f)):
        value, (of_sites, of_psi) = g(jnp.asarray(sites), jnp.asarray(psi))
        assert value == laguerre(sites, psi, **without_jax(options)).value
        np.testing.assert_array_equal(of_sites, s.grad.numpy())
        np.testing.assert_array_equal(of_psi, h.grad.numpy())


def test_central_differences(options):
    """JAX's own check, reverse mode."""
    from jax.test_util import check_grads

    sites, psi = map(jnp.asarray, problem(n=7))

    def f(*q):
        return laguerre(*map(jnp.asarray, q), **options).value

    check_grads(f, (sites, psi), order=1, modes=["rev"], rtol=1e-4)
    check_grads(f, (sites,), order=1, modes=["rev"], rtol=1e-4)


def test_only_what_is_differentiated():
    """Concrete sites with traced psi; one gradient alone."""
    sites, psi = problem()
    options = without_jax(WAYS["grid"])
    for kept in (sites, jnp.asarray(sites)):
        gradient = jax.jit(jax.grad(lambda psi, kept=kept: laguerre(kept, psi, **options).value))(psi)
        np.testing.assert_array_equal(gradient, -laguerre(sites, psi, **options).mass)


def test_lloyd_as_one_program():
    """Fifty steps of gradient descent, y <- y - g / (2 m), inside a scan: the energy falls in every one."""
    sites = jnp.asarray(problem(n=30)[0])

    def step(s, _):
        def energy(s):
            c = laguerre(s)
            return c.value, c

        gradient, c = jax.grad(energy, has_aux=True)(s)
        return s - gradient / (2 * c.mass[:, None]), c

    last, history = jax.jit(lambda s: jax.lax.scan(step, s, None, 50))(sites)
    assert history.mass.shape == (50, 30)
    assert (jnp.diff(history.energy) < 0).all()
    np.testing.assert_allclose(last, history.centroid[-1], rtol=1e-12)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_vmap_is_the_loop(transform):
    """Values, whole results, gradients."""
    sites, psi = map(jnp.asarray, problem())
    several = jnp.stack([sites, 1 - sites, sites**2])
    batch = transform(jax.vmap(laguerre, (0, None)))(several, psi)
    gradients = transform(jax.vmap(jax.grad(lambda *q: laguerre(*q).value), (0, None)))(several, psi)
    for k, s in enumerate(several):
        one = laguerre(s, psi, grad="sites")
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(batch, name)[k], getattr(one, name))
        np.testing.assert_array_equal(gradients[k], one.grad["sites"])


def test_what_is_not_there():
    """Second derivatives, derivatives of masses, polygons: designed errors."""
    sites, psi = map(jnp.asarray, problem())
    with pytest.raises(deblai.errors.InvalidType, match=r"^\[quantization.laguerre\] second derivatives are not supp"):
        jax.hessian(lambda psi: laguerre(sites, psi).value)(psi)
    for name in ("mass", "energy", "centroid"):
        with pytest.raises(deblai.errors.InvalidType, match=rf"^\[quantization.laguerre\] {name} has no derivative"):
            jax.grad(lambda s, name=name: getattr(laguerre(s, psi), name).sum())(sites)
    c = jax.jit(laguerre)(sites, psi)
    with pytest.raises(deblai.errors.InvalidType, match=r"^\[quantization.laguerre\] sites: .* to compute polygons"):
        c.polygon(0)
    said = []
    jax.jit(lambda s: said.append(repr(laguerre(s))))(sites)
    assert "Trace" in said[0]


def test_errors():
    """Shapes and measures when JAX traces, entries when the program runs."""
    sites, psi = map(jnp.asarray, problem())
    with pytest.raises(deblai.errors.InvalidValue, match=r"^\[quantization.laguerre\] psi: expected 12 values"):
        jax.eval_shape(lambda s, h: laguerre(s, h[1:]), sites, psi)
    of_pixels = lambda v: laguerre(sites, measure=Grid(v, (0, 0), (1, 1))).value  # noqa: E731
    pixels = jnp.asarray(VALUES)
    np.testing.assert_allclose(jax.jit(of_pixels)(pixels), of_pixels(pixels), rtol=1e-6)
    with pytest.raises(deblai.errors.InvalidType, match=r"^\[quantization.laguerre\] measure.values: expected a const"):
        jax.grad(of_pixels)(pixels)
    torch = pytest.importorskip("torch")
    grid = Grid(torch.from_numpy(VALUES), (0, 0), (1, 1))
    with pytest.raises(deblai.errors.InvalidType, match=r"^\[quantization.laguerre\] measure.values: .* a PyTorch"):
        jax.eval_shape(lambda s: laguerre(s, measure=grid), sites)
    bad = sites.at[3, 0].set(jnp.nan)
    with pytest.raises((RuntimeError, ValueError), match=r"\[quantization.laguerre\] sites: expected finite"):
        jax.jit(laguerre)(bad, psi).value.block_until_ready()
    with pytest.raises(deblai.errors.InvalidValue, match=r"^\[quantization.laguerre\] sites: expected finite"):
        jax.grad(lambda s: laguerre(s).value)(bad)
