"""Semi-discrete transport: gradients, PyTorch and JAX, bad input, interrupts, the extra."""

import json
import re
import sys

import deblai
import numpy as np
import pytest
from deblai.errors import BackendError, DeblaiError, InvalidType, InvalidValue, MissingExtra
from deblai.measures import Gaussian, Grid, Polytope, Samples, UniformBox
from deblai.quantization import semidiscrete

BOX = UniformBox((0, 0), (1, 1))
RNG = np.random.default_rng(0)
Y, NU = RNG.random((9, 2)), RNG.random(9) + 0.2
GRID = Grid(RNG.random((3, 4)) + 0.1, (0, 0), (1, 1))


def changed(v, value, index=-1):
    out = np.array(v)
    out.flat[index] = value
    return out


@pytest.mark.parametrize("measure", [BOX, GRID])
@pytest.mark.parametrize("periodic", [False, True])
def test_gradients(measure, periodic):
    """Central differences of the value, also in masses and densities whose sum is not kept."""
    found = semidiscrete(measure, Y, NU, periodic=periodic, tol=1e-11)
    h = 1e-6
    given = {"sites": Y, "masses": NU} | ({"density": GRID.values} if measure is GRID else {})
    for name, x in given.items():
        for k in range(0, x.size, 3):
            values = []
            for step in (h, -h):
                moved = given | {name: changed(x, x.flat[k] + step, k)}
                pixels = moved.pop("density", None)
                its = measure if pixels is None else Grid(pixels, (0, 0), (1, 1))
                values.append(semidiscrete(its, **moved, periodic=periodic, tol=1e-11).value)
            assert (values[0] - values[1]) / (2 * h) == pytest.approx(found.grad[name].flat[k], abs=2e-8)
    if measure is BOX:
        with pytest.raises(
            InvalidValue, match=r"grad: expected a measures.Grid of the plane for the gradient in the density"
        ):
            found.grad["density"]


def test_gradient_in_a_density_that_is_finer_than_the_cells():
    """Fewer sites than pixels, more sites than pixels, an empty pixel: the reference, and a change of the density."""
    rng = np.random.default_rng(1)
    for shape, n, periodic in (((4, 6), 3, False), ((2, 2), 30, False), ((3, 4), 4, True)):
        y, v = 2 * rng.random((n, 2)) - 0.5, rng.random(shape)
        v[1, 1] = 0
        grid = Grid(v, (0, 0), (1, 2))
        found = semidiscrete(grid, y, periodic=periodic, tol=1e-11).grad["density"]
        with deblai.use_backend("reference"):
            np.testing.assert_allclose(
                found, semidiscrete(grid, y, periodic=periodic, tol=1e-11).grad["density"], atol=1e-10
            )
        assert abs((found * v).sum()) < 1e-12
        way = rng.random(shape)  # also where nothing was: from there on one side
        values = [
            float(semidiscrete(Grid(v + t * way, (0, 0), (1, 2)), y, periodic=periodic, tol=1e-11).value)
            for t in (0, 1e-4, 2e-4)
        ]
        slope = (-3 * values[0] + 4 * values[1] - values[2]) / 2e-4
        assert slope == pytest.approx((found * way).sum(), abs=1e-6)


@pytest.mark.parametrize("periodic", [False, True])
def test_torch(periodic):
    """gradcheck; tensors out; the same numbers; double backward raises."""
    torch = pytest.importorskip("torch")
    y, nu = torch.from_numpy(Y.copy()).requires_grad_(), torch.from_numpy(NU.copy()).requires_grad_()
    grid = Grid(torch.from_numpy(GRID.values), (0, 0), (1, 1))
    for measure in (BOX, grid):
        assert torch.autograd.gradcheck(
            lambda a, b, m=measure: semidiscrete(m, a, b, periodic=periodic, tol=1e-11).value, (y, nu)
        )
    pixels = torch.from_numpy(GRID.values.copy()).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: semidiscrete(Grid(v, (0, 0), (1, 1)), y.detach(), periodic=periodic, tol=1e-11).value, (pixels,)
    )
    r = semidiscrete(BOX, y, nu, periodic=periodic)
    expected = semidiscrete(BOX, Y, NU, periodic=periodic)
    (2 * r.value).backward()
    np.testing.assert_allclose(y.grad, 2 * expected.grad["sites"], rtol=1e-13)
    np.testing.assert_allclose(nu.grad, 2 * expected.grad["masses"], rtol=1e-13)
    assert not any(v.requires_grad for v in (r.psi, r.masses, r.centroids))
    assert np.array_equal(r.psi, expected.psi)
    assert r.map(y.detach()).dtype == torch.int64
    (first,) = torch.autograd.grad(semidiscrete(BOX, y).value, y, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward is not supported"):
        first.sum().backward()
    seen = []
    watched = semidiscrete(BOX, y, nu, periodic=periodic, callback=lambda s: seen.append(s.mass_error))
    np.testing.assert_allclose(torch.autograd.grad(watched.value, y)[0], expected.grad["sites"], rtol=1e-9)
    assert watched.history == seen == pytest.approx(r.history, rel=1e-3)


@pytest.mark.parametrize("density", [False, True])
def test_torch_operator(density):
    """Opcheck; torch.compile without code generation keeps the operator whole, forward and backward."""
    torch = pytest.importorskip("torch")
    import deblai.torch  # noqa: F401  (registers it)

    y, nu = torch.from_numpy(Y.copy()).requires_grad_(), torch.from_numpy(NU.copy()).requires_grad_()
    pixels = torch.from_numpy(GRID.values.copy()).requires_grad_() if density else None
    fixed = ([0.0, 0.0], [1.0, 1.0], False, 1e-10, 100, density, [])
    done = torch.library.opcheck(torch.ops.deblai.semidiscrete.default, (y, nu, None, pixels, *fixed))
    assert set(done.values()) == {"SUCCESS"}

    def loss(a, b, v):
        return 2 * torch.ops.deblai.semidiscrete(a + 0, b, None, v, *fixed)[0]

    inputs = [t for t in (y, nu, pixels) if t is not None]
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    values = loss(y, nu, pixels), compiled(y, nu, pixels)
    assert values[0].item() == values[1].item()
    for one, other in zip(*(torch.autograd.grad(v, inputs) for v in values), strict=True):
        assert torch.equal(one, other)
    if density:
        without = torch.ops.deblai.semidiscrete(y, nu, None, pixels, *fixed[:5], False, [])[0]
        with pytest.raises(RuntimeError, match="density requires a gradient, but the operator was called without it"):
            without.backward()


def test_jax():
    """Eager, jit, grad, vmap: the same numbers; no maps out of jit."""
    jax = pytest.importorskip("jax")
    y, nu = jax.numpy.asarray(Y, np.float32), jax.numpy.asarray(NU, np.float32)
    expected = semidiscrete(BOX, np.asarray(y), np.asarray(nu))
    eager = semidiscrete(BOX, y, nu)
    assert isinstance(eager.psi, jax.Array)
    assert isinstance(eager.map(y), jax.Array)
    np.testing.assert_array_equal(eager.psi, expected.psi)
    value, grads = jax.jit(jax.value_and_grad(lambda a, b: semidiscrete(BOX, a, b).value, (0, 1)))(y, nu)
    np.testing.assert_allclose(value, expected.value, rtol=1e-6)
    np.testing.assert_allclose(grads[0], expected.grad["sites"], atol=1e-6)
    np.testing.assert_allclose(grads[1], expected.grad["masses"], atol=1e-6)
    inside = jax.jit(lambda a: semidiscrete(BOX, a))(y)
    np.testing.assert_allclose(inside.masses, 1 / 9, rtol=1e-6)
    assert bool(inside.converged)
    of_pixels = jax.jit(jax.grad(lambda v: semidiscrete(Grid(v, (0, 0), (1, 1)), y).value))
    grid = Grid(np.asarray(GRID.values, np.float32), (0, 0), (1, 1))
    np.testing.assert_allclose(of_pixels(grid.values), semidiscrete(grid, np.asarray(y)).grad["density"], atol=1e-5)
    kept = jax.jit(jax.grad(lambda b: semidiscrete(GRID, y, b).value))(nu)  # concrete sites, NumPy pixels
    np.testing.assert_allclose(kept, semidiscrete(GRID, np.asarray(y), np.asarray(nu)).grad["masses"], atol=1e-6)
    with pytest.raises(InvalidType, match="expected concrete arrays"):
        inside.map(y)
    both = jax.vmap(lambda a: semidiscrete(BOX, a).value)(jax.numpy.stack([y, 1 - y]))
    np.testing.assert_allclose(both, 2 * [float(semidiscrete(BOX, y).value)], rtol=1e-5)


BAD = [
    ({"measure": None}, InvalidType, r"measure: expected measures.UniformBox, .* got NoneType"),
    ({"measure": Samples(Y)}, InvalidType, r"measure: expected measures.UniformBox, .* got Samples"),
    ({"measure": Gaussian([0.0] * 3)}, InvalidValue, "measure: expected a UniformBox, Grid or Polytope in 3 dim"),
    ({"measure": Gaussian([0.0] * 2), "periodic": True}, InvalidValue, "periodic: expected False for a measures.Gaus"),
    ({"measure": Polytope(np.eye(4)[:, :3])}, InvalidValue, r"sites: expected shape \(n, 3\) with n >= 1"),
    ({"measure": UniformBox((0,), (1,))}, InvalidValue, "measure: expected 2 or 3 dimensions, got 1"),
    ({"sites": None}, InvalidType, "sites: expected an array, got None"),
    ({"sites": Y[0]}, InvalidValue, r"sites: expected shape \(n, 2\) with n >= 1, got \(2,\)"),
    ({"sites": Y[:0]}, InvalidValue, r"sites: expected shape \(n, 2\) with n >= 1"),
    ({"sites": changed(Y, np.nan)}, InvalidValue, "sites: expected finite values, got nan or inf"),
    ({"sites": changed(Y, 1e60)}, InvalidValue, "sites: expected values below 50 powers of ten"),
    ({"sites": np.concatenate([Y[:8], Y[2:3]])}, InvalidValue,
     "sites: expected distinct places of what has mass, got site 8 at that of site 2"),
    ({"sites": np.concatenate([Y[:7], [[0.5, 0.5], [1.5, -0.5]]]), "periodic": True}, InvalidValue,
     "sites: expected distinct places"),
    ({"masses": NU[:4]}, InvalidValue, r"masses: expected 9 values to match sites, got shape \(4,\)"),
    ({"masses": changed(NU, -1)}, InvalidValue, "masses: expected nonnegative values of positive finite sum"),
    ({"masses": 0 * NU}, InvalidValue, "masses: expected nonnegative values of positive finite sum"),
    ({"masses": changed(NU, np.inf)}, InvalidValue, "masses: expected finite values"),
    ({"masses": NU.astype(np.float32)}, InvalidType, "masses: expected float64 to match sites"),
    ({"init": NU[:4]}, InvalidValue, "init: expected 9 values to match sites"),
    ({"init": changed(NU, np.nan)}, InvalidValue, "init: expected finite values"),
    ({"tol": -1}, InvalidValue, "tol: expected at least 0"),
    ({"tol": "small"}, InvalidType, "tol: expected a number"),
    ({"max_iter": -1}, InvalidValue, "max_iter: expected a nonnegative integer"),
    ({"periodic": 1}, InvalidType, "periodic: expected True or False, got 1"),
    ({"callback": 3}, InvalidType, "callback: expected a function of a SemidiscreteState, got 3"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "kind", "message"), BAD)
def test_bad_input(arguments, kind, message):
    """One line, the operation, the argument."""
    with pytest.raises(DeblaiError) as caught:
        semidiscrete(**{"measure": BOX, "sites": Y, "masses": NU} | arguments)
    assert type(caught.value) is kind
    assert re.match(rf"\[quantization\.semidiscrete\] {message}", str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_errors(monkeypatch):
    """Points to map, the GPU, a missing extra."""
    r = semidiscrete(BOX, Y)
    for x in (Y[0], np.full((1, 2), np.nan), None):
        with pytest.raises(InvalidValue, match=r"\[quantization.semidiscrete\] x: expected"):
            r.map(x)
    with deblai.use_backend("cuda"), pytest.raises(BackendError):
        semidiscrete(BOX, Y)
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    with pytest.raises(MissingExtra, match=r"needs scipy, which .*: pip install 'deblai\[quantization\]'"):
        r.map(Y)


def test_equal_sites_of_which_one_has_mass():
    """The other is left out."""
    masses = changed(NU, 0, 8)
    r = semidiscrete(BOX, np.concatenate([Y[:8], Y[2:3]]), masses)
    np.testing.assert_allclose(r.masses, masses / masses.sum(), rtol=1e-7)
    assert r.psi[8] == pytest.approx(r.psi[2], abs=1e-12)


def test_interrupt(python):
    """Ctrl-C: .result is the best psi so far, of a callback or of the kernel."""
    done = python("""
import json, os, signal
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
square = deblai.measures.UniformBox((0, 0), (1, 1))
sites = np.random.default_rng(0).random((2000, 2))
errors = []
def kill(state):
    errors.append(state.mass_error)
    if state.step == 2:
        os.kill(os.getpid(), signal.SIGINT)
try:
    deblai.quantization.semidiscrete(square, sites, callback=kill)
except deblai.Interrupted as error:
    r = error.result
    print(json.dumps(dict(message=str(error), steps=r.n_iter, error=r.mass_error, seen=errors, text=repr(r),
                          sum=float(r.masses.sum()), converged=r.converged)))
""")
    said = json.loads(done.stdout)
    assert said["message"] == "[quantization.semidiscrete] interrupted after 2 of 200 steps"
    assert said["steps"] == 2
    assert said["error"] == said["seen"][2] < said["seen"][0]
    assert said["sum"] == pytest.approx(1, abs=1e-12)
    assert not said["converged"]
    assert "converged=False" in said["text"]
