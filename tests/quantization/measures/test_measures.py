"""Measures: what they keep, what they refuse, how an image becomes a density."""

import re

import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import Grid, Samples, UniformBox

NAN, INF = np.nan, np.inf


def test_box():
    """Corners become tuples of floats; any dimension."""
    box = UniformBox(np.array([0, 1, 2]), [1, 3, 5])
    assert (box.lower, box.upper) == ((0.0, 1.0, 2.0), (1.0, 3.0, 5.0))
    assert (box.dim, box.volume) == (3, 6.0)
    assert box == UniformBox((0, 1, 2), (1, 3, 5))


def test_grid_keeps_the_array(library):
    """No copy, the caller's own library and dtype."""
    values = library.array([[1.0, 0.0], [2.0, 3.0], [0.0, 1.0]], "float32")
    grid = Grid(values, (0, 0), (3, 2))
    assert grid.values is values
    assert (grid.dim, grid.volume) == (2, 6.0)
    assert "\n" not in repr(grid)


def test_image(library):
    """Rows from the top, columns to the right: the pixel (row, column) of h rows is values[column, h - 1 - row]."""
    image = np.random.default_rng(0).random((3, 5))
    grid = Grid.from_image(library.array(image))
    assert isinstance(grid.values, library.array_type)
    values = library.numpy(grid.values)
    for row in range(3):
        for column in range(5):
            assert values[column, 2 - row] == image[row, column]
    assert (grid.lower, grid.upper) == ((0.0, 0.0), (1.0, 0.6))
    inverted = Grid.from_image(library.array(image), (-1, -1), (1, 1), invert=True)
    np.testing.assert_allclose(library.numpy(inverted.values), 1 - values, rtol=1e-15)
    assert (inverted.lower, inverted.upper) == ((-1.0, -1.0), (1.0, 1.0))


def test_colours():
    """RGB becomes BT.601 luma; transparent pixels are white; uint8 is divided by 255."""
    rgb = np.zeros((1, 4, 3), np.uint8)
    rgb[0, 0], rgb[0, 1], rgb[0, 2], rgb[0, 3] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
    np.testing.assert_allclose(Grid.from_image(rgb).values[:, 0], [0.299, 0.587, 0.114, 1], rtol=1e-15)
    rgba = np.concatenate([rgb, np.full((1, 4, 1), 255, np.uint8)], axis=2)
    rgba[0, 0, 3] = 0
    np.testing.assert_allclose(Grid.from_image(rgba).values[:, 0], [1, 0.587, 0.114, 1], rtol=1e-15)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: UniformBox((0, 0), (1, 0)), InvalidValue, r"UniformBox\] upper\[1\]: expected more than lower\[1\]"),
        (lambda: UniformBox((0, 0), (1, NAN)), InvalidValue, r"UniformBox\] upper\[1\]: expected a finite number"),
        (lambda: UniformBox((-1e308,), (1e308,)), InvalidValue, r"UniformBox\] upper\[0\]: expected more"),
        (lambda: UniformBox((0, 0), (1,)), InvalidValue, r"UniformBox\] upper: expected 2 coordinates .* got 1"),
        (lambda: UniformBox((), ()), InvalidValue, r"UniformBox\] lower: expected a sequence of numbers, got \(\)"),
        (lambda: UniformBox(0, 1), InvalidType, r"UniformBox\] lower: expected a sequence of numbers, got 0"),
        (lambda: UniformBox("ab", "cd"), InvalidValue, r"UniformBox\] lower: expected a sequence of numbers"),
        (lambda: Grid([[1.0, -1.0]], (0, 0), (1, 1)), InvalidValue, r"Grid\] values: expected finite nonnegative"),
        (lambda: Grid([[1.0, NAN]], (0, 0), (1, 1)), InvalidValue, r"Grid\] values: expected finite nonnegative"),
        (lambda: Grid([[1.0, INF]], (0, 0), (1, 1)), InvalidValue, r"Grid\] values: expected a positive finite"),
        (lambda: Grid([[0.0]], (0, 0), (1, 1)), InvalidValue, r"Grid\] values: expected a positive finite .* got 0"),
        (lambda: Grid([[]], (0, 0), (1, 1)), InvalidValue, r"Grid\] values: expected at least one pixel"),
        (lambda: Grid([1.0], (0, 0), (1, 1)), InvalidValue, r"Grid\] lower: expected 1 coordinates to match values"),
        (lambda: Grid(None, (0, 0), (1, 1)), InvalidType, r"Grid\] values: expected an array, got None"),
        (lambda: Grid(np.ones((2, 2), complex), (0, 0), (1, 1)), InvalidType, r"Grid\] values: expected float32"),
        (lambda: Grid.from_image(np.ones((2, 2), int)), InvalidType, r"from_image\] image: expected uint8"),
        (lambda: Grid.from_image(np.ones((2, 2, 2))), InvalidValue, r"from_image\] image: expected shape"),
        (lambda: Grid.from_image(np.full((2, 2), 2.0)), InvalidValue, r"from_image\] image: expected floats in"),
        (lambda: Grid.from_image(np.full((2, 2), NAN)), InvalidValue, r"from_image\] image: expected floats in"),
        (lambda: Grid.from_image([[1], [2, 3]]), InvalidType, r"from_image\] image: expected an array of pix"),
        (lambda: Samples([[0.0, NAN]]), InvalidValue, r"Samples\] x: expected finite values"),
        (lambda: Samples([0.0], [1.0, 2.0]), InvalidValue, r"Samples\] weights: expected 1 values to match x"),
        (lambda: Samples([0.0], [-1.0]), InvalidValue, r"Samples\] weights: expected finite nonnegative weights"),
        (lambda: Samples([0.0], [0.0]), InvalidValue, r"Samples\] weights: expected a positive finite total mass"),
        (lambda: Samples([]), InvalidValue, r"Samples\] x: expected at least one point"),
    ],
)
def test_refused(make, kind, message):
    """Designed errors, one line each."""
    with pytest.raises(kind) as caught:
        make()
    assert type(caught.value) is kind
    assert re.match(rf"\[measures\.(\w+\.)*{message}", str(caught.value)), str(caught.value)


def test_samples(library):
    """A vector is points of the line; arrays stay in their library."""
    samples = Samples(library.array([0.0, 1.0, 2.0]), library.array([1.0, 0.0, 2.0]))
    assert tuple(samples.x.shape) == (3, 1)
    assert samples.dim == 1
    assert isinstance(samples.x, library.array_type)
