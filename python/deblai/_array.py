"""Arrays of NumPy, PyTorch, JAX and CuPy: what deblai needs to know of each, without importing any but NumPy.

`gather` finds the one library, dtype and device that all arguments share, or says which do not fit. Kernels read
arrays through `_dlpack.view`, without a copy; outputs are made by the caller's own library.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import _dlpack, errors

FLOATS = ("float32", "float64")
_NUMPY_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Library:
    """NumPy, and what the other libraries share with it."""

    name = "NumPy"

    def dtype(self, x: Any) -> str:
        return str(x.dtype)

    def device(self, x: Any) -> str:
        return "cpu"

    def scalars(self, values: Iterable[float], like: Any) -> list[Any]:
        """Return 0-d values with the dtype and device of `like`."""
        return list(map(like.dtype.type, values))

    # view(x, writable=False): a capsule around a strided view; the compiled function itself, for speed.
    view: Callable[..., Any] = staticmethod(_dlpack.view)

    def zeros(self, like: Any) -> Any:
        """Return zeros of the same shape, dtype and device; C-contiguous."""
        return np.zeros(like.shape, like.dtype)

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Any:
        """Return an uninitialised C-contiguous array on the device of `like`."""
        return np.empty(shape, dtype)

    def copy(self, x: Any) -> Any:
        """Return a copy that nobody else changes."""
        return x.copy()

    def stack(self, arrays: list[Any]) -> Any:
        """Return arrays of one shape along a new leading axis."""
        return np.stack(arrays)

    def cast(self, x: Any, like: Any) -> Any:
        """Return `x` with the dtype of `like`."""
        return x.astype(like.dtype)

    def export(self, array: Any, like: Any) -> Any:
        """Turn a NumPy array into this library's, with the dtype and device of `like`."""
        return np.asarray(array, like.dtype)

    def device_array(self, array: Any, like: Any) -> Any:
        """Turn a NumPy array into this library's, on the device of `like`, with its own dtype."""
        return np.asarray(array)

    def finish(self, output: Any, like: Any) -> Any:
        """Turn an output made by `zeros` and filled by a kernel into what the caller gets."""
        return output

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        """Return a NumPy array with the same values."""
        return np.asarray(x)

    def stream(self, x: Any) -> int:
        """Return the CUDA stream that the caller's library works on, as an integer."""
        return 0


class Torch(Library):
    """PyTorch."""

    name = "PyTorch"

    def scalars(self, values: Iterable[float], like: Any) -> list[Any]:
        return [self.export(value, like) for value in values]

    def dtype(self, x: Any) -> str:
        return str(x.dtype).removeprefix("torch.")

    def device(self, x: Any) -> str:
        return str(x.device)

    @staticmethod
    def view(x: Any, writable: bool = False) -> Any:
        return _dlpack.view(x.detach(), writable)

    def zeros(self, like: Any) -> Any:
        torch = sys.modules["torch"]
        return torch.zeros(like.shape, dtype=like.dtype, device=like.device)

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Any:
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, dtype), device=like.device)

    def copy(self, x: Any) -> Any:
        return x.detach().clone()

    def stack(self, arrays: list[Any]) -> Any:
        return sys.modules["torch"].stack(arrays)

    def cast(self, x: Any, like: Any) -> Any:
        return x.to(like.dtype)

    def export(self, array: Any, like: Any) -> Any:
        torch = sys.modules["torch"]
        return torch.as_tensor(np.asarray(array)).to(device=like.device, dtype=like.dtype)

    def device_array(self, array: Any, like: Any) -> Any:
        return sys.modules["torch"].from_numpy(np.asarray(array)).to(device=like.device)

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.asarray(x.detach().cpu().numpy())

    def stream(self, x: Any) -> int:
        return int(sys.modules["torch"].cuda.current_stream(x.device).cuda_stream)


class Jax(Library):
    """JAX. Its arrays are immutable: on the CPU, kernels write NumPy arrays that become JAX ones."""

    name = "JAX"

    def scalars(self, values: Iterable[float], like: Any) -> list[Any]:
        return [self.export(value, like) for value in values]

    def device(self, x: Any) -> str:
        (device,) = x.devices()
        return "cpu" if device.platform == "cpu" else f"cuda:{device.id}"

    def zeros(self, like: Any) -> Any:
        if self.device(like) == "cpu":
            return np.zeros(like.shape, like.dtype)
        jax = sys.modules["jax"]
        (device,) = like.devices()
        fresh = jax.device_put(np.zeros(like.shape, like.dtype), device)
        return fresh.block_until_ready()

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Any:
        fresh = np.zeros(shape, dtype)
        return fresh if self.device(like) == "cpu" else self.device_array(fresh, like).block_until_ready()

    def copy(self, x: Any) -> Any:
        return x

    def stack(self, arrays: list[Any]) -> Any:
        return sys.modules["jax"].numpy.stack(arrays)

    def export(self, array: Any, like: Any) -> Any:
        jax = sys.modules["jax"]
        (device,) = like.devices()
        return jax.device_put(np.asarray(array, like.dtype), device)

    def device_array(self, array: Any, like: Any) -> Any:
        (device,) = like.devices()
        return sys.modules["jax"].device_put(np.asarray(array), device)

    def finish(self, output: Any, like: Any) -> Any:
        return self.device_array(output, like) if isinstance(output, np.ndarray) else output


class Traced(Jax):
    """JAX inside jit, grad and vmap: shapes and dtypes, no values yet. `deblai.jax` runs on the CPU when they come."""

    def device(self, x: Any) -> str:
        return "cpu"

    def export(self, array: Any, like: Any) -> Any:
        return sys.modules["jax"].numpy.asarray(array, like.dtype)


class CuPy(Library):
    """CuPy."""

    name = "CuPy"

    def stack(self, arrays: list[Any]) -> Any:
        return sys.modules["cupy"].stack(arrays)

    def scalars(self, values: Iterable[float], like: Any) -> list[Any]:
        return [self.export(value, like) for value in values]

    def device(self, x: Any) -> str:
        return f"cuda:{x.device.id}"

    def zeros(self, like: Any) -> Any:
        cupy = sys.modules["cupy"]
        with like.device:
            return cupy.zeros(like.shape, like.dtype)

    def empty(self, shape: tuple[int, ...], dtype: str, like: Any) -> Any:
        cupy = sys.modules["cupy"]
        with like.device:
            return cupy.empty(shape, dtype)

    def export(self, array: Any, like: Any) -> Any:
        cupy = sys.modules["cupy"]
        with like.device:
            return cupy.asarray(np.asarray(array, like.dtype))

    def device_array(self, array: Any, like: Any) -> Any:
        cupy = sys.modules["cupy"]
        with like.device:
            return cupy.asarray(array)

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.asarray(x.get())

    def stream(self, x: Any) -> int:
        return int(sys.modules["cupy"].cuda.get_current_stream(x.device.id).ptr)


NUMPY, TORCH, JAX, TRACED, CUPY = Library(), Torch(), Jax(), Traced(), CuPy()
_ROOTS = {"numpy": NUMPY, "torch": TORCH, "jax": JAX, "jaxlib": JAX, "cupy": CUPY}
_by_type: dict[type, Library | None] = {np.ndarray: NUMPY}


def library_of(x: Any) -> Library | None:
    """Return the library that an array belongs to, None for anything else."""
    cls = type(x)
    if cls not in _by_type:
        roots = [_ROOTS.get(base.__module__.partition(".")[0]) for base in cls.__mro__] if hasattr(x, "dtype") else []
        _by_type[cls] = next((library for library in roots if library), None)
    return _by_type[cls]


def gather(operation: str, arguments: dict[str, Any], traces: bool = False) -> tuple[Library, list[Any]]:
    """Check that all arguments (None allowed) are arrays of one library, dtype and device, and return them.

    Lists, tuples and integer NumPy arrays become NumPy arrays of the floating dtype that the others have, float64
    if there is none. With `traces`, tracers of JAX may be among them: the library is then TRACED, and NumPy arrays
    are constants of the program, as everywhere in JAX.
    """
    if _plain(arguments.values()):
        return NUMPY, list(arguments.values())
    traced = traces and any(map(is_tracer, arguments.values()))
    library: Library | None = None
    first = dtype = device = ""
    convert = []
    arrays = []
    for name, x in arguments.items():
        if traced and isinstance(x, np.ndarray) and x.dtype.kind == "f" and not isinstance(x, np.ma.MaskedArray):
            x = sys.modules["jax"].numpy.asarray(x)
        arrays.append(x)
        if x is None:
            continue
        mine = library_of(x)
        if mine is None or (mine is NUMPY and x.dtype.kind in "iu" and not isinstance(x, np.ma.MaskedArray)):
            if mine is None and not isinstance(x, list | tuple):
                raise errors.InvalidType(
                    f"[{operation}] {name}: expected an array of NumPy, PyTorch, JAX or CuPy, or a list, "
                    f"got {type(x).__name__}"
                )
            convert.append(len(arrays) - 1)
            continue
        its_dtype, its_device = mine.dtype(x), _readable_device(operation, name, mine, x, traced)
        if its_dtype not in FLOATS:
            raise errors.InvalidType(f"[{operation}] {name}: expected float32 or float64, got {its_dtype}")
        if library is None:
            library, first, dtype, device = mine, name, its_dtype, its_device
        elif mine is not library:
            raise errors.InvalidType(
                f"[{operation}] {name}: expected a {library.name} array to match {first}, got a {mine.name} array"
            )
        elif device and its_device and its_device != device:
            raise errors.InvalidType(
                f"[{operation}] {name}: expected an array on {device} to match {first}, got one on {its_device}"
            )
        elif its_dtype != dtype:
            raise errors.InvalidType(f"[{operation}] {name}: expected {dtype} to match {first}, got {its_dtype}")
        device = device or its_device
    for k in convert:
        name = list(arguments)[k]
        if library not in (None, NUMPY) and not (traced and isinstance(arrays[k], np.ndarray)):
            raise errors.InvalidType(
                f"[{operation}] {name}: expected a {library.name} array to match {first}, "
                f"got {type(arrays[k]).__name__}"
            )
        arrays[k] = _floating(operation, name, arrays[k], dtype or "float64")
        if traced:
            arrays[k] = sys.modules["jax"].numpy.asarray(arrays[k])
    return TRACED if traced else library or NUMPY, arrays


def view_of(operation: str, name: str, library: Library, array: Any) -> Any:
    """Return what the kernels read of an array, None of None; an error says what cannot be read, and names it."""
    try:
        return None if array is None else library.view(array)
    except (RuntimeError, BufferError) as error:
        raise errors.InvalidType(
            f"[{operation}] {name}: expected a {library.name} array that DLPack can read (strides are whole multiples "
            "of the item size), got one that it cannot; make a copy"
        ) from error


def is_tracer(x: Any) -> bool:
    """Return whether x has no values yet, inside jit, grad and vmap of JAX."""
    return library_of(x) is JAX and isinstance(x, sys.modules["jax"].core.Tracer)


def _plain(values: Iterable[Any]) -> bool:
    """Return whether all are NumPy arrays of one floating dtype, or None: the common case, seen at once."""
    dtype = None
    for x in values:
        if type(x) is np.ndarray:
            if dtype is None:
                dtype = x.dtype
            elif x.dtype != dtype:
                return False
        elif x is not None:
            return False
    return dtype in _NUMPY_FLOATS


def _floating(operation: str, name: str, x: Any, dtype: str) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise errors.InvalidType(f"[{operation}] {name}: expected a rectangular list of numbers, {error}") from error
    if array.dtype.kind not in "iuf":
        raise errors.InvalidType(f"[{operation}] {name}: expected numbers, got {array.dtype}")
    return array.astype(dtype)


def _readable_device(operation: str, name: str, library: Library, x: Any, traced: bool = False) -> str:
    """Return the device, "" for a tracer that may come, or raise for arrays that cannot be read as they are."""
    if library is NUMPY:
        if isinstance(x, np.ma.MaskedArray):
            raise errors.InvalidType(f"[{operation}] {name}: expected a plain array, got a masked one")
        if isinstance(x, np.generic):
            raise errors.InvalidType(f"[{operation}] {name}: expected an array, got the scalar {x!r}")
        return "cpu"
    if library is JAX and is_tracer(x):
        if traced:
            return ""
        raise errors.InvalidType(
            f"[{operation}] {name}: expected a concrete JAX array, got a tracer; call it outside jit, grad and vmap"
        )
    if library is TORCH:
        torch = sys.modules["torch"]
        if x.layout is not torch.strided:
            raise errors.InvalidType(f"[{operation}] {name}: expected a dense tensor, got layout {x.layout}")
        if torch._C._functorch.is_functorch_wrapped_tensor(x):
            raise errors.InvalidType(
                f"[{operation}] {name}: expected a plain tensor, got one of torch.func; call it outside vmap and grad"
            )
    device = library.device(x)
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise errors.InvalidType(f"[{operation}] {name}: expected an array on the CPU or a CUDA device, got {device}")
    return device
