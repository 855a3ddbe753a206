"""What commands say: JSON on standard output, progress and remarks on standard error."""

from __future__ import annotations

import importlib
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import errors


def print_json(report: dict[str, Any]) -> None:
    """Print a report; scalars of any library become numbers, and null stands for NaN, which JSON has not."""
    print(json.dumps({name: _plain(value) for name, value in report.items()}, indent=2))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str | list):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def remark(command: str, text: str) -> None:
    """Print a line for people."""
    print(f"python -m deblai {command}: {text}", file=sys.stderr)


@contextmanager
def progress(
    total: int | None, unit: str, label: str | None = None, always: bool = False
) -> Iterator[Callable[[int, str], None]]:
    """Yield a function of what is done so far and a remark, which draws a bar (a count where no total is known).

    Silent without tqdm, and unless `always` where standard error is no terminal.
    """
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError:
        yield lambda done, text: None
        return
    disable = False if always else None
    with tqdm(total=total, desc=label, unit=unit, file=sys.stderr, leave=False, disable=disable) as bar:

        def show(done: int, text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show


@contextmanager
def unwarned() -> Iterator[None]:
    """Leave `ConvergenceWarning` to the command's own remark and its "converged": false."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.ConvergenceWarning)
        yield
