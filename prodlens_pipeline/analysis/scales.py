"""The scale on which a series is compared: logarithmic for amounts, as it is for everything else.

Belongs here: telling the scale of a series from its values, the transform, and the way back to an effect in the
series' own unit.
Does not: trends, rhythms and correlations.

Three kinds, told apart by properties that the unit does not change:

- **counts** (whole, not negative; floats that are whole too): ``log1p(v)``. Work happens in proportions: an
  adoption ramp or a team that doubles multiplies counts *and* their noise; the logarithm makes both additive.
- **other amounts** (not negative: money, durations, rates): ``log1p(v / unit)`` with a tenth of the median
  positive value as unit, for the same reason. It gives an amount of typical size the shape of a count of ten,
  keeps zeros (a plain logarithm has none), does not depend on cents or dollars, and a value near zero cannot
  become an outlier (a plain logarithm of it would).
- **interval** (some value is negative: differences, scores): as it is. Such a series has no zero to be
  proportional to, so no change of it is given in percent either.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

SMALLEST_UNIT = 1e-150
"""Keeps the quotient of two accepted numbers finite."""


def quartiles(values: Reals) -> Reals:
    """The lower and the upper quartile of the known values; NaN if there are none."""
    known = values[~np.isnan(values)]
    return np.quantile(known, [0.25, 0.75]) if len(known) else np.full(2, np.nan)


def is_count(values: Reals) -> bool:
    """Whether all known values, and there is one, are whole and not negative."""
    known = values[~np.isnan(values)]
    return bool(len(known)) and bool((known >= 0).all()) and bool((known == np.floor(known)).all())


@dataclass(frozen=True, slots=True)
class Scale:
    """How one series is transformed, and what a change of the transformed series means."""

    unit: float | None
    """The series is compared as ``log1p(v / unit)``; None: as it is."""
    response: float
    """By how much the transformed series changes for a proportional change of the series, per unit of log."""
    baseline: float
    """Mean of the known values; NaN if there are none."""

    @staticmethod
    def of(values: Reals) -> "Scale":
        """The scale of a series; NaN is unknown.

        `response` would be 1 for a plain logarithm. For an amount it is the mean of d log1p(v/unit) / d log v.
        A count scatters around its rate λ, and what is wanted is the response to the rate: for a (mixed) Poisson
        count, dE[log1p(N)] / d log λ = E[N log((N + 1) / N)] by the Stein–Chen identity (Chen 1975).
        """
        known = values[~np.isnan(values)]
        baseline = float(known.mean()) if len(known) else float("nan")
        if not len(known) or known.min() < 0 or not known.any():
            return Scale(None, 1.0, baseline)
        positive = known[known > 0]
        if is_count(values):
            return Scale(1.0, float((positive * np.log1p(1 / positive)).sum() / len(known)), baseline)
        unit = max(float(np.median(positive)) / 10, SMALLEST_UNIT)
        return Scale(unit, float((known / (known + unit)).mean()), baseline)

    def transform(self, values: Reals) -> Reals:
        """`values` on the scale of comparison."""
        return values if self.unit is None else np.log1p(values / self.unit)

    def interquartile_range(self, values: Reals) -> float:
        """Distance of the quartiles of the known values, on the scale of comparison; NaN if there are none."""
        lower, upper = self.transform(quartiles(values))
        return float(upper - lower)

    def in_own_unit(self, change: Reals) -> Reals:
        """A change on the scale of comparison as a change in the series' unit, from as far below its mean as above.

        On a logarithmic scale the series moves from ``mean * exp(-d / 2)`` to ``mean * exp(d / 2)``, as its driver
        moves from the lower quartile to the upper. Infinite where that is beyond every number.
        """
        if self.unit is None:
            return change
        return np.asarray(2 * self.baseline * np.sinh(change / self.response / 2), dtype=np.float64)

    def in_percent(self, change: Reals) -> Reals:
        """A change in the series' own unit as % of the baseline; NaN where the scale has no zero."""
        if self.unit is None:
            return np.full_like(change, np.nan)
        return np.asarray(100 * change / self.baseline, dtype=np.float64)
