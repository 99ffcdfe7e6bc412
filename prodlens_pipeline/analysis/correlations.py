"""Correlation of all pairs of two groups of columns at once, with and without inference.

Belongs here: arrays in, arrays out; the formulas of r, rho, p, interval, slope and power.
Does not: days, lags, names, statuses or words.

Columns are (days, drivers) and (days, outcomes), row for row; results are (drivers, outcomes). NaN is unknown in
the columns and "not defined" in the results; nothing here warns.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_VARIATION = 1e-13
"""A standard deviation below this share of the largest value is rounding error."""
ALMOST_ONE = 1 - 1e-15
MEMORY = 5
"""Lags up to which memory that the adjustment left in both series widens the interval."""
PHASES = 2
"""Slow cosines by which the variance of both series may rise and fall together."""
CLEAR = 1.7
"""Standard errors at which an excess of the variance of r counts for half."""
FALSE_EVENTS = 0.05
"""Chance to find an event in two independent series that share none."""
LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Correlations:
    """Descriptive correlations of the rows known in both columns."""

    n: Integers
    pearson_r: Reals
    spearman_rho: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """What the adjusted correlation supports."""

    p_value: Reals
    ci_low: Reals
    ci_high: Reals
    slope: Reals
    """Change of the outcome's innovation per unit of the driver's."""
    slope_low: Reals
    slope_high: Reals
    freedom: Reals
    inflation: Reals
    """Variance of r relative to that of independent, equally variable days."""


def correlate(driver: Reals, outcome: Reals) -> Correlations:
    """Pearson's r and Spearman's rho of every pair, as `scipy.stats.pearsonr` and `spearmanr` give them."""
    a, b, known = _pairs(driver, outcome)
    if known.all():
        # The same ranks serve every partner.
        ranks_a, ranks_b = _ranks(driver)[:, :, None], _ranks(outcome)[:, None, :]
    else:
        ranks_a, ranks_b = (_ranks(np.where(known, v, np.inf)) for v in (a, b))
    return Correlations(known.sum(axis=0), _pearson(a, b, known), _pearson(ranks_a, ranks_b, known))


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What could have happened, and how it goes with the innovations: correlations (events, drivers or outcomes)."""

    driver: Reals
    outcome: Reals


def infer(driver: Reals, outcome: Reals, kept: Reals, events: Events | None = None) -> Inference:
    """Test, intervals and slope of the correlation of innovations.

    `kept` (drivers, outcomes) is the share of the degrees of freedom that adjusting the series has left.

    - t-test of r with ``ν = n kept - 1`` degrees of freedom (for lag 0 and k regressors beside the mean, exactly the
      n - 2 - k of a partial correlation), and at least one.
    - The variance of r is inflated where the days are visibly not independent and equally variable, see `_inflation`.
    - Interval of r: Fisher's z, with the half-width at which the interval excludes zero exactly when p < 0.05
      (``atanh`` of the critical r; for large samples 1.96 / √(n - 3)).
    - Interval of the slope: the same t and the same inflation.
    - `events`, for series compared on the same days: where one stands out in both, intervals also span what is left
      without it, and p is the larger of the two.
    """
    a, b, known = _pairs(driver, outcome)
    a, b = _centred(a, known), _centred(b, known)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        saa, sbb, sab = (a * a).sum(axis=0), (b * b).sum(axis=0), (a * b).sum(axis=0)
        r = np.clip(sab / np.sqrt(saa) / np.sqrt(sbb), -ALMOST_ONE, ALMOST_ONE)
        inflation = _inflation(a, b, known)
        freedom = np.where(n > 0, np.maximum(n * kept - 1, 1.0), np.nan)
        found = _inference(r, np.sqrt(sbb / saa), freedom, inflation)
        if events is None or not events.driver.size:
            return found
        return _spanning_without_event(found, r, np.sqrt(sbb / saa), events)


def _inference(r: Reals, ratio: Reals, freedom: Reals, inflation: Reals) -> Inference:
    """What follows from r; `ratio` is the deviation of the outcome in deviations of the driver."""
    unexplained = np.sqrt(inflation * (1 - r**2) / freedom)
    p_value = np.asarray(2 * scipy.special.stdtr(freedom, -np.abs(r) / unexplained), dtype=np.float64)
    critical = _quantile(LEVEL, freedom)
    half = np.arctanh(_critical_r(critical, freedom, inflation))
    z = np.arctanh(r)
    low, high = np.minimum(np.tanh(z - half), r), np.maximum(np.tanh(z + half), r)
    slope, error = r * ratio, critical * unexplained * ratio
    return Inference(p_value, low, high, slope, slope - error, slope + error, freedom, inflation)


def _spanning_without_event(found: Inference, r: Reals, ratio: Reals, events: Events) -> Inference:
    """`found`, spanning also what is left without an event that stands out in both series.

    The event is the candidate that stands out most in the series in which it stands out less. Selecting it does not
    look at whether it moves both in the same direction, so that it favours neither sign of r. What is left is the
    partial correlation.
    """
    first, second = np.broadcast_arrays(events.driver[:, :, None], events.outcome[:, None, :])
    weaker = np.minimum(np.abs(first), np.abs(second))
    best = weaker.argmax(axis=0)[None]
    share = np.take_along_axis(weaker, best, axis=0)[0] ** 2
    p_in_one = 2 * scipy.special.stdtr(found.freedom, -np.sqrt(found.freedom * share / (1 - share)))
    # One that explains all is no exception.
    shared = (p_in_one**2 * (weaker > 0).sum(axis=0) < FALSE_EVENTS) & (share < ALMOST_ONE)

    in_driver, in_outcome = (np.where(shared, np.take_along_axis(one, best, axis=0)[0], 0.0) for one in (first, second))
    left_driver, left_outcome = np.sqrt(1 - in_driver**2), np.sqrt(1 - in_outcome**2)
    partial = np.clip((r - in_driver * in_outcome) / (left_driver * left_outcome), -ALMOST_ONE, ALMOST_ONE)
    freedom = np.maximum(found.freedom - shared, 1.0)
    rest = _inference(partial, ratio * left_outcome / left_driver, freedom, found.inflation)
    return replace(
        found,
        # Two readings of opposite sign support neither.
        p_value=np.where(r * partial < 0, 1.0, np.maximum(found.p_value, rest.p_value)),
        ci_low=np.minimum(found.ci_low, rest.ci_low),
        ci_high=np.maximum(found.ci_high, rest.ci_high),
        slope_low=np.minimum(found.slope_low, rest.slope_low),
        slope_high=np.maximum(found.slope_high, rest.slope_high),
    )


def min_detectable_r(inference: Inference, hypotheses: int) -> Reals:
    """Smallest true correlation that such a sample shows with 80 % power, among so many hypotheses.

    On Fisher's z: the critical value plus 0.84 standard errors. The level is 0.05 / hypotheses, which is what
    Benjamini–Hochberg asks of an effect that is the only one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = _quantile(LEVEL, inference.freedom)
        strict = _quantile(LEVEL / max(hypotheses, 1), inference.freedom)
        half, bar = (np.arctanh(_critical_r(t, inference.freedom, inference.inflation)) for t in (usual, strict))
        return np.asarray(np.tanh(bar + half * scipy.special.ndtri(POWER) / usual), dtype=np.float64)


def _pairs(driver: Reals, outcome: Reals) -> tuple[Reals, Reals, Flags]:
    """Both groups as (days, drivers, outcomes), and which entries are known in both."""
    a, b = np.broadcast_arrays(driver[:, :, None], outcome[:, None, :])
    return a, b, ~(np.isnan(a) | np.isnan(b))


def _centred(values: Reals, known: Flags) -> Reals:
    """Known values without their mean; 0 elsewhere."""
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, filled - mean, 0.0)


def _ranks(values: Reals) -> Reals:
    """Ranks of every column (days, ...), ties shared; as `scipy.stats.rankdata`, which takes a second to import."""
    if not values.size:
        return values
    columns = pl.from_numpy(values.reshape(len(values), -1))
    return columns.select(pl.all().rank("average")).to_numpy().reshape(values.shape)


def _pearson(a: Reals, b: Reals, known: Flags) -> Reals:
    """Pearson's r; NaN where a column does not vary."""
    unit_a, unit_b = _unit(a, known), _unit(b, known)
    return np.asarray(np.clip((unit_a * unit_b).sum(axis=0), -1.0, 1.0), dtype=np.float64)


def _unit(values: Reals, known: Flags) -> Reals:
    """Centred and of length 1; NaN where nothing varies. Scaled first, so that no square overflows."""
    largest = np.abs(np.where(known, values, 0.0)).max(axis=0, initial=0.0)
    scaled = np.where(known, values, 0.0) / np.where(largest > 0, largest, 1.0)
    centred = _centred(scaled, known)
    length = np.sqrt((centred**2).sum(axis=0))
    varies = length > NO_VARIATION * np.sqrt(np.maximum(known.sum(axis=0), 1))
    return centred / np.where(varies, length, np.nan)


def _quantile(level: float, freedom: Reals) -> Reals:
    """The |t| that chance exceeds with probability `level`."""
    return np.asarray(-scipy.special.stdtrit(freedom, level / 2), dtype=np.float64)


def _critical_r(t: Reals, freedom: Reals, inflation: Reals) -> Reals:
    """The r whose t-value is `t`."""
    return np.asarray(t * np.sqrt(inflation / (freedom + t**2 * inflation)), dtype=np.float64)


def _inflation(a: Reals, b: Reals, known: Flags) -> Reals:
    """Variance of r relative to independent, equally variable days; at least 1. `a` and `b` are centred.

    Two factors, each 1 if the textbook assumptions hold:

    - *unequal variance*: the larger of two estimates, `_decisive_days` and `_volatile_phases`.
    - *memory left in both series* (the noise model is simple; a cycle of nine days is beyond it): Bartlett's (1946)
      1 + 2 Σ ρa(j) ρb(j), over few lags j.

    All are estimates with a sampling variance where the assumptions do hold: about 4/n, 4·cosines/n² and 4·lags/n².
    Excess is full where it is clear, next to nothing where it is chance, see `_weighted`.
    """
    n = known.sum(axis=0)
    a, b = (v * np.sqrt(n / (v * v).sum(axis=0)) for v in (a, b))
    unequal = np.maximum(
        _weighted(_decisive_days(a, b, n), 4 / n), _weighted(_volatile_phases(a, b, known), 4 * PHASES / n**2)
    )
    memory = np.zeros_like(unequal)
    for j in range(1, min(MEMORY, len(a) - 1) + 1):
        memory += 2 * (a[j:] * a[:-j]).sum(axis=0) * (b[j:] * b[:-j]).sum(axis=0) / n**2
    return (1 + unequal) * (1 + _weighted(memory, 4 * MEMORY / n**2))


def _decisive_days(a: Reals, b: Reals, n: Integers) -> Reals:
    """Excess of the variance of r by single days that decide it: the infinitesimal jackknife (Efron 1982).

    For standardised columns, a day moves r in proportion to ``a b - r (a² + b²) / 2``.
    """
    r = (a * b).sum(axis=0) / n
    unexplained = 1 - r**2
    moved = ((a * b - r * (a**2 + b**2) / 2) ** 2).sum(axis=0) / n
    # A perfect fit leaves rounding errors, which say nothing.
    return np.asarray(np.where(unexplained > NO_VARIATION, moved / unexplained**2, 1.0) - 1, dtype=np.float64)


def _volatile_phases(a: Reals, b: Reals, known: Flags) -> Reals:
    """Excess of the variance of r by phases in which both columns are volatile, as slow cosines see them.

    It is seen more clearly than day by day: few cosines leave little to chance. Columns are standardised.
    """
    n = known.sum(axis=0)
    time = np.pi * (known.cumsum(axis=0) - 0.5) / n
    excess = np.zeros(a.shape[1:])
    for k in range(1, PHASES + 1):
        wave = np.where(known, np.cos(k * time), 0.0)
        excess += 2 * (wave * (a**2 - 1)).sum(axis=0) * (wave * (b**2 - 1)).sum(axis=0) / n**2
    return excess


def _weighted(excess: Reals, variance: Reals) -> Reals:
    """The positive part of an estimated excess e, weighted by how clear it is: e⁴ / (e⁴ + (`CLEAR` deviations)⁴)."""
    positive = np.maximum(excess, 0.0)
    return np.asarray(positive**5 / (positive**4 + (CLEAR**2 * variance) ** 2), dtype=np.float64)
