"""deblai.quantization.lloyd on samples: nearest sites, known optima, scikit-learn, properties, backends.

Brute force means squared distances by direct differences in float64, added over ascending coordinates; their argmin is
the lowest index of equals.
"""

import sys
import warnings

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidValue
from deblai.measures import Samples
from deblai.quantization import lloyd, quantize
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

NAN, INF = np.nan, np.inf
EPS = {"float32": 1.2e-7, "float64": 2.3e-16}
# Tiles of direct differences (d <= 4 and few sites), tiles of scores (d > 4), grids (d <= 3, many sites and samples).
ENGINES = {
    "direct": (500, 4, 12),
    "scores": (500, 9, 40),
    "line": (5000, 1, 60),
    "plane": (5000, 2, 90),
    "space": (5000, 3, 64),
}


def squared(x, sites):
    differences = x[:, None].astype(float) - sites[None].astype(float)
    return sum((differences[..., k] ** 2 for k in range(x.shape[1])), np.zeros(differences.shape[:2]))


def assign(x, sites, **kwargs):
    """Labels and the like of given sites: what the callback stops before they move."""
    return lloyd(x, len(sites), init=sites, callback=lambda state: True, **kwargs)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("engine", ENGINES)
def test_assignment(engine, dtype, level):
    """Labels are those of brute force; mass and energy are theirs, in float64."""
    n, d, k = ENGINES[engine]
    rng = np.random.default_rng(1)
    x, sites, w = rng.standard_normal((n, d)), rng.standard_normal((k, d)), rng.random(n)
    x, sites, w = (v.astype(dtype) for v in (x, sites, w))
    with deblai.use_backend("cpu", simd=level):
        r = assign(x, sites, weights=w)
    D = squared(x, sites)
    assert np.array_equal(r.labels, D.argmin(1))
    chosen = D.min(1)
    share = w.astype(float) / w.sum(dtype=float)
    assert float(r.energy) == pytest.approx(share @ chosen, rel=10 * EPS[dtype])
    assert r.history == [pytest.approx(share @ chosen, rel=1e-13)]
    np.testing.assert_allclose(r.weights, np.bincount(r.labels, share, k), rtol=0, atol=4 * EPS[dtype])
    assert np.array_equal(r.empty, np.bincount(r.labels, minlength=k) == 0)
    assert r.backend == f"cpu/{level}"


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("engine", ENGINES)
def test_ties_go_to_the_lowest_index(engine, dtype, level):
    """On an integer lattice, even sites, each of them twice: distances are exact, many samples have 2^d nearest."""
    n, d, k = ENGINES[engine]
    rng = np.random.default_rng(2)
    side = 60 if d == 1 else 8 if d == 2 else 5
    x = rng.integers(0, side, (n, d)).astype(dtype)
    sites = 2 * rng.integers(0, (side + 1) // 2, (k, d)).astype(dtype)
    sites = np.concatenate([sites, sites])
    with deblai.use_backend("cpu", simd=level):
        r = assign(x, sites)
    assert np.array_equal(r.labels, squared(x, sites).argmin(1))
    assert r.empty[k:].all()


@pytest.mark.parametrize("engine", ENGINES)
def test_far_from_the_origin(engine, level):
    """float32 at 1e4: numbers are 1e-3 apart, their squares 8; labels are still those of float64."""
    n, d, k = ENGINES[engine]
    rng = np.random.default_rng(3)
    x, sites = ((rng.standard_normal((m, d)) + 1e4).astype(np.float32) for m in (n, k))
    with deblai.use_backend("cpu", simd=level):
        r = assign(x, sites)
    D = squared(x, sites)
    assert np.array_equal(r.labels, D.argmin(1))
    assert r.history[0] == pytest.approx(D.min(1).mean(), rel=1e-6)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("engine", ENGINES)
def test_backends_agree(engine, dtype, level):
    """Ten iterations from k-means++ seeds: the same as the reference, whatever the memory layout."""
    n, d, k = ENGINES[engine]
    rng = np.random.default_rng(4)
    x, w = rng.integers(-512, 513, (n, d)) / 64, rng.integers(1, 5, n) / 4  # dyadic: few sums are rounded
    x, w = x.astype(dtype), w.astype(dtype)
    kwargs = {"max_iter": 10, "tol": 0.0, "rng": 5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        with deblai.use_backend("reference"):
            want = lloyd(x, k, weights=w, **kwargs)
        wide = np.full((n, 2 * d), NAN, dtype)
        wide[:, ::2] = x
        for layout in (x, np.asfortranarray(x), x[::-1].copy()[::-1], wide[:, ::2]):
            with deblai.use_backend("cpu", simd=level):
                got = lloyd(layout, k, weights=w, **kwargs)
            assert got.history == pytest.approx(want.history, rel=1e-13 if dtype == "float64" else 1e-5)
            np.testing.assert_allclose(got.sites, want.sites, rtol=0, atol=1e-12 if dtype == "float64" else 0.05)
            assert (got.labels != want.labels).mean() < (1e-9 if dtype == "float64" else 0.02)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_scikit_learn(d):
    """KMeans(algorithm="lloyd") from the same sites: the same sites after 1, 2, 5, 20 iterations and at the end."""
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((5000, d)), rng.random(5000)
    init = x[:50].copy()
    for iterations in (1, 2, 5, 20, 1000):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # neither converges after a few
            theirs = cluster.KMeans(50, init=init, n_init=1, tol=0, max_iter=iterations, algorithm="lloyd")
            theirs.fit(x, sample_weight=w)
            ours = lloyd(x, 50, weights=w, init=init, tol=0, max_iter=iterations)
        np.testing.assert_allclose(ours.sites, theirs.cluster_centers_, rtol=0, atol=1e-12)
        assert np.array_equal(ours.labels, theirs.labels_)
        assert ours.energy == pytest.approx(theirs.inertia_ / w.sum(), rel=1e-12)
    assert ours.converged


def test_empty_cells_go_where_scikit_learn_sends_them():
    """Two sites far away: they move to the samples that cost most, and the energy decreases."""
    cluster = pytest.importorskip("sklearn.cluster")
    x = np.random.default_rng(7).standard_normal((300, 2))
    init = np.concatenate([x[:4], [[100.0, 100.0], [101.0, 100.0]]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cluster.KMeans(6, init=init, n_init=1, tol=0, max_iter=1, algorithm="lloyd").fit(x)
        ours = lloyd(x, 6, init=init, max_iter=1)
    ours_sorted, theirs_sorted = (s[np.lexsort(s.T)] for s in (ours.sites, theirs.cluster_centers_))
    np.testing.assert_allclose(ours_sorted, theirs_sorted, atol=1e-12)
    r = lloyd(x, 6, init=init, tol=0)
    assert not r.empty.any()
    assert (np.diff(r.history) < 0).all()


def test_fewer_distinct_samples_than_sites():
    """The energy gets to 0, the sites left over have no mass; more sites than samples are refused."""
    x = np.repeat([[0.0, 1.0], [2.0, 2.0], [5.0, 0.0]], 10, axis=0)
    for init in ("k-means++", "random", x[:5]):
        r = lloyd(x, 5, init=init, rng=0)
        assert (float(r.energy), r.converged) == (0.0, True)
        assert r.empty.sum() == 2
        assert r.weights.sum() == pytest.approx(1)
    assert lloyd(x[::10], 3, rng=0).energy == 0
    with pytest.raises(InvalidValue, match=r"n_sites: expected at most the 30 samples of x, got 31"):
        lloyd(x, 31)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 25])
def test_uniform_line(k):
    """n = m k equispaced samples of [0, 1]: k blocks of m, of variance (m^2 - 1) / (12 n^2); 1/(12 k^2) in the limit.

    The midpoints of k equal intervals are Lloyd's fixed point, unique by log-concavity (Fleischer 1964).
    """
    m = 1000
    x = (np.arange(m * k) + 0.5) / (m * k)
    start = (np.arange(k) + 0.5) / k
    r = lloyd(x, k, init=start, tol=0)
    assert r.converged
    assert float(r.energy) == pytest.approx((m * m - 1) / (12 * (m * k) ** 2), rel=1e-12)
    assert float(r.energy) == pytest.approx(1 / (12 * k * k), rel=2e-6)
    np.testing.assert_allclose(r.sites, start, atol=1e-12)
    # From anywhere, up to the grid of samples: k-means on a grid has nearby fixed points.
    away = lloyd(x, k, rng=0, tol=0, max_iter=3000)
    assert float(away.energy) == pytest.approx(1 / (12 * k * k), rel=2e-3 * k)


# Optimal quantizers of N(0, 1): J. Max, IRE Trans. Inform. Theory 6, 1960, table I; digits by Newton's method.
GAUSSIAN = [1, 0.363380227632, 0.190174039248, 0.117481847829, 0.079941127088, 0.057977653715, 0.044000382499]


@pytest.mark.parametrize("k", range(1, 8))
def test_gaussian_line(k):
    """250 000 equispaced quantiles: what they cut off the tails lowers the variance, and any energy, by 5.3e-6."""
    stats = pytest.importorskip("scipy.stats")
    n = 250_000
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    r = lloyd(x, k, init=np.linspace(-1, 1, k) * (k > 1), tol=1e-9, max_iter=1000)
    assert 1 - x.var() == pytest.approx(5.3e-6, rel=0.1)
    assert float(r.energy) == pytest.approx(GAUSSIAN[k - 1], abs=6e-6)
    if k in (2, 3):
        assert np.abs(r.sites).max() == pytest.approx({2: np.sqrt(2 / np.pi), 3: 1.2240064}[k], abs=1e-3)


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_energies_decrease(d, init):
    """To the last step, also with tol=0 in float32; the history ends with the energy, a fixed point is one."""
    x = np.random.default_rng(8).standard_normal((4100, d)).astype(np.float32)
    seen = []
    r = lloyd(x, 40, init=init, tol=0, max_iter=2000, rng=1, callback=seen.append)
    assert (np.diff(r.history) < 0).all()
    assert (r.converged, r.history[-1]) == (True, pytest.approx(float(r.energy), rel=1e-6))
    assert [s.step for s in seen] == list(range(len(seen)))
    assert [s.energy for s in seen] == r.history
    assert np.array_equal(seen[-1].sites, r.sites)
    assert r.n_iter == len(r.history) - 1
    again = lloyd(x, 40, init=r.sites, tol=0)
    assert again.n_iter <= 1


def test_convergence_is_honest():
    """max_iter first: a warning and converged=False; the tolerance is on the relative decrease of the energy."""
    x = np.random.default_rng(9).random((5000, 2))
    with pytest.warns(deblai.ConvergenceWarning, match=r"\[quantization.lloyd\] not converged after 3 iterations") as w:
        r = lloyd(x, 30, rng=0, max_iter=3)
    assert w[0].filename == __file__
    assert (r.converged, r.n_iter) == (False, 3)
    r = lloyd(x, 30, rng=0, tol=1e-3)
    falls = -np.diff(r.history) / r.history[1:]
    assert r.converged
    assert falls[-1] <= 1e-3 < falls[:-1].min()
    stopped = lloyd(x, 30, rng=0, callback=lambda state: state.step == 2)
    assert (stopped.converged, stopped.n_iter) == (False, 2)


def test_result(library):
    """Sites, weights, energy, labels and flags are arrays of the caller's library; one line of repr; frozen."""
    x = np.random.default_rng(10).standard_normal((300, 3)).astype(np.float32)
    want = lloyd(x, 5, rng=0)
    r = lloyd(library.array(x, "float32"), 5, rng=0)
    for name, dtype in (("sites", "float32"), ("weights", "float32"), ("labels", "int32"), ("empty", "bool")):
        value = getattr(r, name)
        assert isinstance(value, library.array_type)
        assert library.dtype(value) == dtype
        assert np.array_equal(library.numpy(value), getattr(want, name))
    assert library.is_scalar(r.energy)
    assert (r.history, r.n_iter) == (want.history, want.n_iter)
    assert repr(r).startswith("QuantizationResult(n_sites=5, energy=")
    assert "\n" not in repr(r)
    with pytest.raises(AttributeError):
        r.energy = 0
    init = library.array(x[:5], "float32")
    assert np.array_equal(lloyd(library.array(x, "float32"), 5, init=init).labels, lloyd(x, 5, init=x[:5]).labels)


def test_the_line_and_samples():
    """A vector is samples of the line, whose sites are a vector; Samples carry their weights; lists become arrays."""
    x, w = [0.0, 1.0, 10.0, 12.0], [1.0, 1.0, 2.0, 2.0]
    r = lloyd(x, 2, weights=w, rng=0)
    assert sorted(r.sites.tolist()) == [0.5, 11.0]
    same = lloyd(Samples(np.array(x), np.array(w)), 2, rng=0)
    assert sorted(same.sites.tolist()) == [0.5, 11.0]
    assert sorted(quantize(Samples(np.array(x), np.array(w)), 2, rng=0).sites.tolist()) == [0.5, 11.0]
    assert r.energy == same.energy == pytest.approx((0.5 + 4) / 6)


def test_gradients_are_not_tracked(get):
    """A tensor that requires a gradient is read; nothing that comes out does."""
    get("torch")
    torch = sys.modules["torch"]
    x = torch.randn(100, 2, dtype=torch.float64, requires_grad=True)
    r = lloyd(x, 4, rng=0)
    assert not r.sites.requires_grad
    assert not r.energy.requires_grad


# Dyadic numbers: copies and shifts are exact, ties are likely.
POINTS = (
    st.integers(1, 3)
    .flatmap(lambda d: arrays(np.int64, st.tuples(st.integers(1, 40), st.just(d)), elements=st.integers(-64, 64)))
    .map(lambda v: v / 8)
)


@given(POINTS, st.integers(1, 6), st.data())
def test_weights_are_copies(x, k, data):
    """Integer weights are repeated samples: the same masses, energies and first move."""
    w = data.draw(arrays(np.int64, len(x), elements=st.integers(1, 3)))
    sites = np.unique(x, axis=0)[:k]  # none of them is empty
    runs = [
        lloyd(y, len(sites), weights=v, init=sites, tol=0, callback=lambda state: state.step == 1)
        for y, v in ((x, w / 1.0), (np.repeat(x, w, axis=0), None))
    ]
    np.testing.assert_allclose(runs[0].sites, runs[1].sites, rtol=0, atol=1e-12)
    np.testing.assert_allclose(runs[0].weights, runs[1].weights, rtol=1e-12)
    assert np.array_equal(np.repeat(runs[0].labels, w), runs[1].labels)
    assert runs[0].history == pytest.approx(runs[1].history, rel=1e-12, abs=1e-14)


@given(POINTS, st.integers(1, 6), st.sampled_from([0.25, 1.0, 16.0]), st.integers(-100, 100))
def test_scale_and_translation(x, k, scale, shift):
    """Sites move along, labels stay, the energy scales with the square: exactly, for powers of two."""
    k = min(k, len(x))
    one, other = (
        lloyd(x, k, init=x[:k], max_iter=1000),
        lloyd(scale * (x + shift), k, init=scale * (x[:k] + shift), max_iter=1000),
    )
    assert np.array_equal(assign(x, x[:k]).labels, assign(scale * (x + shift), scale * (x[:k] + shift)).labels)
    assert other.history[0] == pytest.approx(scale**2 * one.history[0], rel=1e-12, abs=1e-13)
    if np.array_equal(one.labels, other.labels):
        np.testing.assert_allclose(other.sites, scale * (one.sites + shift), rtol=1e-12, atol=1e-10)


@given(POINTS, st.integers(1, 6), st.sampled_from(["k-means++", "random"]), st.integers(0, 5))
def test_invariants(x, k, init, seed):
    """Masses sum to 1; sites are the means of their samples; no sample is nearer to another site."""
    k = min(k, len(x))
    r = lloyd(x, k, init=init, rng=seed, tol=0)
    assert r.weights.sum() == pytest.approx(1)
    D = squared(x, r.sites)
    assert np.array_equal(r.labels, D.argmin(1)) or np.allclose(D[np.arange(len(x)), r.labels], D.min(1))
    assert r.history[-1] == pytest.approx(D.min(1).mean(), rel=1e-12, abs=1e-14)
    for j in np.flatnonzero(~r.empty):
        np.testing.assert_allclose(r.sites[j], x[r.labels == j].mean(0), atol=1e-6)


def test_seeds(level):
    """k-means++ is the reference's for the same generator, in every library; its first energy beats random draws."""
    rng = np.random.default_rng(11)
    x = np.concatenate([rng.standard_normal((300, 2)) + 50 * c for c in rng.standard_normal((10, 2))])
    first = {}
    for init in ("k-means++", "random"):
        runs = []
        for seed in range(8):
            with deblai.use_backend("cpu", simd=level):
                runs.append(lloyd(x, 10, init=init, rng=seed, callback=lambda s: True))
            with deblai.use_backend("reference"):
                assert np.array_equal(lloyd(x, 10, init=init, rng=seed, callback=lambda s: True).sites, runs[-1].sites)
        first[init] = np.mean([float(r.energy) for r in runs])
    assert first["k-means++"] < first["random"] / 3
    weights = np.zeros(len(x))
    weights[::7] = 1.0
    for init in ("k-means++", "random"):
        r = lloyd(x, 20, weights=weights, init=init, rng=0, callback=lambda s: True)
        assert {tuple(s) for s in r.sites} <= {tuple(v) for v in x[::7]}
