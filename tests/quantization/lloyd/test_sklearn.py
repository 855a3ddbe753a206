"""The estimator of scikit-learn, and the nearest of given sites."""

import warnings

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.quantization import assign, lloyd
from deblai.reference.lloyd import nearest

sklearn = pytest.importorskip("sklearn")

from deblai.sklearn import Quantizer  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.standard_normal((500, 4))


def test_check_estimator():
    """All that scikit-learn asks of an estimator, but for what its own KMeans does not do: see below."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(
            Quantizer(3, max_iter=20),
            expected_failed_checks={
                "check_sample_weight_equivalence_on_dense_data": "random starts depend on the order of the samples"
            },
        )


def test_weights_are_copies():
    """From given sites, integer weights are repeated samples, and zeros none."""
    w = RNG.integers(0, 4, 500)
    weighted = Quantizer(5, init=X[:5]).fit(X, sample_weight=w)
    repeated = Quantizer(5, init=X[:5]).fit(np.repeat(X, w, axis=0)[::-1])
    np.testing.assert_allclose(weighted.sites_, repeated.sites_, rtol=1e-12)
    assert np.array_equal(weighted.predict(X), repeated.predict(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_as_kmeans(dtype):
    """From the same sites and weights: the centres, labels, inertia, distances and scores of KMeans."""
    x, w = X.astype(dtype), RNG.random(500).astype(dtype)
    ours = Quantizer(7, init=x[:7], tol=0).fit(x, sample_weight=w)
    theirs = KMeans(7, init=x[:7], n_init=1, tol=0, algorithm="lloyd").fit(x, sample_weight=w)
    close = {"rtol": 1e-4 if dtype == "float32" else 1e-10}
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-6, **close)
    assert np.array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=close["rtol"])
    assert ours.energy_ == pytest.approx(ours.inertia_ / w.sum(dtype=float), rel=1e-12)
    np.testing.assert_allclose(ours.transform(x), theirs.transform(x), **close)
    assert np.array_equal(ours.predict(x), ours.labels_)
    assert ours.score(x, sample_weight=w) == pytest.approx(-ours.inertia_, rel=close["rtol"])
    assert ours.sites_.dtype == dtype


def test_starts():
    """The least of several; the same for a seed; a warning of scikit-learn's kind where there were too few steps."""
    one, ten = (Quantizer(20, n_init=n, random_state=3).fit(X) for n in (1, 10))
    assert ten.energy_ < one.energy_
    assert np.array_equal(Quantizer(20, random_state=3).fit(X).sites_, one.sites_)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match="not converged after 1 iter"):
        Quantizer(20, max_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="n_init: expected a positive integer or 'auto', got 0"):
        Quantizer(3, n_init=0).fit(X)
    many = Quantizer(20, init="random", n_init="auto", random_state=0).fit(X)
    assert many.energy_ < Quantizer(20, init="random", random_state=0).fit(X).energy_ * (1 + 1e-12)
    with pytest.raises(ValueError, match="n_init: expected a positive integer or 'auto', got 'all'"):
        Quantizer(3, n_init="all").fit(X)
    with pytest.raises(ValueError, match="init: expected the name of a start or an array of sites"):
        Quantizer(3, init=len).fit(X)
    with pytest.raises(InvalidValue, match="n_sites: expected at most the 500 samples"):
        Quantizer(501).fit(X)


def test_without_scikit_learn(python):
    """Says which extra has it."""
    python("""
import sys
sys.modules["sklearn"] = None
import deblai
try:
    import deblai.sklearn
except deblai.errors.MissingExtra as error:
    assert "pip install 'deblai[sklearn]'" in str(error), error
else:
    raise SystemExit("no error")
""")


def test_assign(library):
    """Labels and squared distances of brute force, masses, means; in every library."""
    sites, w = X[:9] + 0.1, RNG.random(500)
    labels, squared = nearest(X, sites)
    r = assign(*(library.array(v, "float64") for v in (X, sites, w)))
    assert isinstance(r.labels, library.array_type)
    assert np.array_equal(np.asarray(r.labels), labels)
    np.testing.assert_allclose(np.asarray(r.squared_distance), squared, rtol=1e-14)
    mass = np.bincount(labels, w, 9)
    np.testing.assert_allclose(np.asarray(r.weights), mass / w.sum(), rtol=1e-13)
    mean = np.stack([np.bincount(labels, w * X[:, k], 9) for k in range(4)], 1) / mass[:, None]
    np.testing.assert_allclose(np.asarray(r.centroid), mean, rtol=1e-12)
    assert float(r.energy) == pytest.approx(w @ squared / w.sum(), rel=1e-13)
    assert repr(r).startswith("Assignment(n=500, n_sites=9, energy=")


def test_assign_edges():
    """Vectors; cells without samples; what does not fit, in its own name."""
    r = assign(np.array([0.0, 1.0, 2.0]), np.array([10.0, 1.0, 1.0]))
    assert (r.labels.tolist(), r.weights.tolist(), r.centroid.tolist()) == ([1, 1, 1], [0, 1, 0], [10, 1, 1])
    assert lloyd(X, 5, rng=0).energy == assign(X, lloyd(X, 5, rng=0).sites).energy
    with pytest.raises(InvalidValue, match=r"^\[quantization.assign\] sites: expected 4 coordinates to match x, got 2"):
        assign(X, X[:3, :2])
    with pytest.raises(InvalidValue, match=r"^\[quantization.assign\] x: expected finite values, got nan at \[1\]|x: "):
        assign(np.array([0.0, np.nan]), np.array([0.0]))
    with pytest.raises(InvalidType, match=r"^\[quantization.assign\] sites: expected float64"):
        assign(X, X[:3].astype(np.float32))
    with pytest.raises(InvalidValue, match=r"^\[quantization.assign\] x: squared distances underflow"):
        assign(1e-200 * X, 1e-200 * X[:2] + 1e-200)
    with deblai.use_backend("reference"):
        assert np.array_equal(assign(X, X[:5]).labels, nearest(X, X[:5])[0])
