"""Checks of arguments that need no look at the entries; each raises a designed error."""

from __future__ import annotations

import math
import operator
from typing import Any

from . import errors


def points(operation: str, name: str, x: Any, like: Any = None, like_name: str = "x") -> Any:
    """Return points as a matrix (n, d); a vector (n,) is n points of the line."""
    if x is None:
        raise errors.InvalidType(f"[{operation}] {name}: expected an array, got None")
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2:
        raise errors.InvalidValue(f"[{operation}] {name}: expected shape (n, d) or (n,), got {tuple(x.shape)}")
    if 0 in x.shape:
        raise errors.InvalidValue(f"[{operation}] {name}: expected at least one point, got shape {tuple(x.shape)}")
    if like is not None and x.shape[1] != like.shape[1]:
        raise errors.InvalidValue(
            f"[{operation}] {name}: expected {like.shape[1]} coordinates to match {like_name}, got {x.shape[1]}"
        )
    return x


def weights(operation: str, name: str, a: Any, of: Any, of_name: str) -> Any:
    """Check the shape of one weight per point."""
    if a is not None and tuple(a.shape) != (of.shape[0],):
        raise errors.InvalidValue(
            f"[{operation}] {name}: expected {of.shape[0]} values to match {of_name}, got shape {tuple(a.shape)}"
        )
    return a


def positive_integer(operation: str, name: str, n: Any) -> int:
    """Return n as an int of at least 1."""
    try:
        k = operator.index(n)
    except TypeError:
        k = None
    if isinstance(n, bool) or k is None:
        raise errors.InvalidType(f"[{operation}] {name}: expected a positive integer, got {n!r}")
    if k < 1:
        raise errors.InvalidValue(f"[{operation}] {name}: expected a positive integer, got {n!r}")
    return k


def nonnegative_integer(operation: str, name: str, n: Any) -> int:
    """Return n as an int of at least 0."""
    if type(n) is int and n == 0:
        return 0
    try:
        return positive_integer(operation, name, n)
    except errors.DeblaiError as error:
        raise type(error)(str(error).replace("a positive integer", "a nonnegative integer")) from None


def marginal(operation: str, name: str, k: Any, count: int) -> int:
    """Return the number of one of so many marginals."""
    try:
        found = -1 if isinstance(k, bool) else operator.index(k)
    except TypeError:
        found = -1
    if not 0 <= found < count:
        raise errors.InvalidValue(f"[{operation}] {name}: expected an integer from 0 to {count - 1}, got {k!r}")
    return found


def pair(operation: str, p: Any, q: Any, count: int) -> tuple[int, int]:
    """Return the numbers of two different marginals."""
    found = marginal(operation, "p", p, count), marginal(operation, "q", q, count)
    if found[0] == found[1]:
        raise errors.InvalidValue(f"[{operation}] p, q: expected two different marginals, got {p} twice")
    return found


def gradient_names(operation: str, grad: Any, names: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the arguments whose gradients `grad` asks for; True asks for all that were given."""
    if grad is False or grad is None or (isinstance(grad, tuple) and not grad):
        return ()
    if grad is True:
        return given
    if not isinstance(grad, str | list | tuple | set | frozenset):
        raise errors.InvalidType(f"[{operation}] grad: expected True, False or names among {names}, got {grad!r}")
    asked = (grad,) if isinstance(grad, str) else tuple(grad)
    for name in asked:
        if name not in names:
            raise errors.InvalidValue(f"[{operation}] grad: expected names among {names}, got {name!r}")
        if name not in given:
            raise errors.InvalidValue(f"[{operation}] grad: '{name}' was not given, so it has no gradient")
    return tuple(name for name in names if name in asked)


def exponent(operation: str, p: Any) -> float:
    """Return the exponent p of a Wasserstein distance, 1 <= p < 1000."""
    value = p if type(p) in (int, float) else real(operation, "p", p)
    if not 1 <= value < 1000:
        raise errors.InvalidValue(f"[{operation}] p: expected 1 <= p < 1000, got {p!r}")
    return float(value)


def real(operation: str, name: str, value: Any) -> float:
    """Return a finite float."""
    if isinstance(value, bool | str):
        raise errors.InvalidType(f"[{operation}] {name}: expected a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise errors.InvalidType(f"[{operation}] {name}: expected a number, got {value!r}") from error
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise errors.InvalidValue(f"[{operation}] {name}: expected a finite number, got {value!r}")
    return number
