"""One evaluation of the laguerre kernel on checked arrays, on whichever backend they call for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _backend, _core, _dlpack, errors
from .._array import Library, view_of
from .._form import Form
from ..results import Cells, Facets, Geometry

OPERATION = "quantization.laguerre"
NAMES = ("sites", "psi")


class Problem(NamedTuple):
    """Checked arguments: one library, dtype and device. `density` has pixels, `form` what is neither even nor those."""

    library: Library
    sites: Any
    psi: Any
    density: Any
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: bool
    form: Form | None = None


class Evaluation(NamedTuple):
    """What the kernel wrote, its sums, the gradient in sites (None if not wanted), and where it ran.

    `count`: vertices of each cell (n,); in space vertices, facets and corners (n, 3).
    """

    mass: Any
    centroid: Any
    second_moment: Any
    count: Any
    grad_sites: Any
    energy: float
    value: float
    plan: _backend.Plan


def evaluate(q: Problem, grad_sites: bool = False) -> Evaluation:
    """Run the kernel."""
    plan = _backend.plan(OPERATION, q.library.device(q.sites))
    if len(q.lower) == 3:
        from . import _solids

        return _solids.evaluate(q, grad_sites, plan)
    return (_reference if plan.backend == "reference" else _compiled)(q, grad_sites, plan)


def checked_arrays(q: Problem) -> list[Any]:
    """Return sites, psi and density as NumPy arrays whose entries have been checked."""
    arrays = [None if v is None else q.library.numpy(v) for v in (q.sites, q.psi, q.density)]
    for name, v in zip((*NAMES, "measure.values"), arrays, strict=True):
        if v is not None and not np.isfinite(v).all():
            raise errors.InvalidValue(f"[{OPERATION}] {name}: expected finite values, got nan or inf")
    sites, psi, density = arrays
    for name, v, most in (("sites", sites, 1e100), ("psi", psi, 1e200)):
        if v is not None and not (np.abs(v.astype(np.float64)) < most).all():
            raise errors.InvalidValue(f"[{OPERATION}] {name}: expected values below {np.log10(most):g} powers of ten")
    if density is not None and ((density < 0).any() or not 0 < density.sum(dtype=float) < np.inf):
        raise errors.InvalidValue(f"[{OPERATION}] measure.values: expected finite nonnegative values with a mass")
    return arrays


def _reference(q: Problem, grad_sites: bool, plan: _backend.Plan) -> Evaluation:
    from ..reference import laguerre

    sites, psi, density = checked_arrays(q)
    density = None if density is None else density.astype(np.float64)
    c = laguerre.cells(sites, psi, q.lower, q.upper, q.periodic, density, q.form)
    value = float(c.second_moment.sum() - (0.0 if psi is None else psi @ c.mass))
    export = q.library.export
    gradient = export(2 * c.mass[:, None] * (sites - c.centroid), q.sites) if grad_sites else None
    return Evaluation(
        export(c.mass, q.sites),
        export(c.centroid, q.sites),
        export(c.second_moment, q.sites),
        q.library.device_array(c.n_vertices.astype(np.int64), q.sites),
        gradient,
        float(c.second_moment.sum()),
        value,
        plan,
    )


def _compiled(q: Problem, grad_sites: bool, plan: _backend.Plan) -> Evaluation:
    library, sites = q.library, q.sites
    view = library.view
    views = views_of(q)
    n, dtype = sites.shape[0], library.dtype(sites)
    shapes = {"mass": (n,), "centroid": (n, 2), "second_moment": (n,), "count": (n,)}
    if grad_sites:
        shapes["grad_sites"] = (n, 2)
    kinds = {name: "int64" if name == "count" else dtype for name in shapes}
    out = {name: library.empty(shape, kinds[name], sites) for name, shape in shapes.items()}
    mass, centroid, second, count = (view(out[name], True) for name in list(shapes)[:4])
    gradient = view(out["grad_sites"], True) if grad_sites else None

    def finish(energy: float, value: float) -> Evaluation:
        done = {name: library.finish(v, sites) for name, v in out.items()}
        return Evaluation(
            done["mass"],
            done["centroid"],
            done["second_moment"],
            done["count"],
            done.get("grad_sites"),
            energy,
            value,
            plan,
        )

    arguments = (*views, q.lower, q.upper, q.periodic, mass, centroid, second, count, gradient)
    try:
        if plan.backend == "cuda":
            _, energy, value = _backend.cuda_module().laguerre(*arguments, *queue(q), form_views(q.form))
        else:
            form = form_views(q.form)
            if n + (0 if q.density is None else q.density.shape[0] * q.density.shape[1]) > 1_000_000:
                _backend.require_memory(OPERATION, _core.laguerre_workspace(*views, plan.threads, form))
            _, energy, value, *_ = _core.laguerre(*arguments, plan.threads, plan.simd, form=form)
    except KeyboardInterrupt:
        partial = finish(np.nan, np.nan)
        done = int((partial.mass == partial.mass).sum())
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {done} of {n} cells", summarize(q, partial, ()) if done else None
        ) from None
    return finish(energy, value)


def queue(q: Problem) -> tuple[int, int]:
    """Return the stream and the number of the device that sites of a GPU are on."""
    return q.library.stream(q.sites), int(q.library.device(q.sites).partition(":")[2] or 0)


def form_views(form: Form | None) -> list[Any]:
    """Return what kernels of the plane take as their `form`."""
    arrays = Form().kernel() if form is None else form.kernel()
    return [None if v is None else _dlpack.view(v) for v in arrays]


def views_of(q: Problem) -> tuple[Any, Any, Any]:
    named = zip((*NAMES, "measure.values"), (q.sites, q.psi, q.density), strict=True)
    sites, psi, density = (view_of(OPERATION, name, q.library, v) for name, v in named)
    return sites, psi, density


def summarize(q: Problem, e: Evaluation, wanted: tuple[str, ...], tracked: Any = None) -> Cells:
    """Build the result. `tracked` is the value with a graph."""
    if len(q.lower) == 3:
        from . import _solids

        return _solids.summarize(q, e, wanted, tracked)
    energy, value = q.library.scalars((e.energy, e.value), q.sites)
    complete = e.mass == e.mass
    gradients = {"sites": e.grad_sites, "psi": -e.mass if "psi" in wanted else None}
    # The polygons are those of the sites as they are now, whatever becomes of the caller's array.
    kept = q._replace(sites=q.library.copy(q.sites), psi=None if q.psi is None else q.library.copy(q.psi))
    return Cells(
        e.mass,
        e.centroid,
        e.second_moment,
        complete & (e.count == 0),
        complete,
        energy,
        value if tracked is None else tracked,
        {name: gradients[name] for name in wanted},
        e.plan.label,
        lambda: geometry(kept, e.count, e.plan),
        lambda: facets(kept, e.count, e.plan),
    )


def _offsets(library: Library, count: Any) -> Any:
    return np.concatenate([[0], np.cumsum(library.numpy(count))]).astype(np.int64)


def facets(q: Problem, count: Any, plan: _backend.Plan) -> Facets:
    """Integrate along the edges of polygons whose numbers of vertices are known."""
    library, sites = q.library, q.sites
    if plan.backend == "reference":
        from ..reference import facets as edges
        from ..reference import laguerre

        given, psi, density = checked_arrays(q)
        fixed = (given, psi, q.lower, q.upper, q.periodic)
        f = edges.facets(laguerre.cells(*fixed, form=q.form).polygons, *fixed, density, q.form)
        whole = [library.device_array(v.astype(np.int64), sites) for v in (f.cell, f.across)]
        return Facets(*whole, *(library.export(v, sites) for v in f[2:]))
    begin = _offsets(library, count)
    total = int(begin[-1])
    columns = {"mass": (), "first": (2,), "second": (4,), "offset": (2,)}
    out = {"across": library.empty((total,), "int64", sites)}
    out |= {name: library.empty((total, *shape), library.dtype(sites), sites) for name, shape in columns.items()}
    offsets = library.device_array(begin, sites)
    arguments = (
        *views_of(q),
        q.lower,
        q.upper,
        q.periodic,
        library.view(offsets),
        library.view(out["across"], True),
        library.view(out["mass"], True),
        library.view(out["first"], True),
        library.view(out["second"], True),
        library.view(out["offset"], True),
    )
    form = form_views(q.form)
    try:
        if plan.backend == "cuda":
            _backend.cuda_module().laguerre_facets(*arguments, *queue(q), form)
        else:
            _core.laguerre_facets(*arguments, plan.threads, plan.simd, form)
    except KeyboardInterrupt:
        raise errors.Interrupted(f"[{OPERATION}] interrupted along the edges") from None
    across, mass, first, second, offset = (library.finish(v, sites) for v in out.values())
    cell = np.repeat(np.arange(len(begin) - 1, dtype=np.int64), np.diff(begin))
    return Facets(library.device_array(cell, sites), across, mass, first, second.reshape(total, 2, 2), offset)


def geometry(q: Problem, count: Any, plan: _backend.Plan) -> Geometry:
    """Compute the polygons whose numbers of vertices are known."""
    library, sites = q.library, q.sites
    begin = _offsets(library, count)
    total = int(begin[-1])
    offsets = library.device_array(begin, sites)
    if plan.backend == "reference":
        from ..reference import laguerre

        given = library.numpy(sites)
        psi = None if q.psi is None else library.numpy(q.psi)
        p = laguerre.cells(given, psi, q.lower, q.upper, q.periodic, form=q.form).polygons
        real = np.arange(p.x.shape[1]) < p.size[:, None]
        xy = (np.stack([p.x, p.y], 2) + given[:, None].astype(np.float64))[real]
        return Geometry(offsets, library.export(xy, sites), library.device_array(p.label[real], sites))
    vertices = library.empty((total, 2), library.dtype(sites), sites)
    neighbours = library.empty((total,), "int64", sites)
    arguments = (
        library.view(sites),
        None if q.psi is None else library.view(q.psi),
        q.lower,
        q.upper,
        q.periodic,
        library.view(offsets),
        library.view(vertices, True),
        library.view(neighbours, True),
    )
    form = form_views(q.form)
    try:
        if plan.backend == "cuda":
            _backend.cuda_module().laguerre_polygons(*arguments, *queue(q), form)
        else:
            _core.laguerre_polygons(*arguments, plan.threads, plan.simd, form)
    except KeyboardInterrupt:
        raise errors.Interrupted(f"[{OPERATION}] interrupted in the polygons") from None
    return Geometry(offsets, library.finish(vertices, sites), library.finish(neighbours, sites))
