"""One evaluation of the laguerre3 kernel, cells of space, on checked arrays; see _cells for those of the plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _backend, _core, _dlpack, errors
from ..results import Cells3, Facets, Solids
from ._cells import OPERATION, Evaluation, Problem, checked_arrays, views_of


def evaluate(q: Problem, grad_sites: bool, plan: _backend.Plan) -> Evaluation:
    """Run the kernel."""
    return (_reference if plan.backend == "reference" else _compiled)(q, grad_sites, plan)


def _planes(q: Problem) -> Any:
    """Return the sides of a convex domain as the kernels take them, which is on the CPU."""
    return None if q.form is None else _dlpack.view(q.form.planes)


def _run(name: str, q: Problem, plan: _backend.Plan, outputs: tuple[Any, ...]) -> Any:
    """Call a kernel where the arrays are."""
    arguments = (*views_of(q), q.lower, q.upper, q.periodic, _planes(q), *outputs)
    if plan.backend == "cuda":
        index = int(q.library.device(q.sites).partition(":")[2] or 0)
        return getattr(_backend.cuda_module(), name)(*arguments, q.library.stream(q.sites), index)
    return getattr(_core, name)(*arguments, plan.threads, plan.simd)


def _brute_force(q: Problem, sites: Any, psi: Any, density: Any) -> Any:
    from ..reference import laguerre3

    planes = None if q.form is None or q.form.planes is None else (q.form.planes[:, :3], q.form.planes[:, 3])
    return laguerre3.cells(sites, psi, q.lower, q.upper, q.periodic, density=density, planes=planes)


def _reference(q: Problem, grad_sites: bool, plan: _backend.Plan) -> Evaluation:
    from ..reference import laguerre3

    sites, psi, density = checked_arrays(q)
    c = _brute_force(q, sites, psi, density)
    counts = np.diff(laguerre3.polyhedra(c, sites).offsets, axis=0)
    value = float(c.second_moment.sum() - (0.0 if psi is None else psi @ c.mass))
    export = q.library.export
    gradient = export(2 * c.mass[:, None] * (sites - c.centroid), q.sites) if grad_sites else None
    return Evaluation(
        export(c.mass, q.sites),
        export(c.centroid, q.sites),
        export(c.second_moment, q.sites),
        q.library.device_array(counts, q.sites),
        gradient,
        float(c.second_moment.sum()),
        value,
        plan,
    )


def _compiled(q: Problem, grad_sites: bool, plan: _backend.Plan) -> Evaluation:
    library, sites = q.library, q.sites
    view = library.view
    n, dtype = sites.shape[0], library.dtype(sites)
    if plan.backend == "cpu" and n + (0 if q.density is None else math.prod(q.density.shape)) > 1_000_000:
        _backend.require_memory(OPERATION, _core.laguerre3_workspace(*views_of(q), plan.threads))
    shapes = {"mass": (n,), "centroid": (n, 3), "second_moment": (n,), "count": (n, 3)}
    if grad_sites:
        shapes["grad_sites"] = (n, 3)
    kinds = {name: "int64" if name == "count" else dtype for name in shapes}
    out = {name: library.empty(shape, kinds[name], sites) for name, shape in shapes.items()}

    def finish(energy: float, value: float) -> Evaluation:
        done = {name: library.finish(v, sites) for name, v in out.items()}
        grad = done.get("grad_sites")
        return Evaluation(
            done["mass"], done["centroid"], done["second_moment"], done["count"], grad, energy, value, plan
        )

    mass, centroid, second, count = (view(out[name], True) for name in list(shapes)[:4])
    gradient = view(out["grad_sites"], True) if grad_sites else None
    try:
        _, energy, value = _run("laguerre3", q, plan, (mass, centroid, second, count, gradient))
    except KeyboardInterrupt:
        partial = finish(np.nan, np.nan)
        done = int((partial.mass == partial.mass).sum())
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {done} of {n} cells", summarize(q, partial, ()) if done else None
        ) from None
    return finish(energy, value)


def summarize(q: Problem, e: Evaluation, wanted: tuple[str, ...], tracked: Any = None) -> Cells3:
    """Build the result. `tracked` is the value with a graph."""
    energy, value = q.library.scalars((e.energy, e.value), q.sites)
    complete = e.mass == e.mass
    gradients = {"sites": e.grad_sites, "psi": -e.mass if "psi" in wanted else None}
    # The polyhedra are those of the sites as they are now, whatever becomes of the caller's array.
    kept = q._replace(sites=q.library.copy(q.sites), psi=None if q.psi is None else q.library.copy(q.psi))
    return Cells3(
        e.mass,
        e.centroid,
        e.second_moment,
        complete & (e.count[:, 0] == 0),
        complete,
        energy,
        value if tracked is None else tracked,
        {name: gradients[name] for name in wanted},
        e.plan.label,
        lambda: solids(kept, e.count, e.plan),
        lambda: facets(kept, e.count, e.plan),
        e.count,
    )


def _begin(q: Problem, counts: Any) -> Any:
    """Return where vertices, facets and corners of each cell begin, int64 (n + 1, 3)."""
    begin = np.zeros((q.sites.shape[0] + 1, 3), np.int64)
    np.cumsum(q.library.numpy(counts), axis=0, out=begin[1:])
    return begin


def facets(q: Problem, counts: Any, plan: _backend.Plan) -> Facets:
    """Integrate over the facets of polyhedra whose numbers of vertices, facets and corners are known."""
    library, sites = q.library, q.sites
    if plan.backend == "reference":
        from ..reference import laguerre3

        given, psi, density = checked_arrays(q)
        f = laguerre3.facets(_brute_force(q, given, psi, None), given, psi, q.lower, density)
        whole = [library.device_array(v.astype(np.int64), sites) for v in f[:2]]
        return Facets(*whole, *(library.export(v, sites) for v in f[2:]))
    begin = _begin(q, counts)
    total, dtype = int(begin[-1, 1]), library.dtype(sites)
    columns = {"mass": (), "first": (3,), "second": (9,), "offset": (3,)}
    out = [library.empty((total,), "int64", sites)]
    out += [library.empty((total, *shape), dtype, sites) for shape in columns.values()]
    offsets = library.device_array(begin, sites)
    views = (library.view(offsets), *(library.view(v, True) for v in out))
    try:
        _run("laguerre3_facets", q, plan, views)
    except KeyboardInterrupt:
        raise errors.Interrupted(f"[{OPERATION}] interrupted on the facets") from None
    across, mass, first, second, offset = (library.finish(v, sites) for v in out)
    cell = np.repeat(np.arange(len(begin) - 1, dtype=np.int64), np.diff(begin[:, 1]))
    return Facets(library.device_array(cell, sites), across, mass, first, second.reshape(total, 3, 3), offset)


def solids(q: Problem, counts: Any, plan: _backend.Plan) -> Solids:
    """Compute the polyhedra whose numbers of vertices, facets and corners are known."""
    library, sites = q.library, q.sites
    begin = _begin(q, counts)

    def starts(k: int) -> Any:
        return library.device_array(np.ascontiguousarray(begin[:, k]), sites)

    if plan.backend == "reference":
        from ..reference import laguerre3

        given = library.numpy(sites)
        psi = None if q.psi is None else library.numpy(q.psi)
        p = laguerre3.polyhedra(_brute_force(q, given, psi, None), given)
        whole, real = library.device_array, library.export
        return Solids(
            starts(0),
            real(p.vertices, sites),
            starts(1),
            whole(p.neighbours, sites),
            real(p.areas, sites),
            whole(p.facet_offsets, sites),
            whole(p.corners, sites),
        )
    n_vertices, n_facets, n_corners = (int(v) for v in begin[-1])
    dtype = library.dtype(sites)
    out = [
        library.empty(shape, kind, sites)
        for shape, kind in (
            ((n_vertices, 3), dtype),
            ((n_facets,), "int64"),
            ((n_facets,), dtype),
            ((n_facets + 1,), "int64"),
            ((n_corners,), "int64"),
        )
    ]
    offsets = library.device_array(begin, sites)
    views = (library.view(offsets), *(library.view(v, True) for v in out))
    try:
        _run("laguerre3_polyhedra", q, plan, views)
    except KeyboardInterrupt:
        raise errors.Interrupted(f"[{OPERATION}] interrupted in the polyhedra") from None
    done = [library.finish(v, sites) for v in out]
    return Solids(starts(0), done[0], starts(1), *done[1:])
