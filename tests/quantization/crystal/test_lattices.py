"""Lattices; rows 1-5, 7, 10 and 11 of the ground truths."""

import itertools
import math

import deblai
import numpy as np
import pytest
from deblai.quantization import crystal
from deblai.quantization.crystal._lattices import moments
from deblai.quantization.crystal._lattices.closest import Glued

TABLE = {  # digits of rows 1 to 5
    "Z1": 1 / 12,
    "Z5": 1 / 12,
    "A2": 5 / (36 * 3**0.5),
    "bcc": 19 / (192 * 2 ** (1 / 3)),
    "fcc": 2 ** (-11 / 3),
    "D4": 13 / (120 * 2**0.5),
}
DIGITS = {"D5*": 0.0756254, "E6*": 0.0742437, "E7*": 0.0731165, "E8": 0.0716821, "K12": 0.0700956, "Leech": 0.065771}
VOLUMES = {  # square roots of determinants
    **{"Z4": 1, "A5": 6**0.5, "A5*": 6**-0.5, "D6": 2, "D6*": 0.5, "E6": 3**0.5, "E6*": 3**-0.5, "E7": 2**0.5},
    **{"E7*": 0.5**0.5, "E8": 1, "K12": 27, "Leech": 1, "bcc": 0.5, "fcc": 2, "A2*": 3**-0.5},
}
SMALL = sorted({*TABLE, *DIGITS, *VOLUMES, "A7*", "D9*"} - {"Leech"})


@pytest.mark.parametrize("name", [*TABLE, *DIGITS])
def test_rows_1_to_5(name):
    """Closed forms to rounding, printed digits to the last."""
    found = crystal.lattice(name)
    if name in TABLE:
        assert found.second_moment == pytest.approx(TABLE[name], rel=1e-14)
    else:
        assert found.second_moment == pytest.approx(DIGITS[name], abs=0.6 * 10.0 ** -(len(str(DIGITS[name])) - 2))
    assert found.status == ("digits" if name in ("K12", "Leech") else "exact")


def test_the_same_lattice_has_the_same_moment():
    """A_3 is D_3, A_3^* is D_3^*, D_4^* is D_4, A_2^* is A_2, A_1 is Z: formulas of different kinds agree."""
    for one, other in (("A3", "D3"), ("A3*", "D3*"), ("D4*", "D4"), ("A2*", "A2"), ("A1", "Z1"), ("A1*", "Z1")):
        a, b = crystal.lattice(one), crystal.lattice(other)
        assert a.second_moment == pytest.approx(b.second_moment, rel=1e-14)
        assert a.kissing == b.kissing


def test_row_7_bounds():
    """The ball's moment in the plane and in space; no lattice is below it, the best are below Zador's upper bound."""
    assert moments.sphere(2) == pytest.approx(0.0795775, abs=5e-8)
    assert moments.sphere(3) == pytest.approx(0.0769669, abs=5e-8)
    assert moments.sphere(1) == pytest.approx(1 / 12, rel=1e-14)
    assert moments.zador_upper(400) == pytest.approx(1 / (2 * math.pi * math.e), rel=0.02)
    for name in SMALL:
        found = crystal.lattice(name)
        assert moments.sphere(found.dim) <= found.second_moment * (1 + 1e-14)
        if name in DIGITS:
            assert found.second_moment < moments.zador_upper(found.dim)


@pytest.mark.parametrize("name", [*SMALL, "Leech"])
def test_random_points_have_the_moment(name):
    """The second moment within 4.5 standard errors, by the decoder; points of the cell, points of the lattice."""
    found = crystal.lattice(name)
    value, stderr = found.estimate(400 if name == "Leech" else 8000, rng=5)
    assert abs(value - found.second_moment) < 4.5 * stderr + 1e-15
    assert stderr < 0.011 * value
    x = np.random.default_rng(1).standard_normal((20, found.dim)) * 2
    y = found.closest(x)
    whole = y @ np.linalg.inv(found.basis)
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-9)
    np.testing.assert_allclose(found.closest(y), y, atol=1e-12)
    moved = found.closest(x + found.basis.sum(0))
    np.testing.assert_allclose(moved, y + found.basis.sum(0), atol=1e-9)


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name):
    """|det basis| is the root of the determinant in Conway's and Sloane's table."""
    assert crystal.lattice(name).volume == pytest.approx(VOLUMES[name], rel=1e-12)


def test_nearest_points_are_those_of_brute_force(rng):
    """All points of the lattice in a ball around, for small dimensions."""
    for name in ("A2", "A3", "A3*", "D3*", "A4*", "D4", "D4*"):
        found = crystal.lattice(name)
        each = np.array(list(itertools.product(range(-4, 5), repeat=found.dim))) @ found.basis
        x = rng.uniform(-0.5, 0.5, (50, found.dim))
        brute = ((x[:, None] - each) ** 2).sum(2).min(1)
        np.testing.assert_allclose(((x - found.closest(x)) ** 2).sum(1), brute, atol=1e-12)


def shells(block, letter, scale):
    """How many vectors of a coset of a block have which squared length, in sixtieths and up to 4: entries are small."""
    b = len(letter)
    whole = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=b)) if b < 7 else small(b), float)
    found = block(whole)
    norm = ((whole[np.abs(found - whole).max(1) < 1e-9] + letter) ** 2).sum(1)
    values, counts = np.unique(np.round(60 * scale**2 * norm).astype(int), return_counts=True)
    return [(v, c) for v, c in zip(values.tolist(), counts.tolist(), strict=True) if v <= 240]


def small(b):
    """Integer vectors with entries -1, 0, 1 and at most two of either sign."""
    rows = itertools.product((-1, 0, 1), repeat=b)
    return [row for row in rows if row.count(1) <= 2 and row.count(-1) <= 2]


@pytest.mark.parametrize("name", ["E6", "E6*", "K12", "A4*", "D5*"])
def test_kissing_numbers_of_glued_lattices(name):
    """Counted word by word, from the lengths of vectors in each block."""
    found = crystal.lattice(name)
    glue = found._kind.closest
    assert isinstance(glue, Glued)
    letters = [shells(glue.nearest, letter / glue.scale, glue.scale) for letter in glue.alphabet]
    total = {}
    for word in glue.words:
        so_far = {0: 1}
        for letter in word:
            following = {}
            for (u, m), (v, c) in itertools.product(so_far.items(), letters[letter]):
                if u + v <= 240:
                    following[u + v] = following.get(u + v, 0) + m * c
            so_far = following
        for v, c in so_far.items():
            total[v] = total.get(v, 0) + c
    assert total[0] == 1
    assert total[min(v for v in total if v > 0)] == found.kissing


@pytest.mark.parametrize(("name", "count"), [("A4", 20), ("D5", 40), ("E7", 126), ("E8", 240)])
def test_kissing_numbers_of_root_lattices(name, count):
    """The roots, by reflecting one of them: they are the shortest vectors."""
    found = crystal.lattice(name)
    assert found.kissing == count
    short = [v for v in found.basis if abs(v @ v - 2) < 1e-9]
    known = {tuple(np.round(short[0], 6)): short[0]}
    mirrors = np.array(list(short))
    for _ in range(40):
        fresh = {}
        for v in known.values():
            for w in np.concatenate([mirrors, np.array(list(known.values()))[:40]]):
                u = v - (v @ w) * w
                key = tuple(np.round(u, 6) + 0.0)
                if key not in known:
                    fresh[key] = u
        if not fresh:
            break
        known |= fresh
    assert len(known) == count


def test_golay():
    """Weights 0, 8, 12, 16, 24: 1, 759, 2576, 759, 1 words."""
    from deblai.quantization.crystal._lattices.kinds import golay

    words = np.array(list(itertools.product((0, 1), repeat=12))) @ golay() % 2
    weights, counts = np.unique(words.sum(1), return_counts=True)
    assert dict(zip(weights.tolist(), counts.tolist(), strict=True)) == {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}


@pytest.mark.parametrize(
    ("name", "shape"), [("A2", (12, 6)), ("square", (4, 5)), ("sc", (2, 3, 4)), ("bcc", (3, 2, 2)), ("fcc", (2, 2, 3))]
)
def test_rows_10_and_11_tori(name, shape):
    """Energies of the lattices on their tori: d G (V / N)^(2/d) for a uniform probability; spacing 1."""
    found = crystal.lattice(name)
    sites, measure = found.torus(shape)
    n, d = sites.shape
    energy = deblai.quantization.laguerre(sites, measure=measure, periodic=True).energy
    assert energy == pytest.approx(d * found.second_moment * (measure.volume / n) ** (2 / d), rel=1e-13)
    away = np.linalg.norm(crystal.bonds(sites, measure=measure, periodic=True).offset, axis=1)
    assert away.min() == pytest.approx(1, rel=1e-12)
    assert (np.abs(away - 1) < 1e-9).sum() * 2 == n * found.kissing


def test_row_10_random_starts_find_the_lattice():
    """Restarts end at the triangular lattice, and say that nothing is better; bench_crystal.py has the rates."""
    best, torus = crystal.lattice("triangular").torus((4, 2))
    r = deblai.quantization.quantize(torus, len(best), periodic=True, init="random", restarts=20, rng=0, tol=1e-8)
    assert r.certified
    h = crystal.hexagonality(r, measure=torus, periodic=True)
    assert abs(h.deficit) < 1e-12
    assert h.worst < 1e-6
    assert crystal.defects(r, measure=torus, periodic=True).count == 0


def test_row_10_numbers():
    """D = 0.1603750748 A / N on the triangular torus; square A / (6 N); .2356298, .2362352, .25 (V / N)^(2/3)."""
    for name, number in (("A2", 0.1603750748), ("Z2", 1 / 6), ("bcc", 0.2356298), ("fcc", 0.2362352), ("sc", 0.25)):
        found = crystal.lattice(name)
        assert found.dim * found.second_moment == pytest.approx(number, abs=5.1e-8 if found.dim == 3 else 5.1e-11)


def test_results_come_back_in_the_library(library, rng):
    x = library.array(rng.standard_normal((5, 8)), "float32")
    y = crystal.lattice("E8").closest(x)
    assert isinstance(y, library.array_type)
    assert library.dtype(y) == "float32"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crystal.lattice("Q7"), "name: expected"),
        (lambda: crystal.lattice("D2"), "name: expected"),
        (lambda: crystal.lattice("Z2*"), "name: expected"),
        (lambda: crystal.lattice("A65"), "name: expected"),
        (lambda: crystal.lattice(8), "name: expected a string"),
        (lambda: crystal.lattice("E8").closest(np.zeros((3, 7))), r"x: expected shape \(n, 8\)"),
        (lambda: crystal.lattice("E8").closest(np.full((3, 8), np.nan)), "x: expected finite"),
        (lambda: crystal.lattice("E8").torus((2,) * 8), "expected one of"),
        (lambda: crystal.lattice("A2").torus((2, 2, 2)), "expected 2 numbers"),
        (lambda: crystal.lattice("A2").torus(3), "expected a sequence"),
        (lambda: crystal.lattice("A2").torus((0, 3)), "expected a positive integer"),
        (lambda: crystal.lattice("A2").estimate(0), "n: expected a positive"),
    ],
)
def test_errors(call, message):
    with pytest.raises(deblai.DeblaiError, match=r"^\[quantization\.crystal\.lattice.*" + message):
        call()
