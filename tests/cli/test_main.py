"""The command line as a whole: exit codes and usage."""

import deblai
import pytest
from deblai.cli import COMMANDS, main


def test_info(said):
    assert said("info") == deblai.info()


def test_an_interrupt_is_exit_code_130(capsys, monkeypatch):
    def interrupted(options):
        raise deblai.Interrupted("stopped")

    monkeypatch.setattr("deblai.cli.info.run", interrupted)
    assert main(["info"]) == 130


@pytest.mark.parametrize(
    "arguments",
    [
        *(["nonsense"], [], ["sliced"], ["sliced", "a", "b", "-p", "two"], ["quantize", "a.npy"]),
        *(["multimarginal", "a.npy", "-N", "3"], ["quickstart", "--only", "cats"]),
    ],
)
def test_bad_usage_is_exit_code_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__)
def test_help(command, capsys):
    """Each command explains itself."""
    with pytest.raises(SystemExit) as stop:
        main([command.__name__.rpartition(".")[2], "--help"])
    assert stop.value.code == 0
    assert command.__doc__.partition("\n")[0] in " ".join(capsys.readouterr().out.split())
