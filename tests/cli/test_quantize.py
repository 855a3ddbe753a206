"""python -m deblai quantize: images, densities and samples; files written, pictures, bad input, Ctrl-C."""

import json
from xml.etree import ElementTree

import deblai
import numpy as np
import pytest
from deblai.cli import main
from deblai.measures import Grid

pytest.importorskip("matplotlib", reason="the extra 'demo' is not installed")
image = pytest.importorskip("PIL.Image")


@pytest.fixture
def files(tmp_path, rng, monkeypatch):
    """A photograph in many formats, samples of several dimensions, a density."""
    monkeypatch.chdir(tmp_path)
    grey = (np.outer(np.linspace(20, 250, 30), np.linspace(0.2, 1, 40))).astype(np.uint8)
    colour = np.stack([grey, grey // 2, 255 - grey], axis=2)
    image.fromarray(grey).save("grey.png")
    image.fromarray(colour).save("colour.png")
    image.fromarray(grey).save("grey.jpg", quality=95)
    image.fromarray(grey.astype(np.uint16) * 257).save("deep.png")
    image.fromarray(colour).quantize(64).save("palette.gif")
    image.fromarray(grey > 90).save("black.png")
    image.fromarray(colour).convert("CMYK").save("print.jpg")
    np.save("s1.npy", rng.standard_normal(300))
    np.save("s2.npy", rng.standard_normal((300, 2)))
    np.savez("s5.npz", x=rng.standard_normal((300, 5)), w=rng.random(300))
    np.savetxt("s2.csv", np.load("s2.npy"), delimiter=",")
    np.save("density.npy", rng.random((12, 9)))
    return grey, colour


def test_an_image_gives_the_numbers_of_the_function(files, said):
    grey, colour = files
    for name, pixels in (("grey.png", grey), ("colour.png", colour)):
        for option in ([], ["--invert"]):
            report = said("quantize", name, "-n", 20, "--seed", 1, "--tol", 1e-4, *option)
            r = deblai.quantization.lloyd(Grid.from_image(pixels, invert=bool(option)), 20, rng=1, tol=1e-4)
            assert (report["energy"], report["n_iter"], report["converged"]) == (r.energy, r.n_iter, True)
            assert (report["empty"], report["backend"], report["n_sites"]) == (0, r.backend, 20)


def test_every_kind_of_image_is_read(files, said):
    """16 bits and JPEG are the grey image up to rounding; palettes, bits and CMYK are read too."""
    start = ["-n", 20, "--seed", 1, "--tol", 1e-4]
    energy = said("quantize", "grey.png", *start)["energy"]
    assert said("quantize", "deep.png", *start)["energy"] == pytest.approx(energy, rel=1e-6)
    assert said("quantize", "grey.jpg", *start)["energy"] == pytest.approx(energy, rel=0.02)
    for name in ("palette.gif", "black.png", "print.jpg"):
        assert said("quantize", name, *start)["source"] == "Grid(shape=(40, 30), lower=(0.0, 0.0), upper=(1.0, 0.75))"


def test_a_photograph_is_turned_upright(files, said):
    """Cameras write how they were held (EXIF) beside the pixels."""
    lying = image.fromarray(np.rot90(files[0]))
    exif = lying.getexif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    lying.save("lying.png", exif=exif)
    reports = [said("quantize", name, "-n", 5, "--seed", 0, "--tol", 1e-3) for name in ("grey.png", "lying.png")]
    assert reports[0]["energy"] == reports[1]["energy"]


def test_a_density_on_its_torus(files, said):
    options = ["-n", 9, "--density", "--periodic", "--seed", 2, "--max-iter", 2000]
    report = said("quantize", "density.npy", *options, "--out", "sites.npy")
    grid = Grid(np.load("density.npy"), (0, 0), (1, 0.75))
    r = deblai.quantization.lloyd(grid, 9, periodic=True, rng=2, max_iter=2000)
    assert report["energy"] == r.energy
    np.testing.assert_array_equal(np.load("sites.npy"), r.sites)


@pytest.mark.parametrize("name", ["s1.npy", "s2.npy", "s2.csv", "s5.npz:x"])
def test_samples(name, files, said, is_png, tmp_path):
    """Sites as .npy, .csv and .npz, with weights and labels; a picture in any dimension."""
    weights = ["--weights", "s5.npz:w"]
    report = said("quantize", name, "-n", 7, "--seed", 3, *weights, "--out", "r.npz", "--plot", "p.png")
    x = np.load("s5.npz")["x"] if name.startswith("s5") else np.load(name[:2] + ".npy")
    r = deblai.quantization.lloyd(x, 7, weights=np.load("s5.npz")["w"], rng=3)
    assert report["energy"] == r.energy
    assert is_png(tmp_path / "p.png")
    with np.load("r.npz") as written:
        assert set(written) == {"sites", "weights", "labels", "history", "energy"}
        np.testing.assert_array_equal(written["sites"], r.sites)
        np.testing.assert_array_equal(written["labels"], r.labels)
    said("quantize", name, "-n", 7, "--seed", 3, *weights, "--out", "r.csv")
    np.testing.assert_allclose(np.loadtxt("r.csv", delimiter=",").reshape(r.sites.shape), r.sites, rtol=1e-15)


def test_a_picture_of_an_image(files, said, is_png, tmp_path):
    report = said("quantize", "colour.png", "-n", 50, "--invert", "--max-iter", 50, "--plot", "p.png")
    assert is_png(tmp_path / "p.png")
    assert report["plot"] == "p.png"


def test_equal_weights_methods_and_restarts(files, said, is_png, tmp_path):
    """The numbers of `quantize`; the sites' cells have equal masses; restarts cannot be worse."""
    grid = Grid.from_image(files[0])
    report = said("quantize", "grey.png", "-n", 12, "--seed", 1, "--equal", "--out", "r.npz", "--plot", "p.png")
    r = deblai.quantization.quantize(grid, 12, weights="uniform", rng=1, tol=1e-6, max_iter=300)
    assert (report["energy"], report["n_iter"], report["weights"]) == (r.energy, r.n_iter, "equal")
    assert is_png(tmp_path / "p.png")
    with np.load("r.npz") as written:
        np.testing.assert_array_equal(written["weights"], np.full(12, 1 / 12))
    energy = {}
    for name, options in {"newton": ["--method", "newton"], "best": ["--restarts", 3]}.items():
        report = said("quantize", "grey.png", "-n", 12, "--seed", 1, *options, "--tol", 1e-9)
        assert report["converged"]
        energy[name] = report["energy"]
    assert energy["best"] <= deblai.quantization.quantize(grid, 12, rng=1, tol=1e-9).energy
    report = said("quantize", "s2.npy", "-n", 7, "--seed", 3, "--restarts", 2)
    assert report["energy"] <= said("quantize", "s2.npy", "-n", 7, "--seed", 3)["energy"]


def test_dots_alone(files, said, is_png, tmp_path):
    """Circles of an SVG are the sites, upside down, of areas as the weights and as much ink as the image has."""
    out = ["--invert", "--seed", 1, "--tol", 1e-4, "--out", "r.npz"]
    report = said("quantize", "grey.png", "-n", 40, *out, "--stipple", "dots.svg")
    assert report["stipple"] == "dots.svg"
    with np.load("r.npz") as written:
        sites, weights = written["sites"], written["weights"]
    svg = ElementTree.parse("dots.svg").getroot()
    assert svg.get("viewBox") == "0 0 1000 750"
    circles = np.array([[float(c.get(name)) for name in ("cx", "cy", "r")] for c in svg])
    np.testing.assert_allclose(circles[:, 0], 1000 * sites[:, 0], atol=0.006)
    np.testing.assert_allclose(circles[:, 1], 750 - 1000 * sites[:, 1], atol=0.006)
    area = np.pi * circles[:, 2] ** 2
    np.testing.assert_allclose(area / area.sum(), weights, rtol=1e-3)
    dark = 1 - files[0] / 255
    assert area.sum() / 750_000 == pytest.approx(0.8 * dark.mean() / dark.max(), rel=1e-3)
    said("quantize", "grey.png", "-n", 40, *out, "--stipple", "dots.png")
    assert is_png(tmp_path / "dots.png")
    assert image.open("dots.png").size == (2000, 1500)
    said("quantize", "s2.npy", "-n", 40, "--stipple", "dots.svg")


def test_not_converged_is_said(files, capsys):
    """As a line for people and in the JSON; it is no error."""
    assert main(["quantize", "s2.npy", "-n", "30", "--max-iter", "1", "--tol", "0"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["converged"] is False
    assert err == "python -m deblai quantize: not converged in 1 steps (--max-iter, --tol)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png"], "none.png: no such file"),
        (["none.npy"], "none.npy: no such file"),
        (["broken.png"], "broken.png: cannot be read"),
        (["cut.png"], "cut.png: cannot be read"),
        (["s2.json"], "got '.json'"),
        (["s2.npy", "--out", "a.txt"], "a.txt: expected an ending among .npy, .npz, .csv, got '.txt'"),
        (["s2.npy", "--out", "nowhere/a.npy"], "nowhere/a.npy: no such folder"),
        (["s2.npy", "--periodic"], "periodic: expected False for samples"),
        (["s2.npy", "--invert"], "--invert: expected an image, got s2.npy"),
        (["grey.png", "--density"], "--density: expected a matrix"),
        (["grey.png", "--weights", "s1.npy"], "weights: expected None for a density"),
        (["s1.npy", "--density"], "s1.npy: expected a matrix of densities, got shape (300,)"),
        (["s2.npy", "--density"], "values: expected finite nonnegative values"),
        (["s2.npy", "--weights", "density.npy"], "weights: expected 300 values to match x"),
        (["s2.npy", "--tol", "-1"], "tol"),
        (["s2.npy", "--max-iter", "0"], "max_iter: expected a positive integer"),
        (["s2.npy", "--seed", "-1"], "rng: expected"),
        (["nan.npy"], "x: expected finite values"),
        (["s2.npy", "--equal"], "weights: expected 'free' for Samples"),
        (["grey.png", "--equal", "--weights", "s1.npy"], "--weights: expected samples, got grey.png"),
        (["s2.npy", "--stipple", "a.jpg"], "a.jpg: expected an ending among .svg, .png, .pdf"),
        (["s1.npy", "--stipple", "a.svg"], "--stipple: expected sites of the plane, got s1.npy"),
        (["s2.npy", "--plot", "a.nope"], "a.nope: expected an ending among .png"),
    ],
)
def test_bad_input(arguments, message, files, refused, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "colour.png").read_bytes()[:200])
    (tmp_path / "s2.json").write_text("[]", encoding="utf-8")
    np.save("nan.npy", np.full((20, 2), np.nan))
    assert message in refused("quantize", "-n", 5, *arguments)


def test_more_sites_than_samples(files, refused):
    assert "n_sites: expected at most the 300 samples of x, got 301" in refused("quantize", "s2.npy", "-n", 301)


def test_an_interrupt_keeps_the_best_so_far(files, capsys, monkeypatch):
    """Exit code 130; what had been found is in --out."""
    from deblai.cli import quantize

    sites = []

    def stopped_at_once(*arguments, callback, **options):
        def watch(state):
            sites.append(np.array(state.sites))
            if state.step == 3:
                raise KeyboardInterrupt

        return deblai.quantization.lloyd(*arguments, callback=watch, **options)

    monkeypatch.setattr(quantize, "lloyd", stopped_at_once)
    assert main(["quantize", "s2.npy", "-n", "30", "--seed", "0", "--tol", "0", "--out", "best.npy"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "best.npy has the best sites so far" in err
    assert err.splitlines()[-1] == "python -m deblai quantize: interrupted"
    np.testing.assert_array_equal(np.load("best.npy"), sites[3])
