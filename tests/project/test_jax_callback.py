"""What all adapters of JAX share: a host function in a program, with lists of arrays."""

from dataclasses import dataclass

import deblai
import numpy as np
import pytest

jax = pytest.importorskip("jax")
jnp = jax.numpy

JAX_ERRORS = (RuntimeError, ValueError)  # the latter from the second call of a compiled function on


@dataclass(frozen=True)
class Moments:
    """A host function as an adapter has it: sum_k s |x_k|^2 . a, its gradients, an integer output and a vector."""

    scale: float

    def __call__(self, arrays, wanted):
        xs, a = arrays["x"], arrays["a"]
        assert all(type(v) is np.ndarray for v in xs)
        value = self.scale * sum((x**2).sum() for x in xs) * (1 if a is None else a)
        gradients = {f"x[{k}]": 2 * self.scale * x * (1 if a is None else a) for k, x in enumerate(xs)}
        if a is not None:
            gradients["a"] = value / a
        return (value, len(wanted), xs[0][0]), gradients


def moments(xs, a=None, fixed=None, asked=()):
    from deblai.jax._callback import call

    outputs = {
        "value": jax.ShapeDtypeStruct((), xs[0].dtype),
        "n_wanted": jax.ShapeDtypeStruct((), "int32"),
        "row": jax.ShapeDtypeStruct(xs[0].shape[1:], xs[0].dtype),
    }
    arrays = {"x": xs, "a": a, "fixed": {"cost": fixed}}
    return call("room.moments", Moments(3.0), arrays, outputs, constant=("fixed",), asked=asked)


def test_an_adapter_of_lists():
    """Lists, dicts and None among the arguments; names of entries; outputs of other dtypes; gradients asked for."""
    xs = [jnp.ones((2, 3)), 2 * jnp.ones((4, 1))]
    outputs, gradients = jax.jit(lambda xs: moments(xs, asked=["x[1]"]))(xs)
    assert (outputs["value"], outputs["n_wanted"]) == (3 * (6 + 16), 1)
    assert outputs["row"].shape == (3,)
    np.testing.assert_array_equal(gradients["x[1]"], 12 * np.ones((4, 1)))

    def f(xs, a):
        outputs, _ = moments(xs, a)
        return 0.5 * outputs["value"], outputs["n_wanted"]

    (of_x, of_a), count = jax.jit(jax.grad(f, (0, 1), has_aux=True))(xs, 2.0)
    assert count == 3
    assert of_a == 33
    for x, gradient in zip(xs, of_x, strict=True):
        np.testing.assert_array_equal(gradient, 6 * x)
    assert jax.grad(lambda x: f([x, xs[1]], 2.0), has_aux=True)(xs[0])[1] == 1
    batch = jax.vmap(lambda s: moments([s * x for x in xs])[0])(jnp.array([1.0, 2.0]))
    assert batch["value"].tolist() == [66, 264]
    assert batch["row"].shape == (2, 3)


def test_errors_of_an_adapter_name_the_entry():
    """The operation and the argument, as everywhere in deblai."""
    xs = [jnp.ones((2, 3))]
    with pytest.raises(deblai.errors.InvalidType, match=r"^\[room.moments\] fixed\['cost'\]: expected a constant"):
        jax.grad(lambda c: moments(xs, fixed=c)[0]["value"])(1.0)
    with pytest.raises(deblai.errors.InvalidType, match=r"^\[room.moments\] row has no derivative here"):
        jax.grad(lambda x: moments([x])[0]["row"].sum())(xs[0])
