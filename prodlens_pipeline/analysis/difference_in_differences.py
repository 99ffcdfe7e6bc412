"""Adopters before and after, against developers who had not adopted yet: group-time effects on weekly arrays.

Belongs here: arrays in, arrays out. Does not: dates, names, statuses or words (`event_studies`).

Every group of adopters of one week is compared, in every later week, with those who adopt later or never (Callaway &
Sant'Anna 2021): nobody who has adopted serves as a comparison, which is what bends plain two-way regressions. The
baseline is the mean of several weeks before rather than the last one alone, for one week of one developer is noisy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

WEEKS_BEFORE = 8
WEEKS_AFTER = 8
MINIMUM_WEEKS = 3
"""Known weeks that a baseline needs."""
MINIMUM_DEVELOPERS = 3
"""Adopters, and developers to compare them with."""
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """What changed, on the scale of the values; NaN where it cannot be told."""

    estimate: float
    error: float
    freedom: float
    adopters: int
    comparisons: int
    n: int
    """Weeks of adopters, or days of a series, that were compared."""

    @property
    def p_value(self) -> float:
        """Two-sided, of a t distribution."""
        if not self.error > 0:
            return float("nan")
        return float(2 * scipy.special.stdtr(self.freedom, -abs(self.estimate) / self.error))

    @property
    def half_width(self) -> float:
        """Of the 95 % interval."""
        return float(-scipy.special.stdtrit(self.freedom, LEVEL / 2) * self.error)


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """One group of adopters: what is compared, (developers, points), and who takes part in it."""

    values: Reals
    adopters: Flags
    others: Flags


def effect(weekly: Reals, start: Integers) -> Change:
    """Mean change after adoption, over groups and up to `WEEKS_AFTER` weeks.

    `weekly` (developers, weeks) has NaN where nothing is known, such as the week of adoption; `start` (developers,)
    is the first week after adoption, at least the number of weeks for developers who never adopt.
    """
    return _aggregate([_after(weekly, start, first) for first in _groups(weekly, start)])


def pre_trend(weekly: Reals, start: Integers) -> Change:
    """Slope per week by which adopters drift away from the others *before* they adopt: it should be 0."""
    return _aggregate([_before(weekly, start, first) for first in _groups(weekly, start)])


def placebo(weekly: Reals, start: Integers) -> Change:
    """The effect of an adoption half of `WEEKS_BEFORE` earlier than it was, on the weeks before only."""
    shift = WEEKS_BEFORE // 2
    adopted = np.arange(weekly.shape[1]) >= start[:, None]
    earlier = np.where(start < weekly.shape[1], np.maximum(start - shift, 0), start)
    return effect(np.where(adopted, np.nan, weekly), earlier)


def _groups(weekly: Reals, start: Integers) -> list[int]:
    return [int(first) for first in np.unique(start) if 0 < first < weekly.shape[1]]


def _after(weekly: Reals, start: Integers, first: int) -> _Comparison:
    """Changes from the baseline of the weeks before `first`."""
    base = weekly[:, max(first - WEEKS_BEFORE, 0) : first]
    after = np.arange(first, min(first + WEEKS_AFTER, weekly.shape[1]))
    values = weekly[:, after] - _mean(base)[:, None]
    known = ~np.isnan(values)
    # The last week before a start holds the adoption itself, so who starts next week is no comparison any more.
    not_yet = (start[:, None] > after + 1) | (start[:, None] >= weekly.shape[1])
    return _Comparison(values, (start == first)[:, None] & known, not_yet & known)


def _before(weekly: Reals, start: Integers, first: int) -> _Comparison:
    """Slopes over the weeks before `first`."""
    base = weekly[:, max(first - WEEKS_BEFORE, 0) : first]
    known = ~np.isnan(base)
    week = np.where(known, np.arange(base.shape[1], dtype=np.float64), np.nan)
    centred = np.nan_to_num(week - _mean(week)[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (centred * np.nan_to_num(base)).sum(axis=1) / (centred**2).sum(axis=1)
    values = np.where(known.sum(axis=1) >= MINIMUM_WEEKS, slope, np.nan)[:, None]
    told = ~np.isnan(values)
    return _Comparison(values, (start == first)[:, None] & told, (start > first)[:, None] & told)


def _mean(values: Reals) -> Reals:
    """Of every row's known values; NaN where they are too few."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count >= MINIMUM_WEEKS, total / np.maximum(count, 1), np.nan)


def _aggregate(comparisons: Sequence[_Comparison]) -> Change:
    """Mean of all group-time effects, weighted by adopters; its error by leaving out one developer at a time."""
    if not comparisons:
        return Change(float("nan"), float("nan"), float("nan"), 0, 0, 0)
    adopters = np.any([one.adopters.any(axis=1) for one in comparisons], axis=0)
    others = np.any([one.others.any(axis=1) for one in comparisons], axis=0)
    treated, untreated = int(adopters.sum()), int(others.sum())
    n = sum(int(one.adopters.sum()) for one in comparisons)
    fewest = min(treated, untreated)
    nothing = Change(float("nan"), float("nan"), float("nan"), treated, untreated, n)
    if fewest < MINIMUM_DEVELOPERS:
        return nothing
    developers = len(comparisons[0].values)
    weights = np.vstack([np.ones(developers), 1 - np.eye(developers)])
    found = _weighted(comparisons, weights)
    if np.isnan(found).any():
        return nothing
    left_out = found[1:][adopters | others]
    variance = (len(left_out) - 1) / len(left_out) * float(((left_out - left_out.mean()) ** 2).sum())
    return Change(float(found[0]), float(np.sqrt(variance)), fewest - 1, treated, untreated, n)


def _weighted(comparisons: Sequence[_Comparison], weights: Reals) -> Reals:
    """The aggregated effect for every row of developers' weights."""
    total, count = np.zeros(len(weights)), np.zeros(len(weights))
    for one in comparisons:
        values = np.nan_to_num(one.values)
        treated, others = weights @ one.adopters, weights @ one.others
        both = (treated > 0) & (others > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = weights @ (values * one.adopters) / treated - weights @ (values * one.others) / others
        total += np.where(both, gap * treated, 0.0).sum(axis=1)
        count += np.where(both, treated, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan), dtype=np.float64)
