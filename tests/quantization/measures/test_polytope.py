"""Polytopes: corners, half-spaces, facets and volumes of known ones; what is refused."""

import re

import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import Polytope
from deblai.quantization import laguerre

ANGLE = 2 * np.pi * np.arange(7) / 7
HEPTAGON = np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1)
CUBE = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), -1).reshape(-1, 3)
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])
NAN = np.nan


def shape_of(p):
    return p.dim, len(p.vertices), sorted(map(len, p.facets))


@pytest.mark.parametrize(
    ("points", "shape", "volume"),
    [
        (HEPTAGON, (2, 7, [2] * 7), 3.5 * np.sin(2 * np.pi / 7)),
        (CUBE, (3, 8, [4] * 6), 1.0),
        (OCTAHEDRON, (3, 6, [3] * 8), 4 / 3),
        (1e-7 * CUBE * [1, 1e-9, 1] + [1e-7, 0, 0], (3, 8, [4] * 6), 1e-30),
    ],
)
def test_hulls(points, shape, volume):
    """Inner points and repeated ones are dropped; rows of the facets hold for all corners, with equality on theirs."""
    rng = np.random.default_rng(0)
    inner = rng.dirichlet(np.ones(len(points)), 20) @ points
    p = Polytope(rng.permutation(np.concatenate([points, inner, points[:3]])))
    assert shape_of(p) == shape
    assert p.volume == pytest.approx(volume, rel=1e-6)
    assert (p.lower, p.upper) == (tuple(points.min(0)), tuple(points.max(0)))
    size = np.subtract(p.upper, p.lower).max()
    gap = (p.offsets[:, None] - p.normals @ p.vertices.T) / size
    assert gap.min() >= 0
    for row, facet in zip(gap, p.facets, strict=True):
        assert np.abs(row[facet]).max() < 1e-9
    np.testing.assert_allclose(np.linalg.norm(p.normals, axis=1), 1)
    # The divergence theorem from the facets: their order and orientation are right.
    total = 0.0
    for normal, offset, facet in zip(p.normals, p.offsets, p.facets, strict=True):
        v = p.vertices[facet] - p.vertices[0]
        area = np.linalg.norm(np.cross(v, np.roll(v, -1, 0)).sum(0)) / 2 if p.dim == 3 else np.linalg.norm(v[1] - v[0])
        total += area * (offset - normal @ p.vertices[0]) / p.dim
    assert total == pytest.approx(volume, rel=1e-6)


def test_counter_clockwise():
    """Corners of a polygon go around; a reflection does not turn them."""
    for points in (HEPTAGON, HEPTAGON * [1, -1], HEPTAGON[::-1] + 1e6):
        v = Polytope(points).vertices
        e = np.roll(v, -1, 0) - v
        f = np.roll(e, -1, 0)
        assert (e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0] > 0).all()


@pytest.mark.parametrize("points", [HEPTAGON, CUBE, OCTAHEDRON], ids=["heptagon", "cube", "octahedron"])
def test_half_spaces(points):
    """From the half-spaces of a polytope comes the same; superfluous ones and lengths of normals do not matter."""
    p = Polytope(points + 3.0)
    normals = np.concatenate([p.normals * 5, [p.normals[0]]])
    q = Polytope.from_halfspaces(normals, np.concatenate([p.offsets * 5, [p.offsets[0] + 1]]))
    assert shape_of(q) == shape_of(p)
    assert q.volume == pytest.approx(p.volume, rel=1e-12)
    for corner in p.vertices:
        assert np.abs(q.vertices - corner).max(1).min() < 1e-12


def test_libraries(library):
    """Corners come from any library and are kept as float64 of NumPy."""
    p = Polytope(library.array(HEPTAGON, "float64"))
    assert type(p.vertices) is np.ndarray
    assert p.vertices.dtype == np.float64
    assert "\n" not in repr(p)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Polytope(None), InvalidType, r"\] vertices: expected an array of numbers, got None"),
        (lambda: Polytope("square"), InvalidType, r"\] vertices: expected an array of numbers"),
        (lambda: Polytope([[0, 1], [1]]), InvalidType, r"\] vertices: expected an array"),
        (lambda: Polytope([["a", "b"]]), InvalidType, r"\] vertices: expected an array of real numbers"),
        (lambda: Polytope(1j * HEPTAGON), InvalidType, r"\] vertices: expected an array of real numbers"),
        (lambda: Polytope([[0, 0], [1, 0], [0, NAN]]), InvalidValue, r"\] vertices: expected finite values"),
        (lambda: Polytope(np.eye(4)), InvalidValue, r"\] vertices: expected shape \(k, 2\) or \(k, 3\), got \(4, 4\)"),
        (lambda: Polytope(np.empty((0, 2))), InvalidValue, r"\] vertices: expected points that span an area"),
        (lambda: Polytope([[0, 0], [1, 1]]), InvalidValue, r"\] vertices: expected points that span an area"),
        (lambda: Polytope([[0, 0], [1, 1], [3, 3]]), InvalidValue, r"\] vertices: expected points that span an area"),
        (lambda: Polytope(np.eye(3)), InvalidValue, r"\] vertices: expected points that span a volume"),
        (lambda: Polytope(1e150 * HEPTAGON), InvalidValue, r"\] vertices: expected points that span an area"),
        (
            lambda: Polytope.from_halfspaces(np.eye(2), [1, 1]),
            InvalidValue,
            r".from_halfspaces\] offsets: .* unbounded",
        ),
        (
            lambda: Polytope.from_halfspaces([[1, 0], [-1, 0], [0, 1], [0, -1]], [0, -1, 1, 1]),
            InvalidValue,
            r".from_halfspaces\] offsets: expected a bounded set, got none",
        ),
        (
            lambda: Polytope.from_halfspaces([[1, 0], [-1, 0], [0, 1], [0, -1]], [0, 0, 1, 1]),
            InvalidValue,
            r".from_halfspaces\] offsets: expected a set with inner points",
        ),
        (lambda: Polytope.from_halfspaces(np.eye(2), [1]), InvalidValue, r".from_halfspaces\] offsets: expected 2"),
        (lambda: Polytope.from_halfspaces([1, 2], [1, 1]), InvalidValue, r".from_halfspaces\] normals: expected shape"),
        (
            lambda: Polytope.from_halfspaces(np.zeros((3, 2)), [1, 1, 1]),
            InvalidValue,
            r".from_halfspaces\] normals: expected directions, got 0 in row 0",
        ),
    ],
)
def test_refused(make, kind, message):
    """Designed errors, one line each."""
    with pytest.raises(kind) as caught:
        make()
    assert re.match(rf"\[measures\.Polytope{message}", str(caught.value)), str(caught.value)


@pytest.mark.parametrize("n", [3, 5, 6, 7, 40])
def test_regular_polygons(n):
    """Row 8: the moment of a regular n-gon over twice the square of its area, (tan(pi/n) / 3 + cot(pi/n)) / (4 n)."""
    angle = 2 * np.pi * np.arange(n) / n
    polygon = Polytope(np.stack([np.cos(angle), np.sin(angle)], 1) * 3 + [1, 2])
    cells = laguerre(np.array([[1.0, 2.0]]), measure=polygon)
    exact = (np.tan(np.pi / n) / 3 + 1 / np.tan(np.pi / n)) / (4 * n)
    assert cells.second_moment[0] / (2 * polygon.volume) == pytest.approx(exact, rel=1e-13)
