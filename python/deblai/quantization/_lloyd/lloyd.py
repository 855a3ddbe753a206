"""Lloyd's algorithm: k-means on samples, centroidal Voronoi tessellations of measures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import _rng, _validate, errors
from ..._array import TORCH, Library, gather, library_of
from ...measures import Samples
from ...results import QuantizationResult
from .. import _checks
from .densities import CellSource
from .descent import Array, Progress
from .mapped import PIECE, MappedSource
from .samples import OPERATION, SampleSource
from .spread import spread

INITS = ("k-means++", "k-means||", "random")


class LloydState(NamedTuple):
    """What the callback of `lloyd` sees: `sites` (k, d) that have moved `step` times, and their `energy`."""

    step: int
    sites: Any
    energy: float


def lloyd(
    x: Any,
    n_sites: int,
    *,
    p: float = 2,
    weights: Any = None,
    init: Any = "k-means++",
    periodic: bool = False,
    max_iter: int = 300,
    tol: float = 1e-5,
    labels: Any = True,
    rng: Any = None,
    callback: Callable[[LloydState], bool | None] | None = None,
) -> QuantizationResult:
    r"""Quantize samples or a measure by Lloyd's algorithm: k-means, centroidal Voronoi tessellations.

    .. math::
        E(y_1, \dots, y_k) = \int \min_j |x - y_j|^p \, d\mu(x)

    decreases while every site moves to the mean of its Voronoi cell [1]_, of its samples where :math:`\mu` is a
    sum of point masses; for p other than 2, with r the distances, to the mean weighted by :math:`r^{p-2}` [4]_, for
    p > 2 by 1 / (p - 1) of the way or less. Nothing of size n times k is stored.

    Parameters
    ----------
    x : array (n, d) or (n,), or a measure
        Samples: NumPy, PyTorch, JAX or CuPy, float32 or float64, any strides, read without a copy; or `Samples`. A
        `numpy.memmap` of more than 64 MiB is read piece by piece, and may be larger than the memory. Or a
        density of `deblai.measures` of the plane or of space, whose cells are exact: all that `laguerre` takes.
        Sites have the shape of samples; those of `Samples` of the line are (k,).
    n_sites : int
        Number of sites k, at most the number of samples.
    p : float, default 2
        The power of distances, at least 1; 2 for a density. For p = 1 sites are medians. Where p < 2, samples within
        some part of the root mean square distance of the start are at their site, and hold it back [5]_: 1e-2 of it at
        first, less wherever steps become small, and 1e-8 in the end.
    weights : array (n,), optional
        Nonnegative weights of samples, of any positive sum: they are divided by it. Equal weights by default.
    init : {"k-means++", "k-means||", "random"} or array (k, d)
        "k-means++" draws seeds one after the other by weight times squared distance to those before [2]_, which
        costs about k iterations of one site; "k-means||" chooses some ten times as many at once, in five passes, and
        among those by k-means++ on their masses [3]_; "random" draws distinct samples by weight. Of a measure, "random"
        draws points of its density, and "k-means++" chooses among ten times as many, as it does of a memmap. An array
        is used as it is.
    periodic : bool, default False
        Take the box of a measure as a torus. Not for samples.
    max_iter : int, default 300
        Most moves of the sites.
    tol : float, default 1e-5
        Converged when a step lowers the energy by at most `tol` times itself, or not at all. 0 goes on until no site
        moves, or rounding keeps the energy from going lower.
    labels : bool or array (n,) of int32, default True
        Whether the result has labels; an array of NumPy, in memory or in a file, is where they are written to.
    rng : None, int or numpy.random.Generator
        Source of `init` (SPEC 7). Numbers are drawn on the CPU: every backend and library sees the same.
    callback : callable, optional
        Called with a `LloydState` for each set of sites; True stops.

    Returns
    -------
    QuantizationResult
        `sites`, `weights`, `energy`, `labels`, `n_iter`, `converged`, `history`, `empty`, `backend`. The energies of
        `history` decrease.

    Raises
    ------
    InvalidValue
        Empty or mismatched shapes, NaN or infinite entries, negative weights, zero mass, more sites than samples.
    InvalidType
        Mixed libraries, devices or dtypes; anything but float32 and float64.
    OutOfMemory
        The workspace, sums of at most 64 pieces of the samples, would not fit.
    Interrupted
        Ctrl-C; ``.result`` holds the best sites so far.

    Warns
    -----
    ConvergenceWarning
        `max_iter` came first.

    Notes
    -----
    A sample as near to several sites belongs to the first of them. A site whose cell has no sample goes to the sample
    that costs most, as in scikit-learn, which lowers the energy; where there are fewer distinct samples than sites,
    the energy gets to 0 and the sites left over stay without mass (`empty`). An empty cell of a density stays where
    it is. Labels are those of direct differences in float64 and sums are float64, whatever the dtype; results do not
    depend on the number of threads, to the bit.

    References
    ----------
    .. [1] S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inform. Theory 28, 1982.
    .. [2] D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    .. [3] B. Bahmani et al., "Scalable k-means++", Proc. VLDB Endow. 5, 2012, arXiv 1203.6402.
    .. [4] E. Weiszfeld, "Sur le point pour lequel la somme des distances de n points donnés est minimum", Tohoku Math.
       J. 43, 1937.
    .. [5] Y. Vardi, C.-H. Zhang, "The multivariate L1-median and associated data depth", PNAS 97, 2000.

    Examples
    --------
    Three sites for points of the line, 1/(12 k^2) being the least energy that k sites of [0, 1] can have:

    >>> import numpy as np, deblai
    >>> x = (np.arange(3000) + 0.5) / 3000
    >>> r = deblai.quantization.lloyd(x, 3, tol=0, rng=0)
    >>> np.sort(r.sites).round(2).tolist()
    [0.17, 0.5, 0.83]
    >>> bool(abs(r.energy - 1 / 108) < 1e-6)
    True
    """
    result, doubt = solve(x, n_sites, weights, init, periodic, max_iter, tol, rng, callback, labels, p)
    if doubt:
        warnings.warn(f"[{OPERATION}] {doubt}", errors.ConvergenceWarning, stacklevel=2)
    return result


def solve(
    x: Any,
    n_sites: int,
    weights: Any,
    init: Any,
    periodic: bool,
    max_iter: int,
    tol: float,
    rng: Any,
    callback: Callable[[LloydState], bool | None] | None,
    labels: Any = True,
    p: float = 2,
) -> tuple[QuantizationResult, str]:
    """Do what `lloyd` does, and return what it warns of, "" for nothing."""
    n_sites = _validate.positive_integer(OPERATION, "n_sites", n_sites)
    power = _validate.exponent(OPERATION, p)
    max_iter = _validate.positive_integer(OPERATION, "max_iter", max_iter)
    tol = _validate.real(OPERATION, "tol", tol)
    if tol < 0:
        raise errors.InvalidValue(f"[{OPERATION}] tol: expected at least 0, got {tol!r}")
    if not isinstance(periodic, bool | np.bool_):
        raise errors.InvalidType(f"[{OPERATION}] periodic: expected True or False, got {periodic!r}")
    if isinstance(init, str) and init not in INITS:
        raise errors.InvalidValue(f"[{OPERATION}] init: expected one of {INITS} or an array (n_sites, d), got {init!r}")
    if init is None:
        raise errors.InvalidType(f"[{OPERATION}] init: expected 'k-means++', 'random' or an array, got None")
    if not (callback is None or callable(callback)):
        raise errors.InvalidType(f"[{OPERATION}] callback: expected a function of a LloydState, got {callback!r}")
    generator = _rng.generator(OPERATION, rng)
    given = None if isinstance(init, str) else init
    prepare = _density if isinstance(x, _checks.BOXES + _checks.FORMS) else _samples
    source, like, given, shape = prepare(x, weights, n_sites, given, bool(periodic), labels, power)
    library = source.library
    progress = Progress(tol, max_iter)

    def export(sites: Array) -> Any:
        return library.export(sites.reshape(len(sites), *shape), like)

    def result() -> QuantizationResult:
        mass, _, energy, found = progress.best
        return QuantizationResult(
            export(progress.sites),
            library.export(mass, like),
            library.scalars([energy], like)[0],
            source.finish(found, progress.sites),
            progress.n_iter,
            progress.converged,
            progress.history,
            library.device_array(mass == 0, like),
            source.plan.label,
            p=power,
        )

    def called(step: int, sites: Array, energy: float) -> bool | None:
        return None if callback is None else callback(LloydState(step, export(sites), energy))

    try:
        if given is not None:
            sites = np.ascontiguousarray(library.numpy(given))
        else:
            sites = _start(source, init, n_sites, generator)
        progress.run(source, sites, called)
    except KeyboardInterrupt:
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {progress.n_iter} of {max_iter} iterations",
            result() if progress.history else None,
        ) from None
    doubt = ""
    if not (progress.converged or progress.stopped):
        doubt = (
            f"not converged after {max_iter} iterations: the last one lowered the energy by "
            f"{progress.last_decrease:.1e} of itself, more than tol={tol:g}"
        )
    return result(), doubt


def _start(source: SampleSource | CellSource, init: str, n_sites: int, rng: np.random.Generator) -> Array:
    """Choose sites by the name of a start."""
    if init == "k-means||":
        if not isinstance(source, SampleSource):
            raise errors.InvalidValue(
                f"[{OPERATION}] init: expected 'k-means++', 'random' or an array for a density, got 'k-means||'"
            )
        return spread(source, n_sites, rng)
    return (source.seeds if init == "k-means++" else source.draws)(n_sites, rng)


Prepared = tuple[SampleSource | CellSource, Any, Any, tuple[int, ...]]


def _samples(x: Any, weights: Any, n_sites: int, init: Any, periodic: bool, labels: Any, p: float) -> Prepared:
    """Return the source of checked samples, an array like them, checked sites, and the shape of one site."""
    shape = None
    if isinstance(x, Samples):
        shape = () if x.dim == 1 else (x.dim,)
        if weights is not None:
            raise errors.InvalidValue(f"[{OPERATION}] weights: expected those of Samples alone, got others too")
        x, weights = x.x, x.weights
    if periodic:
        raise errors.InvalidValue(f"[{OPERATION}] periodic: expected False for samples, which have no box")
    mapped = x if isinstance(x, np.memmap) and x.dtype in (np.float32, np.float64) else None
    library, (x, weights, init) = gather(OPERATION, {"x": x, "weights": weights, "init": init})
    points = _validate.points(OPERATION, "x", x)
    shape = tuple(x.shape[1:]) if shape is None else shape
    weights = _validate.weights(OPERATION, "weights", weights, points, "x")
    if library is TORCH:
        points = points.detach()
    if n_sites > points.shape[0]:
        raise errors.InvalidValue(
            f"[{OPERATION}] n_sites: expected at most the {points.shape[0]} samples of x, got {n_sites}"
        )
    init = _sites(library, init, n_sites, points)
    if labels is not True and labels is not False:
        _require_labels(labels, points.shape[0])
    if mapped is not None and mapped.nbytes > PIECE:
        source: SampleSource = MappedSource(mapped, np.asarray(points), weights, n_sites, labels, p)
        return source, np.empty((0, 1), points.dtype), init, shape
    return SampleSource(library, points, weights, n_sites, labels, p), points, init, shape


def _require_labels(labels: Any, count: int) -> None:
    if not isinstance(labels, np.ndarray):
        raise errors.InvalidType(
            f"[{OPERATION}] labels: expected True, False or a NumPy array of int32, got {type(labels).__name__}"
        )
    if labels.dtype != np.int32 or labels.shape != (count,) or not labels.flags.writeable:
        kind = "writable" if labels.flags.writeable else "read-only"
        raise errors.InvalidValue(
            f"[{OPERATION}] labels: expected a writable int32 array of shape ({count},) to match x, got a {kind} "
            f"{labels.dtype} one of shape {labels.shape}"
        )


def _density(x: Any, weights: Any, n_sites: int, init: Any, periodic: bool, labels: Any, p: float) -> Prepared:
    """Do the same for a density: the sites are as `init` is, else as the pixels are."""
    if weights is not None:
        raise errors.InvalidValue(f"[{OPERATION}] weights: expected None for a density, which has its own")
    if p != 2:
        raise errors.InvalidValue(f"[{OPERATION}] p: expected 2 for a density, got {p:g}; see quantization.quantize")
    if labels is not True and labels is not False:
        raise errors.InvalidValue(f"[{OPERATION}] labels: expected True or False for a density, which has none")
    density = _checks.box(OPERATION, x, periodic, (2, 3), _checks.BOXES + _checks.FORMS, "x")
    library, (init,) = gather(OPERATION, {"init": init})
    if init is None:
        library, (density,) = gather(OPERATION, {"x.values": density})
        like: Any = np.zeros(2) if density is None else density
    else:
        if density is not None and library_of(density) is library and library.dtype(density) != library.dtype(init):
            density = library.cast(density, init)
        _, (_, density) = gather(OPERATION, {"init": init, "x.values": density})
        init = _sites(library, init, n_sites, np.empty((0, x.dim)))
        like = init
    if library is TORCH:
        like, density = like.detach(), None if density is None else density.detach()
    return CellSource(library, x, density, like, periodic), like, init, (x.dim,)


def _sites(library: Library, init: Any, n_sites: int, like: Any) -> Any:
    if init is None:
        return None
    init = _validate.points(OPERATION, "init", init, like)
    if init.shape[0] != n_sites:
        raise errors.InvalidValue(f"[{OPERATION}] init: expected {n_sites} sites to match n_sites, got {init.shape[0]}")
    if not np.isfinite(library.numpy(init)).all():
        raise errors.InvalidValue(f"[{OPERATION}] init: expected finite values, got nan or inf")
    return init
