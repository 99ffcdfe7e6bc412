"""Which configuration works best? Sessions by model and client: success, cost, duration, trend.

Belongs here: intervals, comparisons and the choice of the best, on a frame of sessions.
Does not: reading sessions or storing the result; defining what a session is.

Nobody assigned sessions to models at random, so a difference may be one of tasks. That it is one of people is taken
out: configurations are compared within developers who used both; and within one source, for sources do not see the
same errors. Sessions of one developer are alike, so the interval
of a success rate counts them for less (a design effect, Kish 1965), and means resample whole days of a developer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from prodlens_pipeline.analysis.readings import Standing, read_configuration

SETTINGS = ("model", "client_version")
"""What sessions are grouped by, one at a time."""
STRATA = ("developer_id", "source")
"""Within which configurations are compared."""
MINIMUM_SESSIONS = 20
SHARED_SESSIONS = 10
"""Sessions of developers who used both, of either configuration, that a comparison needs."""
TREND_WEEKS = 12
MINIMUM_WEEKS = 4
MINIMUM_OF_A_WEEK = 5
"""Sessions that a week's success rate needs."""
LEVEL = 0.05
RESAMPLES = 1000
BATCH = 100
"""Resamples that are in memory at once."""

COMPARISON_COLUMNS = (
    *("setting", "configuration", "sessions", "developers", "successes", "success_rate", "success_low", "success_high"),
    *("cost_usd", "cost_low", "cost_high", "cost_n", "duration_minutes", "duration_low", "duration_high", "duration_n"),
    *("trend", "trend_low", "trend_high", "trend_weeks", "standing", "reading"),
)
_SCHEMA = {
    **dict.fromkeys(COMPARISON_COLUMNS, pl.Float64),
    **dict.fromkeys(("setting", "configuration", "standing", "reading"), pl.String),
    **dict.fromkeys(("sessions", "developers", "successes", "cost_n", "duration_n", "trend_weeks"), pl.Int64),
}
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The sessions of one configuration."""

    configuration: str
    frame: pl.DataFrame

    @property
    def enough(self) -> bool:
        return len(self.frame) >= MINIMUM_SESSIONS

    @property
    def rate(self) -> float:
        return float(self.frame["success"].mean())  # type: ignore[arg-type]


def model_comparison(sessions: pl.DataFrame, settings: Sequence[str] = SETTINGS, *, seed: int = 0) -> pl.DataFrame:
    """Rows of `COMPARISON_COLUMNS`: every value of every setting, the settings in order, most sessions first.

    `sessions` has the columns of `settings`, `developer_id`, `source`, `day`, `success`, `cost_usd` and `wall_ms`;
    NULL is unknown, and sessions without a value of a setting take no part in it. `success_*` are shares with 95 %
    Wilson intervals, `cost_*` and `duration_*` means per session with bootstrap intervals (`seed` decides the draws),
    `trend*` the change of the weekly success rate in percentage points per week (Theil-Sen) over the last
    `TREND_WEEKS` weeks. `standing` is corrected for all pairs of configurations that are compared.
    """
    groups = {setting: _groups(sessions, setting) for setting in settings}
    pairs = sum(len(able) * (len(able) - 1) // 2 for able in ([g for g in one if g.enough] for one in groups.values()))
    rows = []
    for setting, found in groups.items():
        standings = _standings(found, pairs)
        rows += [_row(setting, group, standings[group.configuration], seed) for group in found]
    table = pl.DataFrame(rows, schema={name: _SCHEMA[name] for name in COMPARISON_COLUMNS[:-1]}, orient="row")
    table = table.with_columns(pl.selectors.float().fill_nan(None))
    readings = [read_configuration(row) for row in table.iter_rows(named=True)]
    return table.with_columns(pl.Series("reading", readings, dtype=pl.String))


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927) of `n` independent trials, which need not be whole."""
    z = float(scipy.special.ndtri(1 - LEVEL / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    return max(0.0, middle - half), min(1.0, middle + half)


def within_developers(one: pl.DataFrame, other: pl.DataFrame) -> tuple[float, float]:
    """Difference of success rates within developers and sources that have both, and its two-sided p; NaN if too few.

    The Mantel-Haenszel risk difference, and the Cochran-Mantel-Haenszel test, which holds for developers with few
    sessions too.
    """
    tallies = [
        frame.group_by(STRATA).agg(pl.len().alias(f"n{k}"), pl.col("success").sum().alias(f"s{k}"))
        for k, frame in enumerate((one, other))
    ]
    both = tallies[0].join(tallies[1], on=STRATA, maintain_order="left")
    n1, s1, n0, s0 = (both[name].to_numpy().astype(np.float64) for name in ("n0", "s0", "n1", "s1"))
    if min(n1.sum(), n0.sum()) < SHARED_SESSIONS:
        return float("nan"), float("nan")
    total, won = n1 + n0, s1 + s0
    surplus = float((s1 - n1 * won / total).sum())
    difference = surplus / float((n1 * n0 / total).sum())
    # A developer with two sessions or more, of which some succeed, tells something.
    variance = float((n1 * n0 * won * (total - won) / (total**2 * (total - 1))).sum())
    if variance <= 0:
        return difference, 1.0
    return difference, float(2 * scipy.special.ndtr(-abs(surplus) / np.sqrt(variance)))


def _groups(sessions: pl.DataFrame, setting: str) -> list[_Group]:
    known = sessions.filter(pl.col(setting).is_not_null()).sort(setting, "developer_id", "day")
    found = [_Group(str(name), frame) for (name,), frame in known.group_by(setting, maintain_order=True)]
    return sorted(found, key=lambda group: (-len(group.frame), group.configuration))


def _standings(groups: Sequence[_Group], pairs: int) -> dict[str, Standing]:
    """Best only where it is ahead of every other one; behind where the leader is ahead of it."""
    standings = {group.configuration: Standing.NOT_ENOUGH_DATA for group in groups}
    able = sorted((group for group in groups if group.enough), key=lambda group: -group.rate)
    if len(able) < 2:
        return standings | {group.configuration: Standing.ALONE for group in able}
    leader, *others = able
    ahead = []
    for other in others:
        difference, p_value = within_developers(leader.frame, other.frame)
        ahead.append(difference > 0 and p_value * pairs < LEVEL)
        standings[other.configuration] = Standing.BEHIND if ahead[-1] else Standing.LEVEL
    return standings | {leader.configuration: Standing.BEST if all(ahead) else Standing.LEVEL}


def _row(setting: str, group: _Group, standing: Standing, seed: int) -> tuple[Any, ...]:
    frame = group.frame
    n, successes = len(frame), int(frame["success"].sum())
    worth = n / _design_effect(frame)
    low, high = wilson(successes / n, worth)
    return (
        *(setting, group.configuration, n, frame["developer_id"].n_unique(), successes, successes / n, low, high),
        *_mean(frame, pl.col("cost_usd").cast(pl.Float64), seed),
        *_mean(frame, pl.col("wall_ms") / 60_000, seed),
        *_trend(frame),
        standing.value,
    )


def _design_effect(frame: pl.DataFrame) -> float:
    """How many sessions are worth one independent one, from how alike those of a developer are (ANOVA estimator)."""
    tally = frame.group_by("developer_id").agg(pl.len().alias("n"), pl.col("success").mean().alias("rate"))
    n, rate = tally["n"].to_numpy().astype(np.float64), tally["rate"].to_numpy()
    total, developers = n.sum(), len(n)
    if developers < 2 or total <= developers:
        return 1.0
    mean = float((n * rate).sum() / total)
    between = float((n * (rate - mean) ** 2).sum()) / (developers - 1)
    inside = float((n * rate * (1 - rate)).sum()) / (total - developers)
    size = (total - float((n**2).sum()) / total) / (developers - 1)
    spread = between + (size - 1) * inside
    alike = max(0.0, (between - inside) / spread) if spread > 0 else 0.0
    return float(1 + (float((n**2).sum()) / total - 1) * alike)


def _mean(frame: pl.DataFrame, value: pl.Expr, seed: int) -> tuple[float, float, float, int]:
    """Mean per session, 95 % percentile bootstrap over developers' days, and the sessions of which it is known."""
    cells = (
        frame.select("developer_id", "day", value=value)
        .drop_nulls("value")
        .group_by("developer_id", "day", maintain_order=True)
        .agg(pl.col("value").sum(), pl.len().alias("n"))
    )
    count = int(cells["n"].sum())
    if not count:
        return float("nan"), float("nan"), float("nan"), 0
    sums, sizes = cells["value"].to_numpy(), cells["n"].to_numpy()
    mean = float(sums.sum() / count)
    if len(cells) < 2 or count < MINIMUM_SESSIONS:
        return mean, float("nan"), float("nan"), count
    found = scipy.stats.bootstrap(
        (sums, sizes),
        _ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        confidence_level=1 - LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return mean, float(found.confidence_interval.low), float(found.confidence_interval.high), count


def _ratio(sums: Reals, sizes: Reals, axis: int = -1) -> Reals:
    return np.asarray(sums.sum(axis=axis) / sizes.sum(axis=axis), dtype=np.float64)


def _trend(frame: pl.DataFrame) -> tuple[float, float, float, int]:
    """Percentage points per week, 95 % interval, and the weeks it rests on."""
    weeks = (
        frame.group_by(week=pl.col("day").dt.truncate("1w"))
        .agg(pl.col("success").mean().alias("rate"), pl.len().alias("n"))
        .filter(pl.col("n") >= MINIMUM_OF_A_WEEK)
        .sort("week")
        .filter(pl.col("week") > pl.col("week").max().dt.offset_by(f"-{TREND_WEEKS}w"))
    )
    if len(weeks) < MINIMUM_WEEKS:
        return float("nan"), float("nan"), float("nan"), len(weeks)
    number = (weeks["week"] - weeks["week"][0]).dt.total_days().to_numpy() / 7
    found = scipy.stats.theilslopes(100 * weeks["rate"].to_numpy(), number, alpha=1 - LEVEL)
    return float(found.slope), float(found.low_slope), float(found.high_slope), len(weeks)
