"""The command line: JSON on standard output, exit code 2 and one line for bad input, pictures that are pictures."""

import json

import deblai
import numpy as np
import pytest
from deblai.cli import main

pytest.importorskip("matplotlib", reason="the extra 'demo' is not installed")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def clouds(tmp_path, rng):
    x, y = rng.standard_normal((60, 3)), rng.standard_normal((50, 3)) + 1
    a, b = rng.random(60), rng.random(50)
    for name, v in {"x": x, "y": y, "a": a, "b": b}.items():
        np.save(tmp_path / f"{name}.npy", v)
    np.savez(tmp_path / "both.npz", x=x, y=y)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",")
    np.savetxt(tmp_path / "y.txt", y)
    return tmp_path, x, y, a, b


def said(capsys, *arguments):
    assert main([str(v) for v in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_info(capsys):
    assert said(capsys, "info") == deblai.info()


def test_sliced_gives_the_numbers_of_the_function(clouds, capsys):
    folder, x, y, a, b = clouds
    files = [folder / "x.npy", folder / "y.npy", "--a", folder / "a.npy", "--b", folder / "b.npy"]
    report = said(capsys, "sliced", *files, "-p", 1.5, "--n-projections", 64, "--seed", 3)
    r = deblai.sliced.wasserstein(x, y, a, b, p=1.5, n_projections=64, rng=3)
    assert [report[k] for k in ("value", "value_p", "stderr", "stderr_p")] == [r.value, r.value_p, r.stderr, r.stderr_p]
    assert (report["n"], report["m"], report["d"], report["backend"]) == (60, 50, 3, r.backend)


def test_every_file_format_holds_the_same_points(clouds, capsys):
    folder, *_ = clouds
    pairs = [("x.npy", "y.npy"), ("both.npz:x", "both.npz:y"), ("x.csv", "y.txt")]
    values = [said(capsys, "sliced", folder / s, folder / t, "--seed", 0)["value"] for s, t in pairs]
    assert values == [values[0]] * 3


def test_an_unknown_standard_error_is_null(clouds, capsys):
    """JSON has no NaN."""
    folder, *_ = clouds
    assert said(capsys, "sliced", folder / "x.npy", folder / "y.npy", "--n-projections", 1)["stderr"] is None


def test_plot(clouds, capsys):
    folder, *_ = clouds
    report = said(capsys, "sliced", folder / "x.npy", folder / "y.npy", "--plot", folder / "d.png")
    assert (folder / "d.png").read_bytes().startswith(PNG)
    assert report["plot"].endswith("d.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npy", "y.npy"], "none.npy: no such file"),
        (["x.npy", "both.npz"], "NAME among x, y"),
        (["x.npy", "both.npz:z"], "NAME among x, y, got 'z'"),
        (["x.npy", "bad.npy"], "bad.npy: cannot be read"),
        (["x.npy", "x.json"], "got '.json'"),
        (["x.npy", "a.npy"], "y: expected 3 coordinates"),
        (["x.npy", "nan.npy"], "y: expected finite values, got nan at [4, 1]"),
        (["x.npy", "y.npy", "-p", "0.5"], "p: expected 1 <= p"),
        (["x.npy", "y.npy", "--a", "b.npy"], "a: expected 60 values to match x, got shape (50,)"),
        (["x.npy", "y.npy", "--plot", "d.nope"], "d.nope"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, clouds, capsys, monkeypatch):
    folder, x, *_ = clouds
    monkeypatch.chdir(folder)
    (folder / "bad.npy").write_bytes(b"not an array")
    (folder / "x.json").write_text("[]", encoding="utf-8")
    x[4, 1] = np.nan
    np.save(folder / "nan.npy", x)
    assert main(["sliced", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("python -m deblai sliced: ")
    assert message in err


def test_an_interrupt_is_exit_code_130(capsys, monkeypatch):
    def interrupted(options):
        raise deblai.Interrupted("stopped")

    monkeypatch.setattr("deblai.cli.info.run", interrupted)
    assert main(["info"]) == 130


@pytest.mark.parametrize("arguments", [["nonsense"], [], ["sliced"], ["sliced", "a", "b", "-p", "two"]])
def test_bad_usage_is_exit_code_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_a_missing_extra_says_which(clouds, capsys, monkeypatch):
    folder, *_ = clouds
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert main(["sliced", str(folder / "x.npy"), str(folder / "y.npy"), "--plot", "p.png"]) == 2
    assert "pip install 'deblai[plot]'" in capsys.readouterr().err


@pytest.mark.slow
def test_quickstart(tmp_path, capsys):
    """Every row of the table stays within its bound, and the pictures are there."""
    pytest.importorskip("sklearn")
    assert main(["quickstart", "--out", str(tmp_path / "q")]) == 0
    rows = json.loads((tmp_path / "q" / "quickstart.json").read_text(encoding="utf-8"))
    assert len(rows) == 5
    assert all(row["error"] <= row["bound"] for row in rows)
    assert rows[1]["bound"] == 1e-12
    for name in ("digits_from_noise", "one_to_eight", "error_bars"):
        assert (tmp_path / "q" / f"{name}.png").read_bytes().startswith(PNG)
    assert rows[0]["what"] in capsys.readouterr().out


def test_a_flow_cut_short_exceeds_its_bound(tmp_path):
    """So the exit code of the quickstart can be other than 0."""
    pytest.importorskip("sklearn")
    assert main(["quickstart", "--out", str(tmp_path), "--steps", "1"]) == 1


def test_steps_are_positive(tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert main(["quickstart", "--out", str(tmp_path), "--steps", "0"]) == 2
    assert "steps: expected a positive integer, got 0" in capsys.readouterr().err


def test_plots_draw_on_the_given_axes(rng):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots(2, 2).ravel()
    r = deblai.sliced.wasserstein(rng.standard_normal((20, 4)), rng.standard_normal((20, 4)), rng=0)
    plot = pytest.importorskip("deblai.plot")
    assert plot.directions(r, ax=axes[0]) is axes[0]
    assert plot.running_estimate(r, truth=0.5, ax=axes[1]) is axes[1]
    assert plot.history([1.0, 0.5, 0.2], label="flow", ax=axes[2]) is axes[2]
    frames = [rng.random((3, 6)), rng.random((3, 6))]
    assert plot.image_flow(frames, ["a", "b"], (2, 3), n_images=3, ax=axes[3]) is axes[3]
    sheet = axes[3].images[0].get_array()
    np.testing.assert_array_equal(sheet[3:5, 4:7], frames[1][1].reshape(2, 3))
