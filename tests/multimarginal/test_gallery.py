"""The pages of docs/gallery run, draw, and find what is known; so does the picture of a ladder."""

import deblai
import numpy as np
import pytest
from deblai.multimarginal import epsilon_path

pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
pytest.importorskip("scipy")


def test_electrons_in_a_trap(page):
    """T5: N(0, 1), two and three electrons: .645984986, 2.403561757; V(N) / N^2 grows by the integral of rho^2."""
    numbers = page("electrons_in_a_trap")
    assert numbers["exact"][2] == pytest.approx(0.645984986, abs=1e-8)
    assert numbers["exact"][3] == pytest.approx(2.403561757, abs=1e-8)
    for n, limit in numbers["limits"].items():
        assert limit == pytest.approx(numbers["exact"][n], rel=3e-3)
    growth = (numbers["exact"][10] / 100 - numbers["exact"][9] / 81) / np.log(10 / 9)
    assert growth == pytest.approx(1 / (2 * np.sqrt(np.pi)), rel=0.05)


def test_when_monge_fails(page):
    """Supports of dimension 1 (Coulomb) and 2 (harmonic); T1 and T19: limits 7.5 and -3/4; mean variance 1/16."""
    numbers = page("when_monge_fails")
    assert numbers["dimensions"]["coulomb"] == pytest.approx(1, abs=0.15)
    assert numbers["dimensions"]["repulsive-harmonic"] == pytest.approx(2, abs=0.05)
    assert numbers["limits"]["coulomb"] == pytest.approx(7.5, rel=1e-3)
    assert numbers["limits"]["repulsive-harmonic"] == pytest.approx(-0.75, rel=1e-3)
    assert numbers["spread"] == pytest.approx(1 / 16, rel=5e-3)


def test_what_the_limit_selects(page):
    """T23: the mass of {-2, 1, 1} is 0.211383146316; T24: the product."""
    numbers = page("what_the_limit_selects")
    assert numbers["stationary"] == pytest.approx(0.211383146316, abs=1e-12)
    assert numbers["mass"] == pytest.approx(0.211383146316, abs=1e-7)
    assert numbers["from the product"] < 1e-9


def test_picture_of_a_ladder():
    """Points at the path's numbers, hollow where not converged; the limit at 0; a known value as a line."""
    from matplotlib.figure import Figure

    x = (np.arange(40) + 0.5) / 40
    with pytest.warns(deblai.ConvergenceWarning):
        path = epsilon_path(x, n_marginals=3, epsilons=[0.2, 0.1, 0.05, 0.001], max_iter=60)
    assert not path.converged.all()
    ax = deblai.plot.epsilon_path(path, truth=7.5, ax=Figure().subplots())
    labels = ax.get_legend_handles_labels()[1]
    assert "known value 7.5" in labels
    assert f"limit {path.limit:.6g}" in labels
    assert f"{path.slope:.3f}" in ax.get_title(loc="left")
    drawn = [line.get_xydata() for line in ax.lines]
    for values in (path.value, path.value_linear):
        fine = np.stack([path.epsilons, values], 1)[path.converged]
        assert any(len(d) == len(fine) and np.array_equal(d, fine) for d in drawn)
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert sum(len(line.get_xdata()) for line in hollow) == 2 * (~path.converged).sum()
