"""Print version, instruction set, threads and CUDA as JSON."""

from __future__ import annotations

import argparse
import json

from .._info import info


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none."""


def run(options: argparse.Namespace) -> int:
    """Print `deblai.info()`."""
    print(json.dumps(info(), indent=2))
    return 0
