"""Many problems at once: arrays with a leading axis, or a list; side by side on threads, each with its own stop."""

from __future__ import annotations

import ctypes
import inspect
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _rng, errors
from ..._array import NUMPY, TORCH, Library, is_tracer, library_of
from ...results import Expectation, MultimarginalBatch, MultimarginalResult
from .._problem import detached, is_batch, parts_of
from .._runners import OPERATION
from .sinkhorn import sinkhorn

BATCH = "multimarginal.sinkhorn_batch"
SMALL = 3e4  # tuples up to which a problem takes Python longer than the kernels: threads would wait for each other
PATIENCE = 0.2  # seconds in which sweeps that end anyway may do so after an interrupt
Watch = Callable[["BatchState"], bool | None]


class BatchState(NamedTuple):
    """What the callback of a batch sees: how many problems are done, of how many."""

    done: int
    total: int


def sinkhorn_batch(
    problems: Sequence[Mapping[str, Any]], *, callback: Watch | None = None, **common: Any
) -> list[MultimarginalResult]:
    """Solve a list of problems of any sizes side by side, each as `sinkhorn` does and with its own stop.

    As many problems run at once as there are threads (on a GPU, and where all are very small, one after the other); a
    problem has the threads that its neighbours leave. Every result is that of `sinkhorn` alone, to the bit. Memory is
    that of the problems that run at once.

    Parameters
    ----------
    problems : sequence of dict
        The arguments of `sinkhorn` by name, of each problem; no `callback`.
    callback : callable, optional
        Called with a state (`done`, `total`) about ten times a second; True stops: what is running ends at its next
        sweep, what has not begun is evaluated as it is, and neither has converged.
    common : arguments of `sinkhorn` by name
        Those of all problems that do not say otherwise.

    Returns
    -------
    list of MultimarginalResult

    Warns
    -----
    ConvergenceWarning
        Some problems have not converged; the others are not affected.

    Raises
    ------
    InvalidValue, InvalidType, OutOfMemory
        As `sinkhorn`, naming the problem.
    Interrupted
        Ctrl-C; ``.result`` is the list, with None where a problem had not begun.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> clouds = [np.random.default_rng(n).random((n, 2)) for n in (20, 30, 25)]
    >>> results = deblai.multimarginal.sinkhorn_batch([{"points": x} for x in clouds], n_marginals=3, epsilon=0.5)
    >>> [r.potentials.shape[0] for r in results], all(r.converged for r in results)
    ([20, 30, 25], True)
    """
    if not isinstance(problems, Sequence) or not all(isinstance(p, Mapping) for p in problems):
        raise errors.InvalidType(f"[{BATCH}] problems: expected a list of dicts of arguments of sinkhorn")
    whole = [{**common, **p} for p in problems]
    known = inspect.signature(sinkhorn).parameters
    for k, p in enumerate(whole):
        unknown = [name for name in p if name not in known]
        if unknown:
            raise errors.InvalidValue(f"[{BATCH}] problems[{k}]: expected arguments of sinkhorn, got {unknown[0]!r}")
        if "callback" in p or is_batch(p.get("points"), p.get("weights"), p.get("cost")):
            wanted = "one problem without a callback of its own" if "callback" in p else "one problem, not a batch"
            raise errors.InvalidValue(f"[{BATCH}] problems[{k}]: expected {wanted}")
    for k, p in enumerate(whole):
        if "epsilon" not in p:
            raise errors.InvalidValue(
                f"[{BATCH}] problems[{k}]: expected an epsilon, its own or a common one, got none"
            )
    results = _run(BATCH, whole, callback)
    _warn(BATCH, results, 3)
    return results


def of_arrays(arguments: dict[str, Any]) -> MultimarginalBatch:
    """Return the batched result of the arguments of `sinkhorn`, some of which have a leading axis."""
    ranks = {"points": 3, "weights": 2, "cost": 3, "init": 2}
    callback = arguments["callback"]
    shared = {name: v for name, v in arguments.items() if name not in ranks and name != "callback"}
    parts = [parts_of(arguments[name]) for name in ranks]
    sizes = {
        f"{name}{at}": x.shape[0]
        for (name, rank), each in zip(ranks.items(), parts, strict=True)
        for at, x in each
        if getattr(x, "ndim", 0) == rank
    }
    (first, total), *others = sizes.items()
    for name, size in others:
        if size != total:
            raise errors.InvalidValue(f"[{OPERATION}] {name}: expected {total} problems to match {first}, got {size}")
    if total == 0:
        raise errors.InvalidValue(f"[{OPERATION}] {first}: expected at least one problem, got none")
    points, weights = arguments["points"], arguments["weights"]
    if getattr(weights, "ndim", 0) == 2 and getattr(points, "ndim", 3) < 3 and weights.shape[1] != points.shape[0]:
        n = points.shape[0]
        raise errors.InvalidValue(
            f"[{OPERATION}] weights: expected ({n},), or (B, {n}) for a batch, got shape {tuple(weights.shape)}"
        )
    library = next((lib for each in parts for _, x in each if (lib := library_of(x))), NUMPY)
    if any(is_tracer(x) for each in parts for _, x in each):
        from ...jax import multimarginal as traced

        if callback is not None:
            raise errors.InvalidType(f"[{OPERATION}] callback: expected None inside jit, grad and vmap of JAX")
        return traced.batch({name: arguments[name] for name in ranks}, ranks, shared)
    problems = [
        {**shared, **{name: _entry(arguments[name], k, rank) for name, rank in ranks.items()}} for k in range(total)
    ]
    results = _run(OPERATION, problems, callback)
    _warn(OPERATION, results, 4)
    return _stacked(library, results)


# --- running ----------------------------------------------------------------------------------------------------------


def _run(operation: str, problems: list[dict[str, Any]], callback: Watch | None) -> list[MultimarginalResult]:
    """Solve problems; an error of one ends all."""
    total = len(problems)
    apart = all(map(_on_cpu, problems)) and max(map(_terms, problems), default=0.0) >= SMALL
    workers = min(total, _backend.settings().threads) if apart else 1
    results: list[MultimarginalResult | None] = [None] * total
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.ConvergenceWarning)
            if workers < 2:
                _one_after_the_other(operation, problems, results, callback)
            else:
                _side_by_side(operation, problems, results, workers, callback)
            return [_with_graph(p, r) for p, r in zip(problems, results, strict=True) if r is not None]
    except KeyboardInterrupt:
        done = sum(r is not None and r.converged for r in results)
        raise errors.Interrupted(
            f"[{operation}] interrupted: {done} of {total} problems had converged", results
        ) from None


def _one_after_the_other(
    operation: str, problems: list[dict[str, Any]], results: list[MultimarginalResult | None], callback: Watch | None
) -> None:
    stopped = False
    for k, problem in enumerate(problems):

        def watch(_: Any, k: int = k) -> bool:
            nonlocal stopped
            stopped = callback is not None and callback(BatchState(k, len(problems))) is True
            return stopped

        try:
            less = {"max_iter": 0} if stopped else {}
            results[k] = sinkhorn(**{**problem, **less, "callback": watch if callback else None})
        except errors.DeblaiError as error:
            raise _named(operation, k, error) from error
        except errors.Interrupted as error:
            results[k] = error.result
            raise


def _side_by_side(
    operation: str,
    problems: list[dict[str, Any]],
    results: list[MultimarginalResult | None],
    workers: int,
    callback: Watch | None,
) -> None:
    """Solve on threads, without graphs; they end with the last problem, at an error, or soon after `stop`."""
    now = _backend.settings()
    local = now._replace(threads=max(1, now.threads // workers))
    waiting: SimpleQueue[int] = SimpleQueue()
    for k in range(len(problems)):
        waiting.put(k)
    stop, ended = threading.Event(), threading.Semaphore(0)
    failures: dict[int, Exception] = {}

    def work() -> None:
        k = -1
        try:
            with _backend.restored(local):
                while not failures:
                    k = waiting.get_nowait()
                    problem = {name: detached(v) for name, v in problems[k].items()}
                    if stop.is_set():
                        problem["max_iter"] = 0
                    results[k] = sinkhorn(**problem, callback=lambda _: stop.is_set())
        except Empty:
            pass
        except errors.Interrupted as interrupted:
            results[k] = interrupted.result
        except Exception as error:
            failures[k] = error
            stop.set()
        finally:
            ended.release()

    pool = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    try:
        for thread in pool:
            thread.start()
        left = workers
        while left:
            left -= ended.acquire(timeout=0.1)
            if left and callback is not None and not stop.is_set():
                state = BatchState(sum(r is not None for r in results), len(problems))
                if callback(state) is True:
                    stop.set()
    except BaseException:
        while not waiting.empty():  # what has not begun never does
            with suppress(Empty):
                waiting.get_nowait()
        stop.set()
        _end(pool)
        raise
    if failures:
        k = min(failures)
        raise _named(operation, k, failures[k]) from failures[k]


def _end(pool: list[threading.Thread]) -> None:
    """Wait for threads that were told to stop; those that do not hear it, in a long sweep, are interrupted."""
    until = time.monotonic() + PATIENCE
    for thread in pool:
        thread.join(max(0.0, until - time.monotonic()))
    for thread in pool:
        if thread.is_alive():
            interrupt = ctypes.py_object(KeyboardInterrupt)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), interrupt)
    for thread in pool:
        thread.join()


def _with_graph(problem: dict[str, Any], result: MultimarginalResult) -> MultimarginalResult:
    """Return the result as PyTorch differentiates it: the same potentials, evaluated where the graph is recorded."""
    if not _tracks(problem):
        return result
    flat, sizes = result._plans.potentials, result._plans.q.sizes
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    start = parts[0] if result._plans.q.symmetric else parts
    plain = {name: v for name, v in problem.items() if name not in ("grad", "certify")}
    again = sinkhorn(**{**plain, "init": start, "max_iter": 0})
    return replace(result, value=again.value, potentials=again.potentials)


def _named(operation: str, k: int, error: Exception) -> Exception:
    """Return the error with the number of its problem."""
    if not isinstance(error, errors.DeblaiError):
        return error
    text = str(error).removeprefix(f"[{OPERATION}] ")
    return type(error)(f"[{operation}] problem {k}: {text}")


def _warn(operation: str, results: list[MultimarginalResult], level: int) -> None:
    late = [str(k) for k, r in enumerate(results) if not r.converged]
    if late:
        which = ", ".join(late[:8]) + (", ..." if len(late) > 8 else "")
        warnings.warn(
            f"[{operation}] {len(late)} of {len(results)} problems have not converged ({which}): raise max_iter, "
            "epsilon or tol, or start from these potentials (init)",
            errors.ConvergenceWarning,
            stacklevel=level,
        )


# --- arrays -----------------------------------------------------------------------------------------------------------


def _entry(v: Any, k: int, rank: int) -> Any:
    """Return what problem k has of an argument."""
    if isinstance(v, dict):
        return {key: _entry(c, k, rank) for key, c in v.items()}
    if isinstance(v, list | tuple):
        return [_entry(x, k, rank) for x in v]
    return v[k] if getattr(v, "ndim", 0) == rank else v


def _arrays(problem: dict[str, Any]) -> list[Any]:
    return [x for name in ("points", "weights", "cost") for _, x in parts_of(problem.get(name)) if library_of(x)]


def _terms(problem: dict[str, Any]) -> float:
    """Return about how many tuples of points a problem has."""
    given = [x for name in ("points", "cost") for _, x in parts_of(problem.get(name)) if getattr(x, "ndim", 0)]
    longest = max((float(x.shape[0]) for x in given), default=0.0)
    points = problem.get("points")
    count = problem.get("n_marginals") or (len(points) if isinstance(points, list | tuple) else 2)
    return longest ** float(min(count, 99)) if isinstance(count, int) else 0.0


def _on_cpu(problem: dict[str, Any]) -> bool:
    return all(library_of(x).device(x).startswith("cpu") for x in _arrays(problem))  # type: ignore[union-attr]


def _tracks(problem: dict[str, Any]) -> bool:
    return any(library_of(x) is TORCH and x.requires_grad for x in _arrays(problem))


def _stacked(library: Library, results: list[MultimarginalResult]) -> MultimarginalBatch:
    """Return one result whose entries have a leading axis."""
    first = results[0]
    made: dict[str, Any] = {}
    for name in (f.name for f in fields(MultimarginalResult)):
        values = [getattr(r, name) for r in results]
        if name in ("epsilon", "n_marginals", "backend"):
            made[name] = getattr(first, name)
        elif name == "history":
            made[name] = values
        elif name == "_plans":
            made[name] = Plans(library, values)
        else:
            made[name] = _tree(library, values)
    return MultimarginalBatch(**made, results=tuple(results))


def _tree(library: Library, values: list[Any]) -> Any:
    head = values[0]
    if isinstance(head, dict):
        return {key: _tree(library, [v[key] for v in values]) for key in head}
    if isinstance(head, list):
        return [_tree(library, list(column)) for column in zip(*values, strict=True)]
    if isinstance(head, Expectation):
        return Expectation(*(_tree(library, list(column)) for column in zip(*values, strict=True)))
    if head is None:
        return None
    return library.stack(values) if library_of(head) is library else np.array(values)


class Plans:
    """The plans of a batch: every question is put to each, and the answers are stacked."""

    def __init__(self, library: Library, plans: list[Any]) -> None:
        self.library, self.plans = library, plans

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def ask(*arguments: Any) -> Any:
            if name in ("sample", "expectation"):  # one stream of random numbers for all
                arguments = (*arguments[:-1], _rng.generator(f"multimarginal.{name}", arguments[-1]))
            return _tree(self.library, [getattr(plan, name)(*arguments) for plan in self.plans])

        return ask
