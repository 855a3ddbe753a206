"""Digits, a stipple and electrons: each kernel on real input, pictures, and a table of errors against known truths.

Needs the extra 'demo' (scikit-learn, matplotlib, tqdm). Writes pictures and quickstart.json to --out. The exit code is
1 when an error exceeds its bound.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ... import _validate, errors
from ..._extras import require
from . import digits, electrons, stipple
from .report import Story, write

STORIES = {"digits": digits.tell, "stipple": stipple.tell, "electrons": electrons.tell}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", default="deblai-quickstart", metavar="DIR", help="where the pictures go")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise, directions and sites (default 0)")
    parser.add_argument("--only", choices=list(STORIES), help="one of the stories")
    parser.add_argument("--steps", type=int, default=1500, help="steps of the flow from noise (default 1500)")
    parser.add_argument("--sites", type=int, default=8000, help="dots of the stipple (default 8000)")


def run(options: argparse.Namespace) -> int:
    """Run it all; exit code 1 when an error exceeds its bound."""
    for module in ("sklearn.datasets", "matplotlib.figure", "tqdm"):
        require(module, "quickstart", "demo")
    for name in ("steps", "sites"):
        _validate.positive_integer("quickstart", name, getattr(options, name))
    if options.seed < 0:
        raise errors.InvalidValue(f"[quickstart] seed: expected a nonnegative integer, got {options.seed}")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    story = Story(out, options.seed, options.steps, options.sites)
    rows = [row for name, tell in STORIES.items() if options.only in (None, name) for row in tell(story)]
    write(rows, out)
    return 0 if all(row.error <= row.bound for row in rows) else 1
