"""The pages of docs/gallery about quantization run, draw, and find what is known."""

import pytest

pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
pytest.importorskip("PIL", reason="the extra 'plot' is not installed")


def test_three_crystals_shaken(page):
    """Rows 1-3: 1/12, 2^(-11/3), 19 / (192 2^(1/3)); two settle where they were, simple cubes far below."""
    numbers = page("three_crystals_shaken")
    assert numbers["before"]["simple cubic"] == pytest.approx(1 / 12, abs=1e-13)
    for name, exact in (("face-centred", 2 ** (-11 / 3)), ("body-centred", 19 / (192 * 2 ** (1 / 3)))):
        assert numbers["before"][name] == pytest.approx(exact, abs=1e-13)
        assert numbers["after"][name] == pytest.approx(exact, abs=2e-6)
    assert 0.0788 < numbers["after"]["simple cubic"] < 0.0800
    assert len(numbers["facets of the glass"]) > 3


def test_a_density_moved(page):
    """The dual value is the cost of the cells; a translation of the places is linear in it; Gelbrich's bound."""
    numbers = page("a_density_moved")
    assert numbers["value"] == pytest.approx(numbers["cost of the cells"], rel=1e-9)
    assert numbers["moved"] == pytest.approx(numbers["moved, from the means"], rel=1e-9)
    assert numbers["cells that change"] < 1e-8
    assert 0.98 * numbers["value"] < numbers["bound of means and spreads"] <= numbers["value"]


def test_a_photograph_stippled(page):
    """Zador's limit, from above; weights are the ink, numbers of dots rather its root."""
    numbers = page("a_photograph_stippled")
    assert 1 < numbers["energy over the limit"] < 1.06
    assert numbers["share of hexagons"] > 0.55
    assert numbers["weights of dots, against the ink"] < 0.05
    assert numbers["number of dots, against its root"] < 0.8 * numbers["number of dots, against the ink"]


def test_equal_or_free(page):
    """Energies grow towards their limits; free weights on equal points are no worse, and no better than the best."""
    numbers = page("equal_or_free")
    for name, limit in numbers["limits"].items():
        few, more = numbers["N E"][name]
        assert few < more < 1.03 * limit
    free, equal = numbers["N E"]["free"][-1], numbers["N E"]["uniform"][-1]
    assert free < numbers["free weights on equal points"] <= equal < numbers["equal weights on free points"]


def test_a_crystal_and_its_defects(page):
    """Rows 10, 13 and 36: no charge on a torus, nothing below the lattice, whose peaks are n."""
    numbers = page("a_crystal_and_its_defects")
    assert all(values["total charge"] == 0 for values in numbers.values())
    lattice = numbers.pop("lattice")
    assert lattice["no hexagons"] == 0
    for name, value in (("energy over the best, minus 1", 0), ("global order", 1), ("highest peak over n", 1)):
        assert lattice[name] == pytest.approx(value, abs=1e-12)
    for values in numbers.values():  # which of the two is better is chance where there are few points and steps
        assert 0 <= values["energy over the best, minus 1"] < 0.02
        assert values["no hexagons"] < 0.3 * values["points"]
        assert 0.01 < values["highest peak over n"] < 1 + 1e-12
