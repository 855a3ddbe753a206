"""The README's examples run, say what the README says they say, and its pictures are there."""

import re
import shlex

import numpy as np
import pytest
from deblai.cli import main

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


def blocks(root, language):
    text = (root / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_python(root):
    """Each block in a fresh namespace; where a comment shows the result r, its numbers are those."""
    shown = 0
    found = blocks(root, "python")
    assert len(found) >= 4
    for block in found:
        if "torch" in block:
            pytest.importorskip("torch")
        scope = {}
        exec(block, scope)
        for comment in re.findall(r"^# (\w+Result\(.*)$", block, re.MULTILINE):
            said, now = (dict(re.findall(rf"(\w+)=({NUMBER})", text)) for text in (comment, repr(scope["r"])))
            assert comment.partition("(")[0] == type(scope["r"]).__name__
            assert said.keys() == now.keys()
            for name in {"value", "value_linear", "energy", "n_sites", "n_projections"} & said.keys():
                assert float(now[name]) == pytest.approx(float(said[name]), rel=1e-4), name
                shown += 1
    assert shown >= 5


def test_commands(root, tmp_path, monkeypatch, rng):
    """Each command on small files of those names."""
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    image.fromarray(rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)).save("photo.jpg")
    for name, shape in (("samples", (300, 3)), ("A", (50, 2)), ("B", (60, 2))):
        np.save(f"{name}.npy", rng.standard_normal(shape))
    np.save("points.npy", np.linspace(0, 1, 40))
    np.save("density.npy", np.ones(40))
    ran = [line for block in blocks(root, "bash") for line in block.splitlines() if line.startswith("python -m deblai")]
    assert len(ran) == 4
    for line in ran:
        assert main(shlex.split(line)[3:]) == 0, line
    assert {path.name for path in tmp_path.glob("*.png")} == {"dots.png", "clusters.png", "pairs.png", "distance.png"}


def test_pictures(root):
    names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert len(names) == 3
    for name in names:
        assert (root / name).stat().st_size < 300_000
