"""The result counts rows that were summed term by term, and says the same numbers with many of them as with none."""

import deblai
import numpy as np
import pytest
from deblai.multimarginal import sinkhorn

LINE = (np.arange(24) + 0.5) / 24


def test_none_where_products_carry_the_sums():
    """At large epsilon, for two marginals, and from the reference."""
    assert sinkhorn(LINE, n_marginals=3, epsilon=0.5).exact_rows == 0
    assert sinkhorn(LINE, n_marginals=2, epsilon=1e-3, max_iter=0).exact_rows == 0
    with deblai.use_backend("reference"):
        assert sinkhorn(LINE, n_marginals=3, epsilon=1e-3, max_iter=0).exact_rows == 0


@pytest.mark.parametrize(("dtype", "epsilon"), [("float32", 1e-3), ("float64", 1e-4)])
def test_some_at_small_epsilon(dtype, epsilon):
    """Uniform weights, Coulomb, zero potentials: factors below the range of the dtype; at most n rows of the one plan.

    The plan's mass, marginals and cost are those of the reference's sums in float64.
    """
    x = LINE.astype(dtype)
    ask = {"n_marginals": 3, "epsilon": epsilon, "max_iter": 0}
    with deblai.use_backend("reference"), pytest.warns(deblai.ConvergenceWarning):
        solved = sinkhorn(LINE, n_marginals=3, epsilon=epsilon, tol=0.0, max_iter=30).potentials
    with deblai.use_backend("reference"):
        want = sinkhorn(x, init=solved, **ask)
    r = sinkhorn(x, init=solved, **ask)
    assert 0 < r.exact_rows <= 24
    rounding = 60 / epsilon * np.finfo(dtype).eps
    assert abs(float(r.value_linear) - float(want.value_linear)) <= rounding * float(want.value_linear)
    assert np.abs(r.pair_marginal() - want.pair_marginal()).max() <= rounding * want.pair_marginal().max()


def test_rows_of_all_pairs_count():
    """Three different marginals have three plans of pairs."""
    x = LINE.astype("float32")
    r = sinkhorn([x, x[:20], x[4:]], epsilon=1e-3, max_iter=0)
    assert 24 < r.exact_rows <= 24 + 24 + 20


def test_other_libraries_count_too():
    torch = pytest.importorskip("torch")
    x = LINE.astype("float32")
    want = sinkhorn(x, n_marginals=3, epsilon=1e-3, max_iter=0).exact_rows
    found = sinkhorn(torch.from_numpy(x), n_marginals=3, epsilon=1e-3, max_iter=0).exact_rows
    assert want == found > 0
