"""Did the level of one series step at a date? An interrupted time series whose noise remembers and wanders.

Belongs here: arrays in, arrays out. Does not: dates, names, statuses or words (`event_studies`).

The series is regressed on its week, a line and a step by generalised least squares. The noise is that of `adjust`
(AR(1) plus a level that moves), so that an ordinary drift is not taken for a step. How much the level moves is what a
series hardly tells, and the error of the step hangs on it: so the step is averaged over all noises by their restricted
likelihoods, and its variance includes how far they disagree (Bayesian model averaging, Hoeting et al. 1999).
With nobody to compare with, whatever else happened on that date looks the same.
"""

import numpy as np
from numpy.typing import NDArray

from prodlens_pipeline.analysis.adjust import deviances, whiten
from prodlens_pipeline.analysis.difference_in_differences import Change

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

DAYS_AROUND = 60
"""Working days on either side that are looked at."""
MINIMUM_DAYS = 20
"""Known working days that either side needs."""
NO_VARIATION = 1e-9
"""A standard deviation below this share of the largest value is rounding error."""
MOBILITIES = (3.0, 10.0, 40.0)
"""Variance that the level gathers over the days looked at, in variances of the memory. Never zero: a team's level
always moves a little, and a step of its size is none."""


def step(values: Reals, weekday: Integers, first: int) -> Change:
    """Step of `values` (days,) on consecutive working days, NaN unknown, from day `first` on.

    Estimate, error and freedom are NaN where either side has too few days; the error is 0 where nothing varies.
    """
    low, high = max(first - DAYS_AROUND, 0), min(first + DAYS_AROUND, len(values))
    position = low + np.flatnonzero(~np.isnan(values[low:high]))
    after = position >= first
    nothing = Change(float("nan"), float("nan"), float("nan"), 0, 0, len(position))
    if min(after.sum(), (~after).sum()) < MINIMUM_DAYS:
        return nothing
    series = values[position]
    scale = float(series.std())
    if scale <= NO_VARIATION * float(np.abs(series).max()):
        return Change(0.0, 0.0, float("nan"), 0, 0, len(position))
    others = _orthonormal(
        np.column_stack(
            [
                np.ones(len(position)),
                (position - position[0]) / (position[-1] - position[0]),
                *(weekday[position] == day for day in np.unique(weekday[position])[1:]),
            ]
        )
    )
    jump = after.astype(np.float64)
    jump -= others @ (others.T @ jump)
    design = np.column_stack([others, jump])
    noises, deviance = deviances(series / scale, design, position, MOBILITIES)
    white, _ = whiten(np.column_stack([design, series / scale]), position, noises)
    freedom = len(position) - design.shape[1]
    estimate, variance = _steps(white.transpose(1, 0, 2), freedom)
    likelihood = np.exp((deviance.min() - deviance) / 2)
    weight = likelihood / likelihood.sum()
    middle = float(weight @ estimate)
    error = float(np.sqrt(weight @ (variance + (estimate - middle) ** 2)))
    return Change(middle * scale, error * scale, freedom, 0, 0, len(position))


def _steps(white: Reals, freedom: int) -> tuple[Reals, Reals]:
    """The last coefficient and its variance for every noise: `white` (noises, days, regressors and series)."""
    x, y = white[..., :-1], white[..., -1:]
    transposed = x.transpose(0, 2, 1)
    inverse = np.linalg.inv(transposed @ x)
    found = inverse @ (transposed @ y)
    unexplained = ((y - x @ found) ** 2).sum(axis=(1, 2)) / freedom
    return found[:, -1, 0], inverse[:, -1, -1] * unexplained


def placebo(values: Reals, weekday: Integers, first: int) -> Change:
    """The step at the middle of the days before `first`, of those days only."""
    before = values[max(first - DAYS_AROUND, 0) : first]
    return step(before, weekday[max(first - DAYS_AROUND, 0) : first], len(before) // 2)


def _orthonormal(columns: Reals) -> Reals:
    basis, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(basis[:, size > 1e-9 * size[0]], dtype=np.float64)
