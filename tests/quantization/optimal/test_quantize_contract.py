"""What deblai.quantization.quantize promises beside numbers: errors, warnings, libraries, callbacks, Ctrl-C."""

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import Grid, Law, Samples, UniformBox
from deblai.quantization import lloyd, quantize

stats = pytest.importorskip("scipy.stats")
NORMAL = Law(stats.norm())
SQUARE = UniformBox((0, 0), (1, 1))
POINTS = Samples(np.arange(9.0))


class Bare:
    """A law without density."""

    cdf, ppf = staticmethod(stats.norm.cdf), staticmethod(stats.norm.ppf)


class Mixture:
    """A law that is not scipy's, with the least that is needed."""

    def pdf(self, x):
        return (stats.norm.pdf(x, -3) + stats.norm.pdf(x, 3)) / 2

    def cdf(self, x):
        return (stats.norm.cdf(x, -3) + stats.norm.cdf(x, 3)) / 2

    def ppf(self, q):
        q = np.asarray(q, float)
        low, high = np.full(q.shape, -50.0), np.full(q.shape, 50.0)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = np.where(self.cdf(middle) < q, middle, low), np.where(self.cdf(middle) < q, high, middle)
        return np.where(q <= 0, -np.inf, np.where(q >= 1, np.inf, (low + high) / 2))


BAD = [
    ({"measure": stats.norm()}, InvalidType, "measure: expected a Law, a density or Samples of deblai.meas"),
    (
        {"measure": np.zeros(4)},
        InvalidType,
        "measure: expected a Law, a density or Samples of deblai.measures, got ndarray",
    ),
    ({"measure": SQUARE, "p": 3, "weights": "uniform"}, InvalidValue, "p: expected 2 with given weights, got 3"),
    ({"measure": UniformBox((0,) * 4, (1,) * 4)}, InvalidValue, "measure: expected 2 or 3 dimensions, got 4"),
    (
        {"measure": SQUARE, "init": "bcc"},
        InvalidValue,
        "init: expected one of .'random', 'k-means..', 'refined', 'square'",
    ),
    ({"measure": SQUARE, "p": 999}, InvalidValue, "p: expected powers of distances that floats can hold"),
    ({"measure": SQUARE, "weights": [1e-300, 1, 1]}, InvalidValue, "weights: expected what cells can hold but for ro"),
    ({"measure": SQUARE, "weights": "uniform", "init": np.ones((3, 2))}, InvalidValue, "init: expected distinct pl"),
    ({"measure": POINTS, "n_sites": 5000}, InvalidValue, "n_sites: expected at most the"),
    ({"measure": POINTS, "periodic": True}, InvalidValue, "periodic: expected False for samples"),
    ({"measure": SQUARE, "init": "triangular"}, InvalidValue, "init: expected a multiple of 2 sites for init='tri"),
    ({"measure": SQUARE, "init": np.zeros((2, 2))}, InvalidValue, r"init: expected shape \(3, 2\) to match n_sites"),
    ({"measure": SQUARE, "init": np.full((3, 2), np.nan)}, InvalidValue, "init: expected finite values"),
    ({"measure": SQUARE, "method": "bfgs"}, InvalidValue, "method: expected one of"),
    ({"measure": SQUARE, "periodic": 1}, InvalidType, "periodic: expected True or False, got 1"),
    ({"measure": POINTS, "weights": "uniform"}, InvalidValue, "weights: expected 'free' for Samples"),
    ({"measure": POINTS, "method": "newton"}, InvalidValue, "method: expected one of"),
    ({"periodic": True}, InvalidValue, "periodic: expected False on the line, got True"),
    ({"init": "random"}, InvalidType, "init: expected an array of sites on the line, got 'random'"),
    ({"measure": Law(Bare())}, InvalidType, r"measure: expected a law with a density \(method pdf\)"),
    ({"measure": Law(stats.cauchy())}, InvalidValue, r"measure: expected a law with finite E\|X\|\^p for p = 2"),
    (
        {"measure": Law(stats.cauchy()), "p": 1},
        InvalidValue,
        r"measure: .* for p = 1, got Law\(cauchy\), whose density",
    ),
    ({"measure": Law(stats.t(2))}, InvalidValue, r"measure: .* falls like \|x\|\^-3"),
    ({"measure": Law(stats.pareto(1.9))}, InvalidValue, "measure: expected a law with finite"),
    ({"n_sites": 0}, InvalidValue, "n_sites: expected a positive integer, got 0"),
    ({"n_sites": 2.5}, InvalidType, "n_sites: expected a positive integer, got 2.5"),
    ({"p": 0.5}, InvalidValue, "p: expected 1 <= p < 1000, got 0.5"),
    ({"p": 999, "n_sites": 1}, InvalidValue, r"p: expected \|x\|\^p to stay below 1e308"),
    ({"p": np.nan}, InvalidValue, "p: expected 1 <= p < 1000, got nan"),
    ({"weights": None}, InvalidType, "weights: expected 'free', 'uniform' or an array, got None"),
    ({"weights": "equal"}, InvalidValue, "weights: expected one of"),
    ({"weights": [0.5, 0.5]}, InvalidValue, r"weights: expected shape \(3,\) to match n_sites, got \(2,\)"),
    ({"weights": [0.5, 0.5, 0.0]}, InvalidValue, "weights: expected positive weights, got 0"),
    ({"weights": [0.5, 0.5, np.nan]}, InvalidValue, "weights: expected finite values, got nan or inf"),
    ({"weights": "uniform", "init": [0.0, 1.0, 2.0]}, InvalidValue, "init: expected none with given weights"),
    ({"weights": "uniform", "restarts": 2}, InvalidValue, "restarts: expected none with given weights"),
    ({"init": [0.0, 1.0]}, InvalidValue, r"init: expected shape \(3,\) to match n_sites, got \(2,\)"),
    ({"init": [0.0, 1.0, 1.0]}, InvalidValue, "init: expected different sites"),
    ({"init": [0.0, 1.0, np.inf]}, InvalidValue, "init: expected finite values"),
    ({"measure": Law(stats.expon()), "init": [-1.0, 1.0, 2.0]}, InvalidValue, r"init: expected sites inside of \(0, "),
    ({"method": "lloyd"}, InvalidValue, "method: expected one of"),
    ({"method": 3}, InvalidType, "method: expected one of"),
    ({"restarts": -1}, InvalidValue, "restarts: expected a nonnegative integer, got -1"),
    ({"tol": -1.0}, InvalidValue, "tol: expected at least 0, got -1.0"),
    ({"max_iter": 0}, InvalidValue, "max_iter: expected a positive integer, got 0"),
    ({"rng": "seed"}, InvalidType, "rng: expected"),
    ({"callback": 3}, InvalidType, "callback: expected a function of a QuantizeState, got 3"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_input(arguments, error, message):
    """Each message names the function and the argument."""
    with pytest.raises(error, match=r"^\[quantization.quantize\] " + message):
        quantize(**({"measure": NORMAL, "n_sites": 3} | arguments))


def test_what_a_law_refuses():
    """Discrete laws, and those with atoms, are no laws."""
    with pytest.raises(InvalidValue, match="expected a continuous law"):
        Law(stats.binom(4, 0.5))


@pytest.mark.parametrize("law", [stats.lognorm(3.0), stats.t(2.5), stats.weibull_min(0.4), stats.pareto(2.2)])
def test_heavy_tails(law):
    """Second moments that are finite, if only just or very large, are found to be finite."""
    r = quantize(Law(law), 5)
    assert r.converged
    assert r.weights @ r.sites == pytest.approx(law.mean(), rel=1e-9, abs=1e-9)
    assert r.energy < law.var()


def test_a_law_of_ones_own():
    """cdf, ppf and pdf are enough; sites of two hills, uncertified."""
    r = quantize(Law(Mixture()), 2)
    np.testing.assert_allclose(r.sites, np.array([-1, 1]) * stats.foldnorm(3).mean(), rtol=1e-12)
    assert r.converged
    assert not r.certified
    assert quantize(Law(Mixture()), 40).converged


def test_certificates():
    """Log-concave laws by name and parameters; a stopped run proves nothing; given weights need no log-concavity."""
    for law, known in (
        (stats.gamma(2), True),
        (stats.gamma(0.9), False),
        (stats.beta(1, 2), True),
        (stats.t(9), False),
    ):
        assert quantize(Law(law), 3).certified is known
        assert quantize(Law(law), 3, weights="uniform").certified
    assert not quantize(NORMAL, 50, callback=lambda state: state.step == 1).certified
    assert not quantize(Grid([1.0, 2.0], (0,), (1,)), 2).certified


def test_callbacks_and_interrupts():
    """True stops with what there is; Ctrl-C keeps it too."""
    seen = []
    r = quantize(NORMAL, 50, callback=lambda state: seen.append(state))
    assert [state.step for state in seen] == list(range(r.n_iter + 1))
    assert [state.energy for state in seen] == r.history
    assert seen[-1].residual == r.residual
    np.testing.assert_array_equal(seen[-1].sites, r.sites)
    r = quantize(NORMAL, 50, callback=lambda state: state.step == 2)
    assert (r.n_iter, r.converged) == (2, False)

    def press(state):
        if state.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(deblai.Interrupted, match="after 2 steps") as caught:
        quantize(NORMAL, 50, callback=press)
    assert caught.value.result.n_iter == 2


def test_not_converged():
    """max_iter steps are a warning."""
    with pytest.warns(deblai.ConvergenceWarning, match=r"\[quantization.quantize\] not converged after 2 steps"):
        r = quantize(NORMAL, 50, max_iter=2)
    assert not r.converged
    assert r.residual > 1e-12
    with pytest.warns(
        deblai.ConvergenceWarning, match=r"\[quantization.quantize\] not converged after 1 iter"
    ) as caught:
        quantize(Samples(np.random.default_rng(0).random((200, 2))), 9, rng=0, max_iter=1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_libraries(library, dtype):
    """Of pixels, sites come as the pixels are."""
    values = np.random.default_rng(0).random(20)
    want = quantize(Grid(values.astype(dtype), (0,), (1,)), 4)
    r = quantize(Grid(library.array(values.astype(dtype), dtype), (0,), (1,)), 4)
    for array in (r.sites, r.weights):
        assert isinstance(array, library.array_type)
        assert library.dtype(array) == dtype
    np.testing.assert_allclose(np.asarray(r.sites), np.asarray(want.sites), rtol=1e-6)
    assert float(r.energy) == pytest.approx(float(want.energy), rel=1e-6)


def test_results():
    """A line of text; what Lloyd's result has not."""
    r = quantize(NORMAL, 3)
    assert repr(r) == "QuantizationResult(n_sites=3, energy=0.190174, n_iter=5, converged=True, backend='scipy')"
    assert repr(r.stability).startswith("Stability(morse_index=0, smallest=0.")
    assert r.labels is None
    assert not r.empty.any()
    with pytest.raises(InvalidValue, match="stability: expected a result of quantize"):
        lloyd(np.arange(9.0), 2, rng=0).stability  # noqa: B018


def test_without_scipy(python):
    """Says which extra has it."""
    python("""
import sys
sys.modules["scipy"] = None
import deblai
try:
    deblai.quantization.quantize(deblai.measures.UniformBox((0,), (1,)), 3, init=[0.1, 0.2, 0.9])
except deblai.errors.MissingExtra as error:
    assert "pip install 'deblai[exact]'" in str(error), error
else:
    raise SystemExit("no error")
""")
