"""plot.defects and plot.structure_factor draw what crystal finds."""

import deblai
import numpy as np
import pytest
from deblai.measures import UniformBox
from deblai.quantization import crystal

plt = pytest.importorskip("matplotlib.pyplot", reason="the extra 'plot' is not installed")
from deblai import plot  # noqa: E402
from matplotlib.colors import to_hex  # noqa: E402


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def areas(collection):
    """The area of all cells of each colour, within the window."""
    found = {}
    for path, color in zip(collection.get_paths(), collection.get_facecolors(), strict=True):
        x, y = path.vertices[:-1].T
        area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
        found[to_hex(color)] = found.get(to_hex(color), 0) + area
    return found


def test_cells_have_the_colours_of_their_charges(rng):
    """In a box each cell is there once, and its colour says how many neighbours it has."""
    sites = rng.random((60, 2))
    d = crystal.defects(sites)
    cells, lines = plot.defects(d).collections
    assert len(cells.get_paths()) == 60
    shown = [to_hex(c) for c in cells.get_facecolors()]
    charge = np.where(d.bonds.border, 9, d.charge)
    colours = {9: "#d3d0c6", 0: "#ecebe6", 1: "#dd6b20", -1: "#3182ce"}
    for value, colour in colours.items():
        assert [i for i, c in enumerate(shown) if c == colour] == np.flatnonzero(charge == value).tolist()
    assert len(lines.get_segments()) == len({tuple(pair) for pair in d.dislocations.tolist()})
    ends = {tuple(np.round(end, 9)) for segment in lines.get_segments() for end in segment}
    assert ends == {tuple(np.round(sites[i], 9)) for i in d.dislocations.ravel()}


def test_images_fill_the_box_of_a_torus(rng):
    """Clipped to the box, cells and their images have its area: no hole, no overlap of more than the outside."""
    box = UniformBox((0, 0), (2, 1))
    ax = plot.defects(rng.random((30, 2)) * [2, 1], measure=box, periodic=True, directions=True)
    cells = ax.collections[0]
    at = rng.random((300, 2)) * [2, 1]
    covered = np.array([path.contains_points(at) for path in cells.get_paths()]).sum(0)
    assert (covered == 1).all()
    assert ax.get_xlim() == (0, 2)
    assert len({tuple(c) for c in cells.get_facecolors()}) > 5


def test_directions_of_one_crystal_are_one_colour():
    sites, box = crystal.lattice("A2").torus((4, 2))
    ax = plot.defects(sites, measure=box, periodic=True, directions=True)
    colors = ax.collections[0].get_facecolors()
    np.testing.assert_allclose(colors, np.broadcast_to(colors[0], colors.shape), atol=1e-6)


def test_structure_factor_is_where_it_is():
    """The image has the peaks of the triangular lattice at their wave vectors, and nothing in the middle."""
    sites, box = crystal.lattice("A2").torus((4, 2))
    s = crystal.structure_factor(sites, measure=box, k_max=8)
    mesh = plot.structure_factor(s).collections[0]
    values = np.ma.filled(mesh.get_array(), np.nan)
    corners = mesh.get_coordinates()
    middle = (corners[1:, 1:] + corners[:-1, :-1]) / 2
    peaks = middle[np.nan_to_num(values) > 1]
    assert len(peaks) == 6
    np.testing.assert_allclose(np.linalg.norm(peaks, axis=1), 4 * np.pi / 3**0.5, rtol=1e-9)
    assert np.isnan(values[tuple(n // 2 for n in values.shape)])
    assert len(plot.structure_factor(crystal.structure_factor(sites, np.eye(2))).collections[0].get_offsets()) == 2
    line = plot.structure_factor(np.random.default_rng(0).random((50, 3))).lines[0]
    assert len(line.get_xdata()) > 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.defects(crystal.bonds([[0.1, 0.2]]), periodic=True), "expected none beside bonds"),
        (lambda: plot.defects([[0.1, 0.2]], directions=1), "directions: expected"),
        (
            lambda: plot.structure_factor(crystal.structure_factor(np.ones((3, 2))), k_max=2),
            "expected none beside a StructureFactor",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(deblai.DeblaiError, match=message):
        call()
