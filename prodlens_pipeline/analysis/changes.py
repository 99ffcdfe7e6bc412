"""Did a figure change between two windows? An honest word for each, with the interval that it rests on.

Belongs here: comparing the daily values of two windows, and the verdicts of a family of such comparisons.
Does not: reading daily values (`metrics.daily`), nor showing the result.

The interval is Welch's t interval of the difference of daily means. Days are no independent draws, so weekday effects
(common to both windows) are taken out first, and each window counts as the number of independent days that the
autocorrelation of what is left amounts to. How often it errs is tested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

import numpy as np
import scipy
from numpy.typing import NDArray

from prodlens_pipeline.analysis.multiplicity import benjamini_hochberg

LEVEL = 0.95
SIGNIFICANT = 0.05
MINIMUM_DAYS = 14
"""Days with a value that each window needs: with fewer, a strong autocorrelation passes for a change."""
MOST_AUTOCORRELATION = 0.9

Reals = NDArray[np.float64]


class Verdict(StrEnum):
    """What the days support."""

    CHANGED = "changed"
    NO_CLEAR_CHANGE = "no clear change"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True)
class DailyValues:
    """The values of one window by day; a day without a value is left out."""

    days: Sequence[date]
    values: Sequence[float]


@dataclass(frozen=True)
class Change:
    """Second window minus first, of daily means: None where there are too few days.

    `q_value` is the Benjamini-Hochberg q over the family that was compared together.
    """

    days_before: int
    days_after: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    q_value: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Changed only where q is small."""
        if self.q_value is None:
            return Verdict.NOT_ENOUGH_DATA
        return Verdict.CHANGED if self.q_value < SIGNIFICANT else Verdict.NO_CLEAR_CHANGE


def changes(pairs: Sequence[tuple[DailyValues, DailyValues]]) -> list[Change]:
    """One change per (before, after), in order, with q over all of them."""
    found = [_compare(before, after) for before, after in pairs]
    p_values = np.array([np.nan if change.p_value is None else change.p_value for change in found])
    return [
        change if change.p_value is None else replace(change, q_value=float(q))
        for change, q in zip(found, benjamini_hochberg(p_values), strict=True)
    ]


def _compare(before: DailyValues, after: DailyValues) -> Change:
    counted = Change(len(before.values), len(after.values))
    if min(counted.days_before, counted.days_after) < MINIMUM_DAYS:
        return counted
    sizes = (counted.days_before, counted.days_after)
    means, rests, weekdays = _without_weekdays(before, after)
    worth = _independent_share(rests)
    freedom = [max(1.0, size * worth - 1) for size in sizes]
    variances = [
        float(rest @ rest) / max(1.0, size - 1 / worth - weekdays * size / sum(sizes)) / (size * worth)
        for rest, size in zip(rests, sizes, strict=True)
    ]
    difference = float(means[1] - means[0])
    error = float(np.sqrt(sum(variances)))
    if error <= 1e-12 * max(1.0, *np.abs(means)):
        # Every day of both windows is alike: the difference is all there is to know.
        same = abs(difference) <= 1e-12 * max(1.0, *np.abs(means))
        difference = 0.0 if same else difference
        return replace(counted, difference=difference, low=difference, high=difference, p_value=float(same))
    degrees = sum(variances) ** 2 / sum(v**2 / f for v, f in zip(variances, freedom, strict=True))
    half = float(scipy.special.stdtrit(degrees, (1 + LEVEL) / 2)) * error
    p_value = float(2 * scipy.special.stdtr(degrees, -abs(difference) / error))
    return replace(counted, difference=difference, low=difference - half, high=difference + half, p_value=p_value)


def _without_weekdays(before: DailyValues, after: DailyValues) -> tuple[Reals, tuple[Reals, Reals], int]:
    """Mean of an average week in each window, what days deviate from it, and how many weekday effects were fitted."""
    values = np.array([*before.values, *after.values], dtype=np.float64)
    weekday = np.array([day.weekday() for day in (*before.days, *after.days)])
    size = len(before.values)
    second = np.arange(len(values)) >= size
    present = np.unique(weekday)
    contrasts = [(weekday == name).astype(float) - (weekday == present[-1]) for name in present[:-1]]
    design = np.column_stack([~second, second, *contrasts]).astype(np.float64)
    fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    if rank < design.shape[1]:
        # The windows share no weekday by which their weeks could be told apart.
        design = design[:, :2]
        fitted = np.linalg.lstsq(design, values, rcond=None)[0]
    rest = np.asarray(values - design @ fitted, dtype=np.float64)
    return np.asarray(fitted[:2], dtype=np.float64), (rest[:size], rest[size:]), design.shape[1] - 2


def _independent_share(rests: tuple[Reals, Reals]) -> float:
    """How many independent days a day is worth, by the lag-1 autocorrelation of both windows (bias-corrected)."""
    squares = sum(float(rest @ rest) for rest in rests)
    if squares == 0:
        return 1.0
    n = sum(map(len, rests))
    seen = sum(float(rest[1:] @ rest[:-1]) for rest in rests) / squares
    r = float(np.clip((n * seen + 2) / (n - 6), 0, MOST_AUTOCORRELATION))
    return (1 - r) / (1 + r)
