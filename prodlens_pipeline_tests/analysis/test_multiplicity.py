"""q-values against the libraries that define them."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from prodlens_pipeline.analysis.multiplicity import benjamini_hochberg, q_values

# Benjamini & Hochberg (1995), section 3.2: fifteen comparisons, of which four are declared significant at 0.05.
PUBLISHED = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
PUBLISHED += [0.7590, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_q_agrees_with_scipy_and_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).random(50) ** 3
    p[3] = p[7]
    found = benjamini_hochberg(p)
    assert found == pytest.approx(stats.false_discovery_control(p), abs=1e-12)
    assert found == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)


def test_the_published_example_declares_four() -> None:
    assert (benjamini_hochberg(np.array(PUBLISHED)) <= 0.05).sum() == 4


def test_what_has_no_p_does_not_count_and_placebos_are_a_family_of_their_own() -> None:
    p = np.array([[0.01, np.nan, 0.04], [0.02, 0.03, np.nan]])
    placebo = np.array([[False, False, True], [False, False, True]])
    assert q_values(p, placebo) == pytest.approx(np.array([[0.03, np.nan, 0.04], [0.03, 0.03, np.nan]]), nan_ok=True)
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()
    assert len(benjamini_hochberg(np.empty(0))) == 0
