"""Voronoi and Laguerre cells."""

from __future__ import annotations

from typing import Any

from .. import _validate, errors
from .._array import TORCH, TRACED, gather, is_tracer
from ..measures import UniformBox
from ..results import Cells
from . import _checks
from ._cells import NAMES, OPERATION, Problem, evaluate, summarize

UNIT_SQUARE = UniformBox((0.0, 0.0), (1.0, 1.0))
UNIT_CUBE = UniformBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def laguerre(
    sites: Any, psi: Any = None, *, measure: Any = UNIT_SQUARE, periodic: bool = False, grad: Any = ()
) -> Cells:
    r"""Exact cells of a Laguerre (power) diagram of the plane or of space, and what they hold of a measure.

    .. math::
        V_i = \{x : |x - y_i|^2 - \psi_i \le |x - y_j|^2 - \psi_j \ \forall j\}

    in the box or polygon of the measure or on the torus of a box; Voronoi cells where all :math:`\psi_i` are equal
    [1]_ [2]_ [3]_. With masses :math:`m_i` and means :math:`b_i` of the cells,

    .. math::
        \mathrm{value} = \sum_i \int_{V_i} \bigl(|x - y_i|^2 - \psi_i\bigr) \, d\rho, \qquad
        \nabla_{y_i} = 2 m_i (y_i - b_i), \quad \partial_{\psi_i} = -m_i:

    value + <psi, nu> is the concave dual of semi-discrete transport to the masses nu, and without psi the value is
    the quantization energy of the sites.

    Parameters
    ----------
    sites : array (n, 2) or (n, 3)
        NumPy, PyTorch, JAX or CuPy, float32 or float64, any strides, read without a copy. They may lie outside of the
        box; on the torus they are wrapped.
    psi : array (n,), optional
        Same library, dtype and device. Zeros by default.
    measure : UniformBox, Grid, Polytope, Gaussian, Mixture or PiecewiseLinear of `measures`, optional
        Of the dimension of the sites; the uniform probability on the unit square or cube by default. It is divided by
        its total mass. Those of space are a UniformBox, a Grid and a Polytope; values of a Grid are of the library and
        device of the sites.
    periodic : bool, default False
        Take the box of a UniformBox or a Grid as a torus. Centroids, polygons and polyhedra are then near the site, not
        wrapped.
    grad : str or sequence of str or bool, default ()
        Which gradients of `value` to return in ``result.grad``: "sites", "psi", True for those of all arguments
        given.

    Returns
    -------
    Cells or Cells3
        `mass`, `centroid`, `second_moment`, `empty`, `complete`, `energy`, `value`, and on demand polygons and
        neighbours; in space polyhedra, neighbours and the areas shared with them. For PyTorch and JAX, `value` is
        differentiable once in sites and psi.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, NaN, infinite or astronomic entries, densities without mass, a torus of what is no box.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64; other measures.
    OutOfMemory
        The workspace, about 53 bytes a site (in space 70), 8 a pixel, 200 a triangle and 50 KiB a thread (120), would
        not fit.
    BackendError
        Arrays on a GPU where this build has no CUDA kernels, or where another backend was asked for.
    Interrupted
        Ctrl-C; ``.result`` holds the cells done so far, the others have ``complete`` False and mass NaN.

    Notes
    -----
    No number of neighbours or vertices is assumed, and nothing is sampled. All is float64 inside, whatever the dtype.
    Of equal sites with equal psi the first has the cell and the others are empty; a site whose cell is empty has mass
    0 and itself as centroid. Results do not depend on the number of threads, to the bit.

    Cells of a Gaussian or a Mixture on the whole plane end at its box, beyond which the density is 0 in float64. They
    are integrated to rounding: by Gauss rules where the density varies little, else along the edges, by the divergence
    theorem; small and far cells keep their relative precision. A PiecewiseLinear density is 0 outside of its triangles,
    and cells end at the box around them.

    Inside ``jax.jit``, ``grad``, ``value_and_grad`` and ``vmap`` it runs on the CPU, as `sliced.wasserstein` does, and
    there are no polygons or polyhedra: their number of vertices is not known when JAX traces.

    References
    ----------
    .. [1] F. Aurenhammer, F. Hoffmann, B. Aronov, "Minkowski-type theorems and least-squares clustering",
       Algorithmica 1998.
    .. [2] B. Lévy, N. Bonneel, "Variational anisotropic surface meshing with Voronoi parallel linear enumeration",
       IMR 2012.
    .. [3] N. Ray, D. Sokolov, S. Lefebvre, B. Lévy, "Meshless Voronoi on the GPU", ACM Trans. Graph. 37, 2018.

    Examples
    --------
    >>> import numpy as np, deblai
    >>> sites = np.array([[0.25, 0.5], [0.75, 0.5]])
    >>> cells = deblai.quantization.laguerre(sites)
    >>> cells
    Cells(n=2, empty=0, energy=0.104167, backend='cpu/...')
    >>> cells.mass
    array([0.5, 0.5])
    >>> sorted(cells.polygon(1).tolist())
    [[0.5, 0.0], [0.5, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> cells.neighbours_of(1).tolist()
    [0]

    Larger psi, larger cell:

    >>> deblai.quantization.laguerre(sites, np.array([0.1, 0.0])).mass
    array([0.6, 0.4])

    A Gaussian on the whole plane, whose halves have their means at sqrt(2 / pi):

    >>> normal = deblai.measures.Gaussian([0.0, 0.0])
    >>> halves = deblai.quantization.laguerre(np.array([[-1.0, 0.0], [1.0, 0.0]]), measure=normal)
    >>> bool(abs(halves.centroid[1, 0] - (2 / np.pi) ** 0.5) < 1e-15)
    True

    Space: the cell in the middle of a body-centred cube is a truncated octahedron.

    >>> corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), -1).reshape(-1, 3)
    >>> cells = deblai.quantization.laguerre(np.concatenate([corners, [[0.5, 0.5, 0.5]]]))
    >>> cells.mass.round(4)
    array([0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625,
           0.5   ])
    >>> vertices, facets = cells.polyhedron(8)
    >>> len(vertices), sorted(len(facet) for facet in facets)
    (24, [4, 4, 4, 4, 4, 4, 6, 6, 6, 6, 6, 6, 6, 6])
    """
    library, (sites, psi) = gather(OPERATION, {"sites": sites, "psi": psi}, traces=True)
    if measure is UNIT_SQUARE and sites is not None and tuple(sites.shape[1:]) == (3,):
        measure = UNIT_CUBE
    density = _checks.box(OPERATION, measure, periodic, (2, 3), _checks.BOXES + _checks.FORMS)
    _checks.sites(OPERATION, sites, measure.dim)
    if psi is not None and tuple(psi.shape) != (sites.shape[0],):
        raise errors.InvalidValue(
            f"[{OPERATION}] psi: expected {sites.shape[0]} values to match sites, got shape {tuple(psi.shape)}"
        )
    density = _checks.like(OPERATION, library, {"sites": sites, "psi": psi}, density)
    library = TRACED if is_tracer(density) else library
    wanted = _validate.gradient_names(OPERATION, grad, NAMES, NAMES if psi is not None else NAMES[:1])
    form = _checks.form(measure)
    problem = Problem(library, sites, psi, density, measure.lower, measure.upper, bool(periodic), form)
    if library is TORCH:
        from ..torch import laguerre as operator

        return operator.cells(problem, wanted)
    if library is TRACED:
        from ..jax import laguerre as adapter

        return adapter.cells(problem, wanted)
    return summarize(problem, evaluate(problem, "sites" in wanted), wanted)
