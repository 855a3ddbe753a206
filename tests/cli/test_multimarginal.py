"""python -m deblai multimarginal: equal and different marginals, costs, files written, pictures, bad input, Ctrl-C."""

import json

import deblai
import numpy as np
import pytest
from deblai.cli import main

pytest.importorskip("matplotlib", reason="the extra 'demo' is not installed")


@pytest.fixture
def files(tmp_path, rng, monkeypatch):
    """Points of the line, the plane and space, weights, a cost matrix."""
    monkeypatch.chdir(tmp_path)
    x = (np.arange(30) + 0.5) / 30
    np.save("x.npy", x)
    np.savetxt("x.csv", x, delimiter=",")
    np.save("w.npy", 1 + np.sin(x))
    np.savez("clouds.npz", a=rng.random((8, 2)), b=rng.random((9, 2)), c=rng.random((10, 2)))
    np.savez("weights.npz", a=rng.random(8), b=rng.random(9), c=rng.random(10))
    np.save("space.npy", rng.random((12, 3)))
    np.save("matrix.npy", np.abs(x[:, None] - x))
    np.save("negative.npy", -x)
    return x


def test_three_electrons_as_by_the_function(files, said, is_png, tmp_path):
    options = ["-N", 3, "--epsilon", 0.05, "--weights", "w.npy"]
    report = said("multimarginal", "x.npy", *options, "--out", "r.npz", "--plot", "p.png")
    r = deblai.multimarginal.sinkhorn(files, np.load("w.npy"), n_marginals=3, epsilon=0.05)
    names = ("value", "value_linear", "marginal_error", "n_iter", "epsilon", "n_marginals", "backend", "converged")
    assert [report[name] for name in names] == [getattr(r, name) for name in names]
    assert (report["n"], report["cost"], report["dtype"]) == ([30], "coulomb", "float64")
    with np.load("r.npz") as written:
        np.testing.assert_array_equal(written["potentials"], r.potentials)
        np.testing.assert_array_equal(written["pair_0_1"], r.pair_marginal())
        np.testing.assert_array_equal(written["history"], r.history)
        assert written["value"] == r.value
    assert is_png(tmp_path / "p.png")
    column = said("multimarginal", "x.csv", *options, "--plot", "p.png")
    assert column["value"] == pytest.approx(report["value"], rel=1e-12)


def test_different_marginals(files, said, is_png, tmp_path):
    names = [f"clouds.npz:{k}" for k in "abc"]
    weights = [v for k in "abc" for v in ("--weights", f"weights.npz:{k}")]
    options = ["--cost", "sqeuclidean", "--epsilon", 0.1, "--tol", 1e-8]
    report = said("multimarginal", *names, *weights, *options, "--out", "r.npz", "--plot", "p.png")
    with np.load("clouds.npz") as points, np.load("weights.npz") as masses:
        r = deblai.multimarginal.sinkhorn(
            *([stored[k] for k in "abc"] for stored in (points, masses)), cost="sqeuclidean", epsilon=0.1, tol=1e-8
        )
    assert report["value"] == r.value
    assert report["n"] == [8, 9, 10]
    with np.load("r.npz") as written:
        assert {"pair_0_1", "pair_0_2", "pair_1_2", "potentials_0", "potentials_2"} < set(written)
        np.testing.assert_array_equal(written["pair_0_2"], r.pair_marginal(0, 2))
    assert is_png(tmp_path / "p.png")


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("log", "log"),
        ("repulsive-harmonic", "repulsive-harmonic"),
        ("riesz:0.5", deblai.costs.Riesz(0.5)),
        ("euclidean", "euclidean"),
        ("yukawa:3", deblai.costs.Yukawa(3.0)),
        ("yukawa:0:2", deblai.costs.Yukawa(0.0, 2.0)),
        ("soft-coulomb:0.2:-1", deblai.costs.SoftCoulomb(0.2, -1.0)),
        ("power:1.5", deblai.costs.Power(1.5)),
        ("harmonic:-0.5", deblai.costs.Harmonic(-0.5)),
    ],
)
def test_costs(name, cost, files, said):
    report = said("multimarginal", "x.npy", "-N", 2, "--cost", name, "--epsilon", 0.1)
    assert report["value"] == deblai.multimarginal.sinkhorn(files, n_marginals=2, cost=cost, epsilon=0.1).value


def test_certified_bounds(files, said):
    """--certify prints what the result says; --gap stops the run, and the value is as sure as was asked for."""
    names = ("lower", "upper", "value_lower", "value_upper", "certified")
    report = said("multimarginal", "x.npy", "-N", 3, "--epsilon", 0.1, "--certify")
    r = deblai.multimarginal.sinkhorn(files, n_marginals=3, epsilon=0.1, certify=True)
    assert [report[name] for name in names] == [getattr(r, name) for name in names]
    assert report["lower"] <= 7.5 <= report["upper"]  # T1 on 30 midpoints, which N = 3 divides
    stopped = said("multimarginal", "x.npy", "-N", 3, "--epsilon", 0.1, "--certify", "--gap", 1e-3)
    assert stopped["value_upper"] - stopped["value_lower"] <= 1e-3
    assert stopped["n_iter"] < report["n_iter"]
    assert "lower" not in said("multimarginal", "x.npy", "-N", 2, "--epsilon", 1)


def test_a_cost_matrix(files, said, is_png, tmp_path):
    options = ["--matrix", "matrix.npy", "-N", 3, "--weights", "w.npy", "--epsilon", 0.1]
    report = said("multimarginal", *options, "--plot", "p.png")
    r = deblai.multimarginal.sinkhorn(weights=np.load("w.npy"), cost=np.load("matrix.npy"), n_marginals=3, epsilon=0.1)
    assert (report["value"], report["cost"]) == (r.value, "matrix.npy")
    assert is_png(tmp_path / "p.png")
    other = ["--weights", "w.npy", "--weights", "x.npy"]
    report = said("multimarginal", "--matrix", "matrix.npy", *other, "--epsilon", 0.1)
    assert report["n"] == [30, 30]


def test_a_density_on_the_line(files, said, is_png, tmp_path):
    """The cells of [0, 1], as by the function; the file has all that is needed to go on."""
    report = said("multimarginal", "--density", "w.npy", "-N", 3, "--epsilon", 0.1, "--out", "r.npz", "--plot", "p.png")
    r = deblai.multimarginal.sinkhorn(files, np.load("w.npy"), n_marginals=3, epsilon=0.1)
    assert report["value"] == pytest.approx(float(r.value), rel=1e-12)
    assert (report["n"], report["density"]) == ([30], "w.npy")
    with np.load("r.npz") as written:
        assert np.allclose(written["points"], files)
        assert np.array_equal(written["weights"], np.load("w.npy"))
        assert np.allclose(written["pair_0_1"], r.pair_marginal(), atol=1e-12)
    assert is_png(tmp_path / "p.png")


def test_densities_of_the_plane_and_of_space(files, said, rng):
    """Axis 0 is x, the longest side is 1, pixels are joined, cells without mass are left out."""
    values = rng.random((12, 6))
    values[:4, :2] = 0
    np.save("plane.npy", values)
    report = said("multimarginal", "--density", "plane.npy", "-N", 2, "--epsilon", 1, "--pixels", 6, "--out", "r.npz")
    joined = values.reshape(6, 2, 3, 2).sum((1, 3))
    centres = np.stack(np.meshgrid(np.arange(6), np.arange(3), indexing="ij"), -1) / 6 + 1 / 12
    with np.load("r.npz") as written:
        assert np.allclose(written["weights"], joined[joined > 0])
        assert np.allclose(written["points"], centres[joined > 0])
    assert report["n"] == [16]
    np.save("space.npy", rng.random((3, 4, 2)))
    assert said("multimarginal", "--density", "space.npy", "-N", 2, "--epsilon", 1)["n"] == [24]


def test_an_image_as_a_density(files, said, is_png, tmp_path):
    """Bright pixels are heavy, dark ones with --invert; rows are from the top; 32 pixels along the longest side."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((40, 64), np.uint8)
    pixels[:10, :16] = 255  # top left
    image.fromarray(pixels).save("photo.png")
    fixed = ["-N", 2, "--cost", "sqeuclidean", "--epsilon", 1, "--out", "r.npz"]
    report = said("multimarginal", "--density", "photo.png", *fixed, "--plot", "p.png")
    assert report["n"] == [5 * 8]
    with np.load("r.npz") as written:
        x, y = written["points"].T
    assert x.max() < 0.25
    assert y.min() > 30 / 64
    assert is_png(tmp_path / "p.png")
    inverted = said("multimarginal", "--density", "photo.png", "--invert", "--pixels", 16, *fixed)
    assert inverted["n"] == [16 * 10 - 4 * 2]  # ten rows of pixels were bright: two and a half of joined ones


def test_points_of_space_are_drawn_by_number(files, said, is_png, tmp_path):
    said("multimarginal", "space.npy", "-N", 2, "--epsilon", 0.5, "--plot", "p.png")
    assert is_png(tmp_path / "p.png")


def test_not_converged_is_said(files, capsys):
    assert main(["multimarginal", "x.npy", "-N", "3", "--epsilon", "0.01", "--max-iter", "3"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["converged"] is False
    assert err.count("\n") == 1
    assert "not converged in 3 sweeps" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npy", "-N", "3"], "none.npy: no such file"),
        (["x.npy"], "-N: expected the number of equal marginals, or more than one FILE"),
        ([], "FILE: expected points, --density, or a cost by --matrix"),
        (["x.npy", "-N", "3", "--matrix", "matrix.npy"], "--matrix: expected no points, got x.npy"),
        (["x.npy", "x.npy", "-N", "3"], "-N: expected 2 to match the files, got 3"),
        (["x.npy", "-N", "1"], "n_marginals: expected at least 2, got 1"),
        (["x.npy", "-N", "2", "--epsilon", "-1"], "epsilon: expected a positive number"),
        (["x.npy", "-N", "2", "--cost", "gravity"], "cost: expected one of 'coulomb'"),
        (["x.npy", "-N", "2", "--cost", "riesz:fast"], "--cost: expected riesz:S with a positive S, got riesz:fast"),
        (["x.npy", "-N", "2", "--cost", "riesz:-1"], "--cost: expected riesz:S with a positive S, got riesz:-1"),
        (
            ["x.npy", "-N", "2", "--cost", "yukawa:1:2:3"],
            "expected yukawa:KAPPA with a nonnegative KAPPA, got yukawa:1:2",
        ),
        (["x.npy", "-N", "2", "--cost", "harmonic:1:2"], "expected harmonic:STRENGTH with a number, got harmonic:1:2"),
        (["--density", "w.npy"], "-N: expected the number of equal marginals, got none"),
        (["x.npy", "-N", "2", "--density", "w.npy"], "FILE: expected none beside --density"),
        (["-N", "2", "--density", "w.npy", "--weights", "w.npy"], "--weights: expected none beside --density"),
        (["-N", "2", "--density", "w.npy", "--invert"], "--invert: expected an image, got w.npy"),
        (["-N", "2", "--density", "w.npy", "--pixels", "0"], "--pixels: expected at least 1, got 0"),
        (["x.npy", "-N", "2", "--pixels", "4"], "--pixels: expected --density FILE beside it"),
        (["-N", "2", "--density", "negative.npy"], "[measures.Grid] values: expected finite nonnegative values"),
        (["x.npy", "-N", "2", "--weights", "space.npy"], "weights: expected 30 values to match points"),
        (
            ["x.npy", "-N", "2", "--weights", "w.npy", "--weights", "w.npy"],
            "--weights: expected one file for equal marginals, got 2",
        ),
        (["x.npy", "x.npy", "--weights", "w.npy"], "weights: expected a list of 2, one a marginal, got 1"),
        (["x.npy", "-N", "2", "--out", "r.npy"], "r.npy: expected an ending among .npz"),
        (["x.npy", "-N", "2", "--plot", "r.nope"], "r.nope"),
        (["--matrix", "space.npy", "-N", "2"], "cost: expected shape (12, 12), got (12, 3)"),
    ],
)
def test_bad_input(arguments, message, files, refused):
    assert message in refused("multimarginal", "--epsilon", 0.1, *arguments)


def test_an_interrupt_keeps_the_potentials(files, capsys, monkeypatch):
    """Exit code 130; what had been found is in --out."""
    from deblai.cli import multimarginal

    def stopped_at_once(*arguments, callback, **options):
        def watch(state):
            raise KeyboardInterrupt

        return deblai.multimarginal.sinkhorn(*arguments, callback=watch, **options)

    monkeypatch.setattr(multimarginal, "sinkhorn", stopped_at_once)
    np.save("fine.npy", (np.arange(200) + 0.5) / 200)
    arguments = ["fine.npy", "-N", "3", "--epsilon", "0.002", "--tol", "1e-12", "--out", "best.npz"]
    assert main(["multimarginal", *arguments]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "best.npz has the potentials after" in err
    with np.load("best.npz") as written:
        assert written["potentials"].shape == (200,)
        assert np.isfinite(written["potentials"]).all()


HOPELESS = """
import os, signal, sys, threading, time
from deblai.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that SIGINT is ignored
sent = []
threading.Timer(0.5, lambda: (sent.append(time.perf_counter()), os.kill(os.getpid(), signal.SIGINT))).start()
code = main(["multimarginal", "x.npy", "-N", "16", "--epsilon", "0.1", "--out", "best.npz"])
print(code, time.perf_counter() - sent[0])
"""


def test_ctrl_c_ends_a_hopeless_run(files, python, tmp_path):
    """Sixteen electrons, 30^15 terms for each point: the first sweep never ends, and yet the answer is quick."""
    for _ in range(3):  # the machine may be busy
        done = python(HOPELESS)
        code, latency = done.stdout.split()
        assert code == "130"
        if float(latency) < 1:
            break
    assert float(latency) < 1
    assert "best.npz has the potentials after 0 sweeps" in done.stderr
    with np.load("best.npz") as written:
        assert written["potentials"].shape == (30,)
        assert np.isnan(written["value"])


def test_a_graph(files, said):
    """--graph by name and by pairs, of equal marginals too; --gap alone prints the interval that it stopped on."""
    names = [f"clouds.npz:{k}" for k in "abc"]
    options = ["--cost", "sqeuclidean", "--epsilon", 0.1]
    by_name, by_pairs = (said("multimarginal", *names, "--graph", g, *options) for g in ("chain", "0-1,1-2"))
    with np.load("clouds.npz") as points:
        r = deblai.multimarginal.sinkhorn([points[k] for k in "abc"], cost="sqeuclidean", graph="chain", epsilon=0.1)
    assert by_name["value"] == by_pairs["value"] == r.value
    assert (by_name["graph"], by_pairs["graph"]) == ("chain", "0-1,1-2")
    tied = said("multimarginal", "x.npy", "-N", 4, "--graph", "ring", *options, "--gap", 1e-3, "--out", "r.npz")
    assert tied["n"] == [30] * 4
    assert 0 <= tied["value_upper"] - tied["value_lower"] <= 1e-3
    with np.load("r.npz") as written:
        assert written["pair_0_2"].shape == (30, 30)


def test_no_graph(files, refused):
    """What is neither a name nor pairs."""
    said_ = refused("multimarginal", "x.npy", "-N", 3, "--graph", "0-1,2", "--epsilon", 1)
    assert "--graph: expected complete, chain, ring, star, or pairs as in 0-1,1-2, got 0-1,2" in said_
