"""python -m deblai quickstart: every row within its bound, pictures, and an exit code that can be other than 0."""

import json

import pytest
from deblai.cli import main

pytest.importorskip("sklearn", reason="the extra 'demo' is not installed")
pytest.importorskip("matplotlib", reason="the extra 'demo' is not installed")
pytest.importorskip("tqdm", reason="the extra 'demo' is not installed")


def rows_of(folder):
    return json.loads((folder / "quickstart.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_whole_quickstart(tmp_path, capsys, is_png):
    assert main(["quickstart", "--out", str(tmp_path / "q")]) == 0
    rows = rows_of(tmp_path / "q")
    assert len(rows) == 16
    assert all(row["error"] <= row["bound"] for row in rows)
    assert rows[1]["bound"] == 1e-12
    names = ("digits_from_noise", "one_to_eight", "error_bars", "stipple", "electrons")
    for name in names:
        assert is_png(tmp_path / "q" / f"{name}.png")
    for name in ("digits_from_noise", "stipple", "electrons"):  # they go into a README
        assert (tmp_path / "q" / f"{name}.png").stat().st_size < 300_000
    assert rows[0]["what"] in capsys.readouterr().out


def test_stipple(tmp_path, is_png):
    """With fewer dots; the lattices are as they are."""
    assert main(["quickstart", "--only", "stipple", "--sites", "1500", "--out", str(tmp_path)]) == 0
    rows = rows_of(tmp_path)
    assert len(rows) == 7
    assert [row["bound"] for row in rows[:2]] == [1e-12, 1e-12]
    assert rows[2]["value"] > 1  # no sites do better than Zador's limit by much, and none here at all
    assert rows[3]["truth"] == pytest.approx(0.1603750748, abs=1e-10)
    assert [path.name for path in tmp_path.glob("*.png")] == ["stipple.png"]
    assert is_png(tmp_path / "stipple.png")


def test_electrons(tmp_path, is_png):
    assert main(["quickstart", "--only", "electrons", "--out", str(tmp_path)]) == 0
    rows = rows_of(tmp_path)
    assert [row["truth"] for row in rows] == [2.403561757, 7.5, -8.317806, 1 / 6]
    assert all(row["value"] > row["truth"] for row in rows[:2])  # correlated by less than the strict optimum
    assert is_png(tmp_path / "electrons.png")


def test_a_flow_cut_short_exceeds_its_bound(tmp_path, capsys):
    assert main(["quickstart", "--only", "digits", "--out", str(tmp_path), "--steps", "1"]) == 1
    assert "EXCEEDED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--steps", "0"], "steps: expected a positive integer, got 0"),
        (["--sites", "-1"], "sites: expected a positive integer, got -1"),
        (["--seed", "-1"], "seed: expected a nonnegative integer, got -1"),
    ],
)
def test_bad_input(option, message, tmp_path, refused):
    assert message in refused("quickstart", "--out", tmp_path, *option)


def test_a_bar_for_people_on_standard_error(tmp_path, capsys):
    main(["quickstart", "--only", "digits", "--out", str(tmp_path), "--steps", "2"])
    out, err = capsys.readouterr()
    assert "noise → digits" in err
    assert "step/s" in err or "s/step" in err or "?step" in err
    assert "\r" not in out
