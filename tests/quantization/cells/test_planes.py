"""Polygons, Gaussians, mixtures and densities on triangles: brute force, closed forms, what is refused."""

import re

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import Gaussian, Grid, Mixture, PiecewiseLinear, Polytope, UniformBox
from deblai.quantization import laguerre
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import Delaunay

RNG = np.random.default_rng(0)
NAN = np.nan


def circle(k, a=1.0, b=1.0):
    angle = 2 * np.pi * np.arange(k) / k
    return np.stack([a * np.cos(angle), b * np.sin(angle)], 1)


def scattered(holes):
    """A mesh with holes, in both orientations, with nodes of density 0."""
    points = RNG.random((30, 2)) * 2 - 1
    triangles = Delaunay(points).simplices
    triangles = triangles[RNG.random(len(triangles)) < 1 - holes]
    triangles[::2] = triangles[::2, ::-1]
    return PiecewiseLinear(points, triangles, RNG.random(30) * (RNG.random(30) < 0.7))


NORMAL = Gaussian([0.3, -0.2], [[2.0, 0.5], [0.5, 1.0]])
MIXED = Mixture([NORMAL, Gaussian([-3, 1], [[0.01, 0], [0, 0.3]]), Gaussian([2, 2], 0.05)], [1, 2, 3])
MEASURES = {
    "heptagon": Polytope(circle(7)),
    "40-gon": Polytope(circle(40, 2)),
    "gaussian": NORMAL,
    "mixture": MIXED,
    "gaussian in a box": Gaussian(NORMAL.mean, NORMAL.cov, UniformBox((0, 0), (1, 3))),
    "mixture in a 40-gon": Mixture(MIXED.components, MIXED.weights, Polytope(circle(40, 2))),
    "triangles": scattered(0.3),
    "nodes of a grid": PiecewiseLinear.from_grid(RNG.random((4, 5)), (-1, -1), (1, 1)),
}
SITES = {
    "all over": (RNG.standard_normal((20, 2)), 0.1 * RNG.standard_normal(20)),
    "close": (0.02 * RNG.standard_normal((9, 2)), None),
    "outside": (0.1 * RNG.standard_normal((5, 2)) + 3, 0.1 * RNG.standard_normal(5)),
    "twice": (np.repeat(RNG.standard_normal((3, 2)), 2, 0), None),
}


def rows(f):
    return np.lexsort((*f.first.T.round(7), f.mass.round(7), f.across, f.cell))


@pytest.mark.parametrize("sites", SITES.values(), ids=SITES.keys())
@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_brute_force(measure, sites):
    """Moments of cells and of edges to 1e-12 of all-pairs clipping and rules of high order; masses add up to 1."""
    sites, psi = sites
    found = laguerre(sites, psi, measure=measure, grad=True)
    with deblai.use_backend("reference"):
        expected = laguerre(sites, psi, measure=measure, grad=True)
    assert abs(found.mass.sum() - 1) < 1e-12
    np.testing.assert_allclose(found.mass, expected.mass, atol=1e-12)
    np.testing.assert_allclose(found.second_moment, expected.second_moment, atol=1e-12)
    np.testing.assert_allclose(found.value, expected.value, atol=1e-12)
    for name in found.grad:
        np.testing.assert_allclose(found.grad[name], expected.grad[name], atol=1e-12)
    np.testing.assert_array_equal(found.empty, expected.empty)
    if len(np.unique(sites, axis=0)) < len(sites):  # either of two sites at one place is across
        return
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    f, g = found.facets(), expected.facets()
    one, other = rows(f), rows(g)
    np.testing.assert_array_equal(f.across[one], g.across[other])
    for name in ("mass", "first", "second", "offset"):
        np.testing.assert_allclose(getattr(f, name)[one], getattr(g, name)[other], atol=1e-12, err_msg=name)


def test_one_cell_is_the_measure():
    """Mean and second moment of Gaussians and of a triangle; of half a Gaussian."""
    at = np.array([[0.7, 0.1]])
    c = laguerre(at, measure=NORMAL)
    np.testing.assert_allclose(c.centroid[0], NORMAL.mean, atol=1e-14)
    assert c.energy == pytest.approx(3 + ((at - NORMAL.mean) ** 2).sum(), abs=1e-13)
    c = laguerre(at, measure=MIXED)
    mean = MIXED.weights @ [g.mean for g in MIXED.components]
    second = MIXED.weights @ [np.trace(g.cov) + ((g.mean - at) ** 2).sum() for g in MIXED.components]
    np.testing.assert_allclose(c.centroid[0], mean, atol=1e-14)
    assert c.energy == pytest.approx(second, abs=1e-12)
    half = Gaussian([0, 0], domain=UniformBox((0, -50), (50, 50)))
    c = laguerre([[0.0, 0.0]], measure=half)
    np.testing.assert_allclose(c.centroid[0], [np.sqrt(2 / np.pi), 0], atol=1e-15)
    assert c.energy == pytest.approx(2, abs=1e-14)
    c = laguerre([[0.0, 0.0]], measure=PiecewiseLinear([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], [1, 0, 0]))
    np.testing.assert_allclose(c.centroid[0], [0.25, 0.25], atol=1e-15)
    assert c.energy == pytest.approx(0.2, abs=1e-15)  # 2 int 6 (1 - x - y) x^2


@pytest.mark.parametrize(
    ("shape", "energy"),
    [(2, 2 - 2 / np.pi), (3, 0.9257041341), (4, 0.7267604553), (5, 0.6144835088)],  # facts of quantization, row 22
)
def test_stationary_quantizers_of_the_normal_law(shape, energy):
    """N(0, I): symmetric sites at the means of their cells have the energies known to ten digits."""
    around = shape - (shape == 5)
    ring = circle(around)

    def sites(r):
        return np.concatenate([r * ring, np.zeros((shape - around, 2))])

    r = 1.0
    for _ in range(200):
        c = laguerre(sites(r), measure=Gaussian([0, 0]))
        r = c.centroid[0] @ ring[0]
    assert c.energy == pytest.approx(energy, abs=2e-10)
    np.testing.assert_allclose(c.centroid, sites(r), atol=1e-12)


def test_far_and_thin_cells():
    """Cells 5 to 30 deviations away keep their relative precision: strips, whose integrals are those of the line."""
    from scipy import integrate, special

    x = np.array([0.0, *np.arange(5.0, 30.0, 0.5)])
    x[1:] += 1e-3 * np.arange(len(x) - 1)
    c = laguerre(np.stack([x, 0 * x], 1), measure=Gaussian([0, 0]))
    for i in range(1, len(x) - 1):
        a, b = (x[i - 1] + x[i]) / 2, (x[i] + x[i + 1]) / 2
        mass = special.ndtr(-a) - special.ndtr(-b)
        first = (np.exp(-(a**2) / 2) - np.exp(-(b**2) / 2)) / np.sqrt(2 * np.pi)
        assert c.mass[i] == pytest.approx(mass, rel=1e-11)
        assert c.centroid[i, 0] == pytest.approx(first / mass, rel=1e-10)
    # wedges of 1e-5, from the mean and from aside
    angle = np.array([-1e-5, 0, 1e-5])
    for centre in (np.zeros(2), np.array([0.5, 0.2])):
        c = laguerre(centre + np.stack([np.cos(angle), np.sin(angle)], 1), measure=Gaussian([0, 0]))

        def radial(t, centre=centre):
            u = np.array([np.cos(t), np.sin(t)])
            p, q = centre @ u, (centre @ centre) / 2
            return integrate.quad(lambda r: r * np.exp(-r * r / 2 - r * p - q), 0, 40, epsabs=1e-16, epsrel=1e-13)[0]

        wedge = integrate.quad(radial, -5e-6, 5e-6, epsrel=1e-12)[0] / (2 * np.pi)
        assert c.mass[1] == pytest.approx(wedge, rel=1e-9)


def test_limits_and_scales():
    """A linear density is that of fine pixels; a narrow Gaussian a point; scales do not matter."""
    sites = RNG.random((40, 2))
    ramp = PiecewiseLinear.from_grid([[1, 1], [3, 3]], (0, 0), (1, 1))
    pixels = Grid(np.repeat(1 + 2 * (np.arange(400) + 0.5)[:, None] / 400, 2, 1), (0, 0), (1, 1))
    np.testing.assert_allclose(laguerre(sites, measure=ramp).mass, laguerre(sites, measure=pixels).mass, atol=1e-5)
    point = Gaussian([0.5, 0.4], 1e-20)
    i = ((sites - point.mean) ** 2).sum(1).argmin()
    assert laguerre(sites, measure=point).mass[i] == pytest.approx(1, abs=1e-14)
    one = laguerre(sites, measure=MIXED)
    for scale in (1e-30, 1e30):
        parts = [Gaussian(scale * g.mean, scale**2 * g.cov) for g in MIXED.components]
        np.testing.assert_allclose(
            laguerre(scale * sites, measure=Mixture(parts, MIXED.weights)).mass, one.mass, atol=1e-14
        )
    square = Polytope([[0, 0], [1, 0], [1, 1], [0, 1]])
    np.testing.assert_allclose(laguerre(sites, measure=square).mass, laguerre(sites).mass, atol=1e-15)


def test_edges_along_a_mesh():
    """An edge along the border of the triangles has half the density inside, one between triangles all of it."""
    ramp = PiecewiseLinear.from_grid([[0, 0], [2, 2]], (0, 0), (1, 1))
    for backend in ("cpu", "reference"):
        with deblai.use_backend(backend):
            f = laguerre([[0.25, 0.25], [0.75, 0.75]], measure=ramp).facets()
            g = laguerre([[0.25, 0.75], [0.75, 0.25]], measure=ramp).facets()
        np.testing.assert_allclose(f.mass[f.across >= 0], np.sqrt(2), atol=1e-15)
        np.testing.assert_allclose(g.mass[g.across >= 0], np.sqrt(2), atol=1e-15)  # along the diagonal of the mesh
        np.testing.assert_allclose(sorted(f.mass[f.across < 0])[-4:], [0, 0.5, 0.5, 1], atol=1e-15)


def test_libraries_threads_and_gradients():
    """PyTorch and JAX, eager and compiled; float32; any number of threads gives the same bits."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    sites = RNG.standard_normal((50, 2)).astype(np.float32)
    for measure in (MIXED, MEASURES["mixture in a 40-gon"], MEASURES["triangles"]):
        expected = laguerre(sites, measure=measure, grad=True)
        y = torch.from_numpy(sites).requires_grad_()
        c = laguerre(y, measure=measure)
        c.value.backward()
        np.testing.assert_array_equal(c.mass.numpy(), expected.mass)
        np.testing.assert_allclose(y.grad.numpy(), expected.grad["sites"], rtol=1e-6)
        np.testing.assert_array_equal(c.facets().mass.numpy(), expected.facets().mass)
        value, grad = jax.jit(jax.value_and_grad(lambda s, m=measure: laguerre(s, measure=m).value))(sites)
        assert float(value) == pytest.approx(float(expected.value), rel=1e-6)
        np.testing.assert_allclose(grad, expected.grad["sites"], rtol=1e-5)
        many = RNG.standard_normal((3000, 2))
        results = []
        for threads in (1, 3):
            with deblai.use_backend(threads=threads):
                results.append(laguerre(many, measure=measure))
        assert np.array_equal(results[0].mass, results[1].mass)
        assert np.array_equal(results[0].centroid, results[1].centroid)


def test_edges_without_a_length_in_the_reference():
    """Sites at one place leave some there."""
    sites = np.random.default_rng(2).random((6, 2))
    sites[1::4] = sites[::4]
    measure = Gaussian([0.4, 0.5], [[0.1, 0.02], [0.02, 0.2]])
    want = laguerre(sites, measure=measure).facets()
    with deblai.use_backend("reference"):
        got = laguerre(sites, measure=measure).facets()
    np.testing.assert_allclose(np.bincount(got.cell, got.mass), np.bincount(want.cell, want.mass), rtol=1e-9)


@pytest.mark.parametrize("name", ["square", *MEASURES])
def test_on_a_gpu(name, monkeypatch):
    """What a GPU's kernels are handed, and what is made of what they write; the CPU's stand in for them."""
    from deblai import _backend, _core

    class Module:
        @staticmethod
        def laguerre(*given):
            *most, stream, device, form = given
            assert (stream, device) == (0, 0)
            return _core.laguerre(*most, 1, "", form=form)[:3]

        @staticmethod
        def laguerre_facets(*given):
            return _core.laguerre_facets(*given[:-3], 1, "", given[-1])

        @staticmethod
        def laguerre_polygons(*given):
            return _core.laguerre_polygons(*given[:-3], 1, "", given[-1])

    measure, sites = MEASURES.get(name, UniformBox((0, 0), (1, 1))), RNG.random((30, 2))
    want = laguerre(sites, measure=measure, grad=True)
    want.facets(), want.offsets
    plan = _backend.plan("quantization.laguerre", "cpu")._replace(backend="cuda", label="cuda")
    monkeypatch.setattr(_backend, "plan", lambda *_: plan)
    monkeypatch.setattr(_backend, "cuda_module", lambda: Module)
    got = laguerre(sites, measure=measure, grad=True)
    assert got.backend == "cuda"
    for a, b in zip(got.facets(), want.facets(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(got.grad["sites"], want.grad["sites"])
    np.testing.assert_array_equal(got.neighbours, want.neighbours)
    np.testing.assert_array_equal(got.vertices, want.vertices)
    np.testing.assert_array_equal(got.laplacian().toarray(), want.laplacian().toarray())


SQUARE, TRIANGLE = [[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2]]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Gaussian([0, NAN]), InvalidValue, r"Gaussian\] mean: expected finite"),
        (lambda: Gaussian([[0, 0]]), InvalidValue, r"Gaussian\] mean: expected shape \(d,\)"),
        (lambda: Gaussian([0, 0], [[1, NAN], [NAN, 1]]), InvalidValue, r"Gaussian\] cov: expected finite"),
        (lambda: Gaussian([0, 0], [1, 2]), InvalidValue, r"Gaussian\] cov: expected a number or shape \(2, 2\)"),
        (lambda: Gaussian([0, 0], [[1, 0.5], [0, 1]]), InvalidValue, r"Gaussian\] cov: expected a symmetric"),
        (lambda: Gaussian([0, 0], [[1, 1], [1, 1]]), InvalidValue, r"Gaussian\] cov: expected a positive definite"),
        (lambda: Gaussian([0, 0], -1), InvalidValue, r"Gaussian\] cov: expected a positive definite"),
        (lambda: Gaussian([0, 0], 0), InvalidValue, r"Gaussian\] cov: expected a positive definite"),
        (lambda: Gaussian("ab"), InvalidType, r"Gaussian\] mean: expected an array of numbers"),
        (lambda: Gaussian([0, 0], domain=3), InvalidType, r"Gaussian\] domain: expected None, measures.UniformBox"),
        (
            lambda: Gaussian([0, 0], 1, UniformBox((0,), (1,))),
            InvalidValue,
            r"Gaussian\] domain: expected 2 dimensions",
        ),
        (lambda: Mixture([]), InvalidValue, r"Mixture\] components: expected at least one"),
        (lambda: Mixture(3), InvalidType, r"Mixture\] components: expected a sequence"),
        (lambda: Mixture([3]), InvalidType, r"Mixture\] components\[0\]: expected measures.Gaussian, got int"),
        (lambda: Mixture([NORMAL, Gaussian([0])]), InvalidValue, r"Mixture\] components\[1\]: expected 2 dimensions"),
        (lambda: Mixture([MEASURES["gaussian in a box"]]), InvalidValue, r"Mixture\] components\[0\]: expected no dom"),
        (lambda: Mixture([NORMAL], [1, 2]), InvalidValue, r"Mixture\] weights: expected 1 values"),
        (lambda: Mixture([NORMAL], [-1]), InvalidValue, r"Mixture\] weights: expected nonnegative"),
        (lambda: Mixture([NORMAL], [0]), InvalidValue, r"Mixture\] weights: expected nonnegative"),
        (lambda: Mixture([NORMAL], [NAN]), InvalidValue, r"Mixture\] weights: expected finite"),
        (lambda: PiecewiseLinear(SQUARE, TRIANGLE, [1, 1, 1]), InvalidValue, r"PiecewiseLinear\] values: expected 4"),
        (
            lambda: PiecewiseLinear(SQUARE, TRIANGLE, [1, 1, 1, NAN]),
            InvalidValue,
            r"PiecewiseLinear\] values: .*finite",
        ),
        (lambda: PiecewiseLinear(SQUARE, TRIANGLE, [1, 1, -1, 1]), InvalidValue, r"PiecewiseLinear\] values: .*nonneg"),
        (lambda: PiecewiseLinear(SQUARE, TRIANGLE, [0, 0, 0, 1]), InvalidValue, r"PiecewiseLinear\] values: .*mass"),
        (lambda: PiecewiseLinear(SQUARE, [[0, 1, 4]], [1] * 4), InvalidValue, r"PiecewiseLinear\] triangles: .*0 to 3"),
        (lambda: PiecewiseLinear(SQUARE, [[0, 1]], [1] * 4), InvalidValue, r"PiecewiseLinear\] triangles: .*\(t, 3\)"),
        (
            lambda: PiecewiseLinear(SQUARE, [[0, 1, 1.5]], [1] * 4),
            InvalidType,
            r"PiecewiseLinear\] triangles: .*integers",
        ),
        (
            lambda: PiecewiseLinear(SQUARE, [[0, 1, 2], [3, 1, 0]], [1] * 4),
            InvalidValue,
            r"PiecewiseLinear\] triangles: expected none on top of another",
        ),
        (
            lambda: PiecewiseLinear([[0, NAN]] * 3, TRIANGLE, [1] * 3),
            InvalidValue,
            r"PiecewiseLinear\] points: .*finite",
        ),
        (lambda: PiecewiseLinear([[0, 0]] * 3, TRIANGLE, [1] * 3), InvalidValue, r"PiecewiseLinear\] values: .*mass"),
        (lambda: PiecewiseLinear.from_grid([[1, 1]], (0, 0), (1, 1)), InvalidValue, r".*from_grid\] values: .*2 nodes"),
    ],
)
def test_refused(make, kind, message):
    """Designed errors, one line each."""
    with pytest.raises(kind) as caught:
        make()
    assert re.match(rf"\[measures\.{message}", str(caught.value)), str(caught.value)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_refused_by_laguerre(backend):
    """No torus but of a box; no other dimensions; a domain where the density is 0."""
    y = [[0.0, 0.0]]
    with deblai.use_backend(backend):
        for measure in (NORMAL, MEASURES["heptagon"], MEASURES["triangles"]):
            with pytest.raises(InvalidValue, match="periodic: expected False"):
                laguerre(y, measure=measure, periodic=True)
        with pytest.raises(InvalidValue, match="measure: expected 2 or 3 dimensions, got 1"):
            laguerre(y, measure=Gaussian([0.0]))
        with pytest.raises(InvalidValue, match="expected a positive finite total mass, got 0"):
            laguerre(y, measure=Gaussian([0, 0], 1e-6, UniformBox((1, 1), (2, 2))))
        with pytest.raises(InvalidValue, match="sites: expected finite"):
            laguerre([[0.0, NAN]], measure=NORMAL)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_many_cells(measure):
    """Many more sites than triangles, corners or components: masses add up to 1, moments to those of the measure."""
    sites = np.random.default_rng(3).standard_normal((20_000, 2)) * 0.7
    c, one = laguerre(sites, measure=measure), laguerre(np.zeros((1, 2)), measure=measure)
    assert abs(c.mass.sum() - 1) < 1e-12
    np.testing.assert_allclose(c.mass @ c.centroid, one.centroid[0], atol=1e-12)
    about = c.second_moment + 2 * c.mass * (sites * (c.centroid - sites)).sum(1) + c.mass * (sites**2).sum(1)
    assert about.sum() == pytest.approx(one.energy, abs=1e-11)


NODES = PiecewiseLinear.from_grid(np.arange(9.0).reshape(3, 3) ** 2, (0, 0), (1, 1))
DIAMOND = Polytope([[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]])
HALF = Gaussian([0.5, 0.5], 0.04, DIAMOND)


@given(
    st.lists(st.tuples(st.integers(-2, 10), st.integers(-2, 10)), min_size=1, max_size=20, unique=True),
    st.sampled_from([NODES, DIAMOND, HALF]),
    st.booleans(),
)
def test_ties(points, measure, weighted):
    """Sites of a lattice, whose edges run along those of triangles and through corners, and empty cells."""
    sites = np.array(points, float) / 8
    psi = (sites[:, 0] > 0.5) / 8.0 if weighted else None
    c = laguerre(sites, psi, measure=measure)
    assert abs(c.mass.sum() - 1) < 1e-12
    with deblai.use_backend("reference"):
        expected = laguerre(sites, psi, measure=measure)
    np.testing.assert_allclose(c.mass, expected.mass, atol=1e-12)
    np.testing.assert_allclose(c.second_moment, expected.second_moment, atol=1e-12)
    # What crosses an edge is the same from both sides.
    f = c.facets()
    inner = f.across >= 0
    links = np.zeros((len(sites), len(sites)))
    np.add.at(links, (f.cell[inner], f.across[inner]), f.mass[inner])
    np.testing.assert_allclose(links, links.T, atol=1e-12)
