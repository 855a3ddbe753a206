"""Mean powers of distances other than squares, on samples."""

import warnings

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidValue
from deblai.measures import Samples, UniformBox
from deblai.quantization import lloyd, quantize
from deblai.quantization._lloyd import lloyd as module
from deblai.quantization._lloyd import mapped
from scipy.optimize import minimize_scalar

RNG = np.random.default_rng(0)
PLANE = RNG.random((3000, 2))


@pytest.mark.parametrize("p", [1, 1.5, 3, 8])
@pytest.mark.parametrize("d", [1, 2, 6])
def test_energies(p, d, level):
    """Those of the labels, which are nearest; they go down, to sites that no cell pulls."""
    x, w = RNG.standard_normal((2000, d)), RNG.random(2000)
    with deblai.use_backend("cpu", simd=level):
        r = lloyd(x, 7, p=p, weights=w, rng=1, tol=1e-12, max_iter=3000)
    distances = np.sqrt(((x[:, None] - r.sites) ** 2).sum(-1))
    share = w / w.sum()
    assert np.array_equal(r.labels, distances.argmin(1))
    assert r.energy == pytest.approx(share @ distances.min(1) ** p, rel=1e-12)
    assert (np.diff(r.history) <= 0).all()
    off = x - r.sites[r.labels]
    pulls = p * (share * np.maximum(distances.min(1), 1e-9) ** (p - 2))[:, None] * off
    for j in range(7):
        here = r.labels == j
        size = p * (share * distances.min(1) ** (p - 1))[here].sum()
        at_sample = p == 1 and (distances.min(1)[here] < 1e-6).any()  # a median may be a sample, which holds it
        assert at_sample or np.abs(pulls[here].sum(0)).max() < 2e-4 * size


@pytest.mark.parametrize("p", [1, 1.5, 4])
def test_one_site(p):
    """The median for p = 1, else what scipy finds: the seed is a sample, which must not hold it."""
    x = RNG.standard_normal(501)
    site = lloyd(x, 1, p=p, rng=0, tol=1e-15, max_iter=5000).sites[0]
    best = np.median(x) if p == 1 else minimize_scalar(lambda y: (np.abs(x - y) ** p).mean(), tol=1e-12).x
    assert abs(site - best) < 1e-6


def test_held_by_a_sample():
    """Three far points and a heavy one (Fermat's problem): the heavy one is the median, and is left where it is not."""
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    held = lloyd(x, 1, p=1, weights=np.array([4.0, 1, 1, 1]), init=x[:1], tol=1e-14, max_iter=1000)
    assert np.abs(held.sites).max() < 1e-12
    corner = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, np.sqrt(3)]])
    free = lloyd(corner, 1, p=1, init=corner[:1], tol=1e-15, max_iter=5000)
    assert free.energy == pytest.approx(2 / np.sqrt(3), rel=1e-9)  # the centre of a triangle of side 2


def test_pairs_do_not_hold_sites():
    """A twin beside its start pulls a site by 1 / r: it leaves nevertheless, and ends where others do."""
    x = np.r_[np.arange(7.0), 10, 10 + 1e-6]
    r = lloyd(x, 1, p=1, init=x[7:8].copy())
    assert r.energy == pytest.approx(25 / 9, rel=1e-6)
    pairs = np.repeat(RNG.normal(size=(50, 2)), 4, axis=0) + 1e-7 * RNG.normal(size=(200, 2))
    best = lloyd(pairs, 1, p=1, init=pairs.mean(0)[None], tol=1e-9).energy
    for seed in range(10):
        assert lloyd(pairs, 1, p=1, rng=seed).energy < best * (1 + 1e-3)


@pytest.mark.parametrize("p", [1, 3])
def test_density(p):
    """Many samples of a square are nearly as good as the square: within the noise of their energies."""
    r = lloyd(PLANE, 9, p=p, rng=0, tol=1e-9, max_iter=3000)
    q = quantize(UniformBox((0, 0), (1, 1)), 9, p=p, init=r.sites, tol=1e-9)
    assert r.energy == pytest.approx(q.energy, rel=0.05)


def test_quantize_of_samples():
    """The best of several starts."""
    found = quantize(Samples(PLANE), 20, p=1, rng=0, restarts=3, tol=1e-7)
    assert found.energy == min(v.energy for v in found.restarts)
    assert found.energy < 1.05 * lloyd(PLANE, 20, p=1, rng=5, tol=1e-7, max_iter=2000).energy


@pytest.mark.parametrize("p", [1.5, 3])
def test_backends_and_files(p, tmp_path, monkeypatch):
    """The reference, and a file that is read in pieces, take the same steps; empty cells are filled."""
    init = np.concatenate([PLANE[:5], [[9.0, 9.0]]])
    kwargs = {"p": p, "init": init, "max_iter": 5, "tol": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        want = lloyd(PLANE, 6, **kwargs)
        with deblai.use_backend("reference"):
            got = lloyd(PLANE, 6, **kwargs)
        monkeypatch.setattr(mapped, "PIECE", 1 << 14)
        monkeypatch.setattr(module, "PIECE", 1 << 14)
        monkeypatch.setattr(mapped, "LEAST", 500)
        np.save(tmp_path / "x.npy", PLANE)
        file = lloyd(np.load(tmp_path / "x.npy", mmap_mode="r"), 6, **kwargs)
    assert not want.empty.any()
    for r in (got, file):
        np.testing.assert_allclose(r.sites, want.sites, rtol=1e-9)
        assert r.history == pytest.approx(want.history, rel=1e-12)


def test_refused():
    """Powers below 1, of densities, and those that floats cannot hold."""
    with pytest.raises(InvalidValue, match=r"p: expected 1 <= p < 1000, got 0.5"):
        lloyd(PLANE, 3, p=0.5)
    with pytest.raises(InvalidValue, match=r"p: expected 2 for a density, got 3; see quantization.quantize"):
        lloyd(UniformBox((0, 0), (1, 1)), 3, p=3)
    with pytest.raises(InvalidValue, match="x: powers of distances underflow; rescale the samples"):
        lloyd(1e-2 * PLANE, 3, p=900, rng=0)
    with pytest.raises(InvalidValue, match="x: the energy overflows; rescale the samples"):
        lloyd(1e3 * PLANE, 3, p=900, rng=0)
    with pytest.raises(InvalidValue, match="x: the energy overflows; rescale the samples"):
        lloyd(1e3 * PLANE.astype(np.float32), 3, p=20, rng=0)
