"""What a p-value is worth when many hypotheses were looked at.

Belongs here: q-values of families. Does not: where the p-values come from.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


def q_values(p_values: Reals, placebo: Flags) -> Reals:
    """Benjamini–Hochberg, claims and placebos each as one family; NaN where there is no p."""
    found = np.full_like(p_values, np.nan)
    for family in (placebo, ~placebo):
        found[family] = benjamini_hochberg(p_values[family])
    return found


def benjamini_hochberg(p_values: Reals) -> Reals:
    """The q-values of one family (size,); NaN where there is no p, which does not count.

    As `scipy.stats.false_discovery_control`, whose import every report would wait a second for.
    """
    found = np.full_like(p_values, np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    scaled = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found
