"""Samples in files, which are read piece by piece, and seeds in few passes."""

import re
import warnings

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import UniformBox
from deblai.quantization import lloyd
from deblai.quantization._lloyd import lloyd as module
from deblai.quantization._lloyd import mapped

N, D, K = 30_000, 5, 12


@pytest.fixture
def samples(tmp_path, monkeypatch):
    """Samples in memory and in a file, of which a piece is a few thousand."""
    monkeypatch.setattr(mapped, "PIECE", 1 << 17)
    monkeypatch.setattr(module, "PIECE", 1 << 17)
    x = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return x, np.load(tmp_path / "x.npy", mmap_mode="r")


@pytest.fixture
def released(monkeypatch):
    """The pieces that were let go."""
    pieces = []
    real = mapped.MappedSource._release
    monkeypatch.setattr(mapped.MappedSource, "_release", lambda self, piece: (pieces.append(piece), real(self, piece)))
    return pieces


def run(x, init, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        return lloyd(x, len(init), init=init, max_iter=4, **kwargs)


@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_are_the_whole(samples, weighted, released):
    """The same labels and, up to the order of sums, energies and sites; a piece may be without weight."""
    x, there = samples
    w = np.random.default_rng(1).random(N).astype(np.float32) if weighted else None
    if weighted:
        w[7000:16000] = 0
    want, got = run(x, x[:K], weights=w), run(there, x[:K], weights=w)
    assert len(released) >= 6 * 4  # five passes, and the labels, of at least four pieces
    assert np.array_equal(got.labels, want.labels)
    assert got.history == pytest.approx(want.history, rel=1e-12)
    np.testing.assert_allclose(got.sites, want.sites, rtol=1e-6)
    assert np.array_equal(there, x)


def test_empty_cells(samples):
    """Sites far away go to the samples that cost most of all pieces."""
    x, there = samples
    init = np.concatenate([x[: K - 2], np.full((2, D), 100, np.float32) + np.float32([[0], [1]])])
    want, got = run(x, init), run(there, init)
    assert not got.empty.any()
    assert np.array_equal(got.labels, want.labels)


def test_labels(samples, tmp_path):
    """None, or written to an array of the caller's, in memory or in a file."""
    x = samples[0]
    want = run(x, x[:K]).labels
    for k, source in enumerate(samples):
        assert run(source, x[:K], labels=False).labels is None
        out = np.lib.format.open_memmap(tmp_path / f"labels{k}.npy", mode="w+", dtype=np.int32, shape=(N,))
        assert run(source, x[:K], labels=out).labels is out
        assert np.array_equal(out, want)
    for bad, kind, message in (
        ("yes", InvalidType, "labels: expected True, False or a NumPy array of int32, got str"),
        (np.zeros(N), InvalidValue, rf"int32 array of shape \({N},\) to match x, got a writable float64"),
        (np.zeros(3, np.int32), InvalidValue, r"of shape \(3,\)"),
    ):
        with pytest.raises(kind, match=message):
            lloyd(x, K, labels=bad)
    with pytest.raises(InvalidValue, match="labels: expected True or False for a density"):
        lloyd(UniformBox((0, 0), (1, 1)), 3, labels=np.zeros(3, np.int32))


def test_errors_name_the_entry(samples, tmp_path):
    """Of the whole array, not of a piece."""
    x = samples[0].copy()
    x[20_000, 3] = np.nan
    np.save(tmp_path / "bad.npy", x)
    with pytest.raises(InvalidValue, match=re.escape("x: expected finite values, got nan at [20000, 3]")):
        run(np.load(tmp_path / "bad.npy", mmap_mode="r"), x[:K])
    w = np.ones(N, np.float32)
    w[25_000] = -1
    with pytest.raises(InvalidValue, match=r"weights: expected.*got -1 at \[25000\]"):
        run(samples[1], x[:K], weights=w)
    with pytest.raises(InvalidValue, match=r"weights: expected.*positive.*mass"):
        run(samples[1], x[:K], weights=0 * np.abs(w))


def test_ctrl_c_keeps_the_best(samples):
    """With its labels."""

    def press(state):
        if state.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(deblai.Interrupted) as caught:
        run(samples[1], samples[0][:K], callback=press)
    assert caught.value.result.n_iter == 2
    assert len(caught.value.result.labels) == N


def test_copies_on_write_are_kept(samples, tmp_path):
    """Changes that are in memory only are not let go."""
    x, _ = samples
    np.save(tmp_path / "c.npy", x)
    copy = np.load(tmp_path / "c.npy", mmap_mode="c")
    copy += 1
    run(copy, x[:K] + 1)
    assert np.array_equal(copy, x + 1)


def first_energy(x, init, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        return lloyd(x, K, init=init, max_iter=1, rng=seed).history[0]


@pytest.mark.parametrize("init", ["k-means++", "k-means||"])
def test_starts(samples, init):
    """Both kinds of k-means beat random draws, from files too; k-means|| draws the same for a generator."""
    x, there = samples
    plain = np.mean([first_energy(x, "random", seed) for seed in range(5)])
    energies = [first_energy(there, init, seed) for seed in range(5)]
    assert np.mean(energies) < plain
    if init == "k-means||":
        assert energies[0] == pytest.approx(first_energy(x, init, 0), rel=1e-12)


def test_spread():
    """k-means||: fewer distinct samples than sites; clusters far apart are all found; densities have none."""
    x = np.repeat(np.eye(3), 5, axis=0)
    assert lloyd(x, 5, init="k-means||", rng=0).energy == 0
    centres = 100 * np.random.default_rng(3).standard_normal((20, 4))
    cloud = (centres[:, None] + np.random.default_rng(4).standard_normal((20, 50, 4))).reshape(-1, 4)
    assert lloyd(cloud, 20, init="k-means||", rng=0).energy == pytest.approx(4, rel=0.1)
    with pytest.raises(InvalidValue, match=r"init: expected 'k-means\+\+', 'random' or an array for a density"):
        lloyd(UniformBox((0, 0), (1, 1)), 3, init="k-means||")
