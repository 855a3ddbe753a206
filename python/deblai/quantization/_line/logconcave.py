"""Laws of scipy.stats whose density is log-concave: their stationary quantizers are unique."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# M. Bagnoli, T. Bergstrom, "Log-concave probability and its applications", Economic Theory 26, 2005, table 1.
ALWAYS = frozenset(
    {"expon", "gumbel_l", "gumbel_r", "halflogistic", "halfnorm", "hypsecant", "laplace", "logistic", "maxwell", "norm"}
    | {"rayleigh", "semicircular", "triang", "truncexpon", "truncnorm", "uniform"}
)
WHERE: Mapping[str, Callable[..., bool]] = {
    "gamma": lambda a: a >= 1,
    "erlang": lambda a: a >= 1,
    "chi2": lambda df: df >= 2,
    "chi": lambda df: df >= 1,
    "beta": lambda a, b: a >= 1 and b >= 1,
    "weibull_min": lambda c: c >= 1,
    "weibull_max": lambda c: c >= 1,
    "gennorm": lambda beta: beta >= 1,
    "powerlaw": lambda a: a >= 1,
}


def log_concave(distribution: Any) -> bool:
    """Return whether a frozen distribution is one of those."""
    family: Any = getattr(distribution, "dist", None)
    name = str(getattr(family, "name", ""))
    if not type(family).__module__.startswith("scipy.stats"):
        return False  # somebody's own law may have any name
    if name in ALWAYS:
        return True
    if name not in WHERE:
        return False
    names = [part.strip() for part in (family.shapes or "").split(",")]
    given = dict(zip(names, distribution.args, strict=False)) | distribution.kwds
    return bool(WHERE[name](*(given[key] for key in names)))
