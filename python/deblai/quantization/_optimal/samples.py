"""Samples, which Lloyd's iteration quantizes: the best of several starts."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from ... import errors
from ...measures import Samples
from ...results import QuantizationResult, Restart
from .._lloyd.lloyd import LloydState, solve
from .._options import choice
from .landscape import OPERATION, Array


def best_of_lloyd(
    measure: Samples, count: int, p: float, given: Array | None, options: Any, callback: Any
) -> QuantizationResult:
    """Hand samples to `lloyd`, once for each start."""
    choice("method", options.method, ("auto", "lloyd"))
    if given is not None:
        raise errors.InvalidValue(f"[{OPERATION}] weights: expected 'free' for Samples")

    def called(state: LloydState) -> bool | None:
        found: bool | None = callback(state.step, state.sites, state.energy, np.nan)
        return found

    init = "k-means++" if options.init is None else options.init
    runs: list[QuantizationResult] = []
    doubts: list[str] = []
    stopped = False

    def best() -> QuantizationResult:
        least = min(runs, key=lambda r: float(r.energy))
        ends = tuple(Restart(float(r.energy), None, r.n_iter, r.converged) for r in runs)
        return replace(least, restarts=ends)

    try:
        for k in range(options.restarts + 1):
            if stopped:
                break
            start = init if k == 0 or isinstance(init, str) else "k-means++"
            run, doubt = solve(
                measure,
                count,
                None,
                start,
                options.periodic,
                options.max_iter,
                options.tol,
                options.rng,
                None if callback is None else called,
                True,
                p,
            )
            runs.append(run)
            doubts.append(doubt)
            stopped = callback is not None and not runs[-1].converged and runs[-1].n_iter < options.max_iter
    except errors.Interrupted as stop:
        if stop.result is not None:
            runs.append(stop.result)
        raise errors.Interrupted(f"[{OPERATION}] interrupted in start {k}", best() if runs else None) from None
    except errors.DeblaiError as error:
        text = str(error).replace("[quantization.lloyd] x:", "[quantization.lloyd] measure:")
        raise type(error)(text.replace("[quantization.lloyd]", f"[{OPERATION}]")) from None
    found = best()
    doubt = next(d for r, d in zip(runs, doubts, strict=True) if r.energy == found.energy)
    if doubt:
        warnings.warn(f"[{OPERATION}] {doubt}", errors.ConvergenceWarning, stacklevel=3)
    return found
