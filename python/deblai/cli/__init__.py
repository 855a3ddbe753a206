"""The command line: one module a command.

Machine-readable results go to standard output, everything meant for people to standard error. Exit codes: 0 done,
2 bad input (one clear line), 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys

from .. import errors
from . import info, multimarginal, quantize, quickstart, sliced

COMMANDS = (quickstart, quantize, multimarginal, sliced, info)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="python -m deblai", description="A fast backend for optimal transport research.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2]
        about = (module.__doc__ or "").partition("\n")[0]
        sub = commands.add_parser(name, help=about, description=module.__doc__)
        module.arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except (errors.DeblaiError, OSError) as error:
        print(f"python -m deblai {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"python -m deblai {arguments.command}: interrupted", file=sys.stderr)
        return 130
