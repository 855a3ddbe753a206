"""The settings that the other tests rely on."""

import warnings

import deblai
import numpy as np
import pytest


@pytest.mark.parametrize("module", ["deblai", "deblai.sliced._evaluate", "deblai.reference.sliced"])
def test_warnings_raised_by_deblai_are_errors(module):
    """filterwarnings = error:::deblai matches the beginning of the module's name, so that every module counts."""
    scope = {"__name__": module, "warnings": warnings}
    with pytest.raises(UserWarning, match="to be seen"):
        exec("warnings.warn('to be seen')", scope)
    scope = {"__name__": module, "np": np}
    with pytest.raises(RuntimeWarning):  # NumPy's count as those of the module that called it
        exec("np.float64(1e300) * np.float64(1e300)", scope)


def test_convergence_warnings_are_errors():
    """Wherever they point, as they point at the caller."""
    with pytest.raises(deblai.ConvergenceWarning):
        warnings.warn(deblai.ConvergenceWarning("not converged"), stacklevel=1)


def test_warnings_of_others_are_not():
    """Other packages may deprecate what they like."""
    with warnings.catch_warnings(record=True) as caught:
        exec("warnings.warn('elsewhere')", {"__name__": "elsewhere", "warnings": warnings})
    assert len(caught) == 1


def test_hypothesis_profile():
    """Derandomised, without deadlines: the same examples at the desk and in CI, on a slow machine too."""
    from hypothesis import settings

    assert settings.default.derandomize
    assert settings.default.deadline is None
    assert settings.default.max_examples == 60
