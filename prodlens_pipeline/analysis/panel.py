"""A panel of developers by working days: fixed effects, innovations, and slopes with errors clustered by developer.

Belongs here: arrays in, arrays out. Does not: names, statuses, words, reading tables (`panel_associations`).

Arrays are (developers, days) or stacks of them; NaN is unknown, also before a developer's first day and after the
last. What is common to all developers of a day (a release, a freeze, a doubling of the team) is a day effect and
drops out; what is peculiar to a developer on a weekday (level, part time) is a developer effect and drops out too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MEMORY = 5
"""Days that an innovation must not be predictable from."""
LEVEL = 0.05
POWER = 0.8
NO_VARIATION = 1e-18
"""What is left of a series is rounding error below this share of its sum of squares."""
CELLS_AT_ONCE = 1_000_000
"""Developer-days of all permutations that are computed together: tens of megabytes."""
ABSENCE_BY_CHANCE = 0.01
"""Empty days are an absence where as long a run of them would come about by chance less often than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Slope of every outcome on every driver: (drivers, outcomes). NaN where one of them does not vary."""

    slope: Reals
    error: Reals
    freedom: Reals
    """Of the t distribution: the effective number of developers minus one."""

    @property
    def statistic(self) -> Reals:
        """Slope in standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.slope / self.error

    @property
    def p_value(self) -> Reals:
        """Two-sided."""
        return np.asarray(2 * scipy.special.stdtr(self.freedom, -np.abs(self.statistic)), dtype=np.float64)

    @property
    def half_width(self) -> Reals:
        """Of the 95 % interval."""
        return np.asarray(-scipy.special.stdtrit(self.freedom, LEVEL / 2) * self.error, dtype=np.float64)

    def detectable(self, hypotheses: int) -> Reals:
        """Smallest slope that such a panel shows with 80 % power, as the only effect among so many hypotheses."""
        bar = -scipy.special.stdtrit(self.freedom, LEVEL / max(hypotheses, 1) / 2)
        return np.asarray((bar + scipy.special.ndtri(POWER)) * self.error, dtype=np.float64)


def without_effects(values: Reals) -> Reals:
    """`values` (..., series, developers, days) without developer and day means, exactly, also where cells are unknown.

    The series beside each other must be known in the same cells.
    """
    known = ~np.isnan(values[..., :1, :, :])
    weight = known[..., 0, :, :].astype(np.float64)
    turned = weight.swapaxes(-1, -2)
    filled = np.where(known, values, 0.0)
    per_day = np.maximum(weight.sum(axis=-2, keepdims=True), 1.0)
    # The day effects are solved for in terms of the developers', which are fewer.
    system = weight.sum(axis=-1)[..., None] * np.eye(weight.shape[-2]) - (weight / per_day) @ turned
    day_means = filled.sum(axis=-2) / per_day
    wanted = filled.sum(axis=-1) - day_means @ turned
    developer = wanted @ np.linalg.pinv(system, hermitian=True)
    day = day_means - developer @ weight / per_day
    return np.where(known, filled - developer[..., :, None] - day[..., None, :], np.nan)


def innovations(values: Reals, weekday: Integers) -> Reals:
    """What a developer's day brings beyond developer, weekday, day and the days before: (developers, days).

    Memory is an autoregression that all developers share. Without this a driver that remembers yesterday would pass
    an effect on to other lags, and to placebos. A day that is unknown tells nothing about the days after it.
    """
    rest = np.full_like(values, np.nan)
    for day in np.unique(weekday):
        rest[:, weekday == day] = without_effects(values[None][..., weekday == day])[0]
    known = ~np.isnan(rest)
    if not _varies(rest[None], values[None])[0]:
        return np.where(known, 0.0, np.nan)
    filled = np.where(known, rest, 0.0)
    before = np.zeros((*values.shape, MEMORY))
    for lag in range(1, min(MEMORY, values.shape[1] - 1) + 1):
        before[:, lag:, lag - 1] = filled[:, :-lag]
    coefficients = np.linalg.lstsq(before[known], filled[known], rcond=None)[0]
    return np.where(known, filled - before @ coefficients, np.nan)


def slopes(driver: Reals, outcome: Reals) -> Slopes:
    """Pooled slopes of `outcome` (outcomes, developers, days) on `driver` (drivers, developers, days).

    Within a stack, and between the two, all series are known in the same cells.

    Errors allow for any dependence and unequal variance within a developer (Liang & Zeger 1986). With few developers
    such errors are too small: scores are inflated as in a jackknife (MacKinnon, Nielsen & Webb 2023), once more for
    the day effects, and the t distribution has the degrees of freedom that developers of unequal weight amount to
    (Carter, Schnepel & Steigerwald 2017).
    """
    clean = without_effects(np.concatenate([driver, outcome]))
    x, y = clean[: len(driver)], clean[len(driver) :]
    varied, answered = _varies(x, driver)[:, None, None], _varies(y, outcome)[:, None]
    x, y = np.nan_to_num(x), np.nan_to_num(y)
    weight = np.einsum("dit,dit->di", x, x)
    product = np.einsum("dit,oit->doi", x, y)
    return _clustered(weight, np.where(varied & answered, product, np.nan))


def _clustered(weight: Reals, product: Reals) -> Slopes:
    """From the sums of squares (drivers, developers) and products (drivers, outcomes, developers)."""
    total = weight.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = product.sum(axis=-1) / total[:, None]
        scores = product - slope[..., None] * weight[:, None]
        leverage = np.minimum(weight / total[:, None], 1 - 1e-9)
        inflated = scores / (1 - leverage)[:, None]
        clusters = (weight > 0).sum(axis=-1)
        correction = clusters / np.maximum(clusters - 1, 1)
        error = np.sqrt(correction[:, None] * (inflated**2).sum(axis=-1)) / total[:, None]
        freedom = np.maximum(total**2 / (weight**2).sum(axis=-1) - 1, 1.0)
    return Slopes(slope, error, np.broadcast_to(freedom[:, None], slope.shape))


def exchanged_p_value(driver: Reals, outcome: Reals, exchanges: int, seed: int) -> float:
    """How often the drivers of *other* developers do as well: a permutation test (developers, days).

    Whole histories are exchanged, so weekdays, days and memory stay as they are and only whose they are is lost.
    """
    random = np.random.default_rng(seed)
    orders = [np.arange(len(driver)), *(random.permutation(len(driver)) for _ in range(exchanges))]
    own, *others = np.concatenate([_statistics(driver[order], outcome) for order in _batches(orders, driver.size)])
    beaten = sum(bool(other >= own * (1 - 1e-12)) for other in others)
    return (1 + beaten) / (1 + exchanges)


def _batches(orders: list[Integers], cells: int) -> Iterator[Integers]:
    """Some orders at a time: (orders, developers)."""
    size = max(CELLS_AT_ONCE // cells, 1)
    for first in range(0, len(orders), size):
        yield np.stack(orders[first : first + size])


def _statistics(drivers: Reals, outcome: Reals) -> Reals:
    """Size of the slope's t for every one of `drivers` (drivers, developers, days), each with cells of its own."""
    pairs = np.stack([drivers, np.broadcast_to(outcome, drivers.shape)], axis=1)
    pairs = np.where(np.isnan(pairs).any(axis=1, keepdims=True), np.nan, pairs)
    clean = without_effects(pairs)
    varied = np.logical_and(_varies(clean[:, 0], pairs[:, 0]), _varies(clean[:, 1], pairs[:, 1]))
    x, y = np.nan_to_num(clean).swapaxes(0, 1)
    product = np.where(varied[:, None], np.einsum("dit,dit->di", x, y), np.nan)
    found = _clustered(np.einsum("dit,dit->di", x, x), product[:, None])
    return np.asarray(np.nan_to_num(np.abs(found.statistic[:, 0])), dtype=np.float64)


def absent(use: Flags, work: Flags, present: Flags) -> Flags:
    """Which days (developers, days) a developer was away: `use` of AI and `work` delivered are flags of activity.

    A holiday empties both sides at once and would tie them together. Single empty days happen without it, and leaving
    those out would bend the association: a run of empty days counts from the length on that two independent sides,
    each empty as often as it is, would hardly reach.
    """
    away = np.zeros_like(present)
    for developer in np.flatnonzero(present.any(axis=1)):
        days = np.flatnonzero(present[developer])
        idle_use, idle_work = ~use[developer, days], ~work[developer, days]
        both = float(idle_use.mean() * idle_work.mean())
        for run in _runs(idle_use & idle_work):
            if len(days) * both ** len(run) < ABSENCE_BY_CHANCE:
                away[developer, days[run]] = True
    return away


def _runs(flags: Flags) -> list[Integers]:
    """Positions of every stretch of true values."""
    positions = np.flatnonzero(flags)
    stretches = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
    return [one for one in stretches if len(one)]


def _varies(rest: Reals, values: Reals) -> Flags:
    """Of which series of a stack more than rounding errors is left."""
    return np.asarray(
        np.nansum(rest**2, axis=(1, 2)) > NO_VARIATION * np.nansum(values**2, axis=(1, 2)), dtype=np.bool_
    )
