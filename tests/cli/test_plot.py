"""Pictures hold what they should: on the given axes, polygons, dots and densities of the right number and size."""

import sys

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue, MissingExtra
from deblai.measures import Gaussian, Grid, UniformBox

figures = pytest.importorskip("matplotlib.figure", reason="the extra 'plot' is not installed")
plot = pytest.importorskip("deblai.plot")


@pytest.fixture
def ax():
    return figures.Figure().subplots()


def test_sliced_pictures_draw_on_the_given_axes(rng):
    axes = figures.Figure().subplots(2, 2).ravel()
    r = deblai.sliced.wasserstein(rng.standard_normal((20, 4)), rng.standard_normal((20, 4)), rng=0)
    assert plot.directions(r, ax=axes[0]) is axes[0]
    assert plot.running_estimate(r, truth=0.5, ax=axes[1]) is axes[1]
    assert plot.history([1.0, 0.5, 0.2], label="flow", ax=axes[2]) is axes[2]
    frames = [rng.random((3, 6)), rng.random((3, 6))]
    assert plot.image_flow(frames, ["a", "b"], (2, 3), n_images=3, ax=axes[3]) is axes[3]
    sheet = axes[3].images[0].get_array()
    np.testing.assert_array_equal(sheet[3:5, 4:7], frames[1][1].reshape(2, 3))


def test_cells_are_the_polygons_of_the_diagram(rng, ax):
    """One polygon a cell; the colour is the mean density, here a constant; the empty cell is left out."""
    box = UniformBox((0, 0), (2, 1))
    sites = np.concatenate([rng.random((40, 2)) * (2, 1), [[0.5, 0.5], [0.5, 0.5]]])
    cells = deblai.quantization.laguerre(sites, measure=box)
    assert int(cells.empty.sum()) == 1
    assert plot.cells(cells, ax=ax) is ax
    (drawn,) = ax.collections
    assert len(drawn.get_paths()) == 41
    np.testing.assert_allclose(drawn.get_array(), 1 / box.volume)
    np.testing.assert_array_equal(drawn.get_paths()[7].vertices[:-1], cells.polygon(7))
    assert ax.get_xlim() == (0, 2)
    assert ax.get_ylim() == (0, 1)


def test_cells_of_the_whole_plane(rng, ax):
    """A Gaussian's cells reach 39 deviations; what is shown is where its mass is."""
    plot.cells(deblai.quantization.laguerre(rng.standard_normal((50, 2)), measure=Gaussian([0, 0])), ax=ax)
    assert 3 < ax.get_xlim()[1] < 8
    assert -8 < ax.get_ylim()[0] < -3


def test_cells_by_other_values(rng, ax):
    cells = deblai.quantization.laguerre(rng.random((30, 2)), periodic=True)
    plot.cells(cells, values=np.arange(30), cmap="viridis", ax=ax)
    np.testing.assert_array_equal(ax.collections[0].get_array(), np.arange(30))
    with pytest.raises(InvalidValue, match=r"values: expected 30 numbers, one a cell, got shape \(29,\)"):
        plot.cells(cells, values=np.arange(29), ax=ax)


def test_ten_thousand_cells(rng, ax):
    """As one collection: fast enough for Lloyd's algorithm to be watched."""
    cells = deblai.quantization.laguerre(rng.random((10_000, 2)))
    plot.cells(cells, ax=ax)
    assert len(ax.collections) == 1
    assert len(ax.collections[0].get_paths()) == 10_000
    assert np.isclose((cells.mass / ax.collections[0].get_array()).sum(), 1)  # the areas


def test_dots_have_the_areas_of_their_weights(rng, ax):
    sites, weights = rng.random((50, 2)), rng.random(50)
    assert plot.stipple(sites, weights, ink=0.3, ax=ax) is ax
    (dots,) = ax.collections
    np.testing.assert_array_equal(dots.get_offsets(), sites)
    diameter = dots.get_widths()
    np.testing.assert_allclose(diameter, dots.get_heights())
    area = np.pi * diameter**2 / 4
    np.testing.assert_allclose(area, 0.3 * np.ptp(sites, axis=0).prod() * weights / weights.sum())
    with pytest.raises(InvalidValue, match="weights: expected 50 nonnegative numbers"):
        plot.stipple(sites, -weights, ax=ax)
    with pytest.raises(InvalidValue, match=r"points: expected shape \(n, 2\), got \(50,\)"):
        plot.stipple(weights, ax=ax)


def test_a_stipple_is_as_dark_as_the_image(ax):
    """Rendered, the halves have the greys of the density, 4 to 1: dots are larger where they are denser."""
    values = np.ones((20, 20))
    values[10:] = 0.25
    grid = Grid(values, (0, 0), (1, 1))
    r = deblai.quantization.lloyd(grid, 400, rng=0, tol=1e-4)
    figure = figures.Figure(figsize=(4, 4), dpi=200)
    ax = figure.add_axes((0, 0, 1, 1))
    plot.stipple(r.sites, r.weights, ink=0.4, color="black", ax=ax)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    dark = 1 - np.asarray(canvas.buffer_rgba())[..., 0] / 255
    left, right = dark[:, :400].mean(), dark[:, 400:].mean()
    assert left + right == pytest.approx(0.8, rel=0.1)
    assert left / right == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_sites_and_samples(dim, rng, ax):
    x = rng.standard_normal((500, dim)) * np.arange(dim, 0, -1)
    r = deblai.quantization.lloyd(x, 6, rng=0)
    assert plot.sites(r.sites, x, r.weights, ax=ax) is ax
    if dim == 1:
        assert len(ax.lines) == 6  # five borders, and the sites
        np.testing.assert_array_equal(ax.lines[-1].get_xdata(), np.sort(r.sites[:, 0]))
        return
    offsets = np.asarray(ax.collections[0].get_offsets())
    assert offsets.shape == (6, 2)
    assert len(ax.lines[0].get_xdata()) == 500
    if dim == 2:
        np.testing.assert_array_equal(offsets, r.sites)
    else:  # the principal axes, the longest one across
        assert np.var(ax.lines[0].get_xdata()) > np.var(ax.lines[0].get_ydata()) > 8
    with pytest.raises(InvalidValue, match="samples: expected shape"):
        plot.sites(r.sites, x[:, :1], ax=ax)


def test_pair_density_on_the_line(rng, ax):
    """A density: its integral is 1 whatever the spacing and the order of points; two lines for each map."""
    x = np.sort(rng.random(40)) + np.linspace(0, 3, 40)
    x = np.concatenate([x[20:], x[:20]])
    r = deblai.multimarginal.sinkhorn(x, n_marginals=3, epsilon=0.5)
    assert plot.pair_density(r, x, maps=True, ax=ax) is ax
    (mesh,) = ax.collections
    coordinates = mesh.get_coordinates()
    area = np.diff(coordinates[0, :, 0]) * np.diff(coordinates[:, 0, 1])[:, None]
    assert float((mesh.get_array() * area).sum()) == pytest.approx(1, rel=1e-5)
    assert len(ax.lines) == 4
    for line in ax.lines:  # f pushes the marginal onto itself: between the ends
        assert line.get_ydata().min() >= coordinates[0, 0, 0] - 1e-9
        assert line.get_ydata().max() <= coordinates[0, -1, 0] + 1e-9


def test_maps_of_the_uniform_density(ax):
    """f_k(x) = x + k/N mod 1."""
    x = (np.arange(30) + 0.5) / 30
    r = deblai.multimarginal.sinkhorn(x, n_marginals=3, epsilon=0.1)
    plot.pair_density(r, x, maps=True, ax=ax)
    for k, line in zip((1, 1, 2, 2), ax.lines, strict=True):
        shift = line.get_ydata() - line.get_xdata()
        assert np.allclose(shift, k / 3) or np.allclose(shift, k / 3 - 1)


def test_scattered_points_are_dots(rng, ax):
    x, y = rng.random(30) ** 4, rng.random(40)
    r = deblai.multimarginal.sinkhorn([x, y], cost="sqeuclidean", epsilon=0.01)
    plot.pair_density(r, [x, y], ax=ax)
    sizes = ax.collections[0].get_sizes()
    assert 40 <= len(sizes) <= 1200
    assert sizes.max() == pytest.approx(40)


def test_pair_density_in_the_plane_and_without_points(rng):
    """On a grid and scattered: the other particle, given one of them; by number in space."""
    axes = figures.Figure().subplots(1, 3)
    side = np.linspace(-1, 1, 5)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    scattered = rng.random((20, 2))
    for ax, points in zip(axes, (grid, scattered), strict=False):
        r = deblai.multimarginal.sinkhorn(points, n_marginals=2, epsilon=0.2)
        plot.pair_density(r, points, at=3, ax=ax)
        assert [line.get_xdata()[0] for line in ax.lines] == [points[3, 0]]
        drawn = np.asarray(ax.collections[0].get_array())
        if points is grid:
            drawn = drawn.reshape(5, 5).T
        np.testing.assert_array_equal(drawn.ravel(), r.pair_marginal()[3])
    plot.pair_density(r, ax=axes[2])
    np.testing.assert_array_equal(axes[2].images[0].get_array(), r.pair_marginal().T)
    with pytest.raises(InvalidType, match=r"\[plot.pair_density\] result: expected one with pair marginals, got int"):
        plot.pair_density(3)
    with pytest.raises(InvalidType, match=r"\[plot.epsilon_path\] path: expected an EpsilonPath, got int"):
        plot.epsilon_path(3)
    with pytest.raises(InvalidValue, match="at: expected a point from 0 to 19, got 20"):
        plot.pair_density(r, scattered, at=20, ax=axes[1])
    with pytest.raises(InvalidValue, match=r"points: expected 20 of them, got shape \(25, 2\)"):
        plot.pair_density(r, grid, ax=axes[1])


def test_arrays_of_other_libraries(library, ax):
    sites = library.array([[0.25, 0.5], [0.75, 0.5], [0.5, 0.9]])
    plot.cells(deblai.quantization.laguerre(sites), ax=ax)
    plot.stipple(sites, ax=ax)
    x = library.array([0.1, 0.4, 0.8])
    plot.pair_density(deblai.multimarginal.sinkhorn(x, n_marginals=2, epsilon=0.5), x, ax=ax)
    plot.sites(library.array([0.2, 0.7]), x, ax=ax)
    assert len(ax.collections) == 3


def test_without_matplotlib(monkeypatch, rng):
    """The message says which extra installs it."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    cells = deblai.quantization.laguerre(rng.random((3, 2)))
    with pytest.raises(MissingExtra, match=r"pip install 'deblai\[plot\]'"):
        plot.cells(cells)


def test_solids_show_what_no_kept_cell_covers():
    """Of 2 x 2 x 2 cubes without one: 21 faces are left outside, and the hole has 3; bad input is named."""
    corners = np.stack(np.meshgrid(*3 * [[0.25, 0.75]], indexing="ij"), -1).reshape(-1, 3)
    cells = deblai.quantization.laguerre(corners)
    for keep, faces in ((~(corners == 0.75).all(1), 24), (np.ones(8, bool), 24), (corners[:, 0] < 0.5, 16)):
        ax = plot.solids(cells, keep=keep, ax=figures.Figure().add_subplot(projection="3d"))
        assert len(ax.collections[0].get_facecolor()) == faces
    for options, message in (
        ({"keep": [True]}, "keep: expected 8 bools"),
        ({"values": [1.0]}, "values: expected 8 num"),
    ):
        with pytest.raises(InvalidValue, match=message):
            plot.solids(cells, **options)
    with pytest.raises(InvalidValue, match="keep: expected at least one cell"):
        plot.solids(cells, keep=np.zeros(8, bool))
    with pytest.raises(InvalidType, match="cells: expected cells of space"):
        plot.solids(deblai.quantization.laguerre(np.random.default_rng(0).random((5, 2))))
