"""python -m deblai sliced: the numbers of the function, every file format, bad input, pictures."""

import deblai
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the extra 'demo' is not installed")


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


def test_sliced_gives_the_numbers_of_the_function(clouds, said):
    folder, x, y, a, b = clouds
    files = [folder / "x.npy", folder / "y.npy", "--a", folder / "a.npy", "--b", folder / "b.npy"]
    report = said("sliced", *files, "-p", 1.5, "--n-projections", 64, "--seed", 3)
    r = deblai.sliced.wasserstein(x, y, a, b, p=1.5, n_projections=64, rng=3)
    assert [report[k] for k in ("value", "value_p", "stderr", "stderr_p")] == [r.value, r.value_p, r.stderr, r.stderr_p]
    assert (report["n"], report["m"], report["d"], report["backend"]) == (60, 50, 3, r.backend)


def test_every_file_format_holds_the_same_points(clouds, said):
    folder, *_ = clouds
    pairs = [("x.npy", "y.npy"), ("both.npz:x", "both.npz:y"), ("x.csv", "y.txt")]
    values = [said("sliced", folder / s, folder / t, "--seed", 0)["value"] for s, t in pairs]
    assert values == [values[0]] * 3


def test_an_unknown_standard_error_is_null(clouds, said):
    """JSON has no NaN."""
    folder, *_ = clouds
    assert said("sliced", folder / "x.npy", folder / "y.npy", "--n-projections", 1)["stderr"] is None


def test_plot(clouds, said, is_png):
    folder, *_ = clouds
    report = said("sliced", folder / "x.npy", folder / "y.npy", "--plot", folder / "d.png")
    assert is_png(folder / "d.png")
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
def test_bad_input(arguments, message, clouds, refused, monkeypatch):
    folder, x, *_ = clouds
    monkeypatch.chdir(folder)
    (folder / "bad.npy").write_bytes(b"not an array")
    (folder / "x.json").write_text("[]", encoding="utf-8")
    x[4, 1] = np.nan
    np.save(folder / "nan.npy", x)
    assert message in refused("sliced", *arguments)


def test_a_missing_extra_says_which(clouds, refused, monkeypatch):
    folder, *_ = clouds
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    message = refused("sliced", folder / "x.npy", folder / "y.npy", "--plot", "p.png")
    assert "pip install 'deblai[plot]'" in message
