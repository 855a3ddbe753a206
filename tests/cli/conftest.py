"""What tests of commands share: what a command said, and how it refused."""

import json

import pytest
from deblai.cli import main


@pytest.fixture
def said(capsys):
    """Run a command that must succeed; return its JSON."""

    def run(*arguments):
        assert main([str(v) for v in arguments]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys):
    """Run a command that must refuse its input in one line; return that line."""

    def run(command, *arguments):
        assert main([command, *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert err.startswith(f"python -m deblai {command}: [")
        return err

    return run


@pytest.fixture
def is_png():
    """Whether a file is a PNG."""
    return lambda path: path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
