"""scikit-learn estimators (extra ``sklearn``): imported on demand."""

from __future__ import annotations

from .. import _extras

_extras.require("sklearn", "sklearn", "sklearn")

from ._quantizer import Quantizer  # noqa: E402

__all__ = ["Quantizer"]
