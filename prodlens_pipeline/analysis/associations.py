"""Lagged association of what a team does with AI and what it delivers: the table a report is written from.

Belongs here: pairing series at lags, families of hypotheses, placebos, statuses, and one sentence per row.
Does not: the calendar (`working_days`), the adjustment of a series (`scales`, `adjust`), formulas (`correlations`),
reading or storing tables.

The claim of a row is about *innovations*: what a day brings beyond its weekday, the trend and the days before it.
Each series is adjusted on its own, then innovations are correlated at the lag (the two-filter cross-correlation of
Haugh 1976). Nothing here can show what brings what about; the words say no more than the figures do.
How often it errs is measured in `docs/calibration.md`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prodlens_pipeline.analysis.adjust import Adjusted, adjust, transfer
from prodlens_pipeline.analysis.correlations import LEVEL, Events, Inference, correlate, infer, min_detectable_r
from prodlens_pipeline.analysis.multiplicity import q_values
from prodlens_pipeline.analysis.readings import Status, read
from prodlens_pipeline.analysis.scales import Scale, quartiles
from prodlens_pipeline.analysis.working_days import on_working_days

Reals = NDArray[np.float64]
Dates = NDArray[np.datetime64]
Flags = NDArray[np.bool_]
Numbers = Iterable[float | int | None]

MINIMUM_PAIRS = 6
LOW_SAMPLE_PAIRS = 30
"""From so many pairs on, a sample is not flagged as low."""
LARGEST_NUMBER = 1e150

LAGGED_COLUMNS = (
    *("lag", "n", "pearson_r", "spearman_rho", "p_value", "q_value", "ci_low", "ci_high"),
    *("effect_pct", "status"),
)
FAMILY_COLUMNS = (
    *("driver", "outcome", "lag", "is_placebo", "n", "raw_pearson_r", "raw_spearman_rho"),
    *("pearson_r", "spearman_rho", "p_value", "q_value", "ci_low", "ci_high"),
    *("driver_q1", "driver_q3"),
    *("effect", "effect_low", "effect_high", "effect_pct", "effect_pct_low", "effect_pct_high"),
    *("min_detectable_r", "status", "reading"),
)


def lagged_association(driver: Numbers, outcome: Numbers, days: Iterable[date], *, max_lag: int = 7) -> pl.DataFrame:
    """Association of `driver` with `outcome` 0..`max_lag` working days later.

    `days` dates the values of both series, one value per day, in any order; None and NaN are unknown, and a day
    that is not listed is unknown too. Weekends are left out, and so are days on which the team was closed.

    One row per lag, ascending, with exactly the columns `lag` (working days), `n` (pairs), `pearson_r` and
    `spearman_rho` (of the innovations), `p_value`, `ci_low`, `ci_high` (of `pearson_r`, 95 %), `q_value`
    (Benjamini–Hochberg over the rows), `effect_pct` (change of the outcome in % of its mean, for one
    interquartile range of the driver; NULL if the outcome can be negative or the range is 0) and `status`
    (see `Status`). NULL is "not defined"; NaN does not occur.

    Raises ValueError if lengths differ, a day occurs twice, a value is infinite, or `max_lag` is negative.
    """
    columns = {"driver": _numbers(driver), "outcome": _numbers(outcome)}
    dated = np.array(list(days), dtype="datetime64[D]")
    lengths = {name: len(column) for name, column in columns.items()} | {"days": len(dated)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"driver, outcome and days must have one entry per day, got {lengths}")
    table = _family(dated, columns, ["driver"], ["outcome"], range(_checked(max_lag) + 1))
    return table.select(LAGGED_COLUMNS)


def association_family(
    frame: pl.DataFrame,
    *,
    drivers: Sequence[str],
    outcomes: Sequence[str],
    day: str = "day",
    max_lag: int = 7,
) -> pl.DataFrame:
    """Association of every driver with every outcome at the lags -`max_lag`..`max_lag`.

    `frame` has one row per day. A row of the result is one (driver, outcome, lag), in this order. Lags are working
    days from the driver to the outcome; negative ones are placebos (`is_placebo`): tomorrow's use can bring about
    nothing today, so what shows there, shows that something else drives both.

    Beyond the columns of `lagged_association`: `raw_pearson_r` and `raw_spearman_rho` describe the untreated pairs
    of working days and support no claim; `effect`, `effect_low`, `effect_high` are in the outcome's unit, for one
    interquartile range of the driver, and `effect_pct*` in % of the outcome's mean; `min_detectable_r` is the
    correlation this sample would have shown with 80 % power; `driver_q1` and `driver_q3` are the driver's quartiles
    on working days, a quiet day and a busy one; `reading` is a sentence for people.
    `q_value` of a claim (lag >= 0) is Benjamini–Hochberg over all claims of the table, that of a placebo over all
    its placebos. If a placebo of a driver and outcome has q < 0.05, their claims have the status `withheld`.

    Raises ValueError if a column is missing or not numeric, `day` is no date, a day is NULL or occurs twice, or
    a value is infinite.
    """
    for role, chosen in (("drivers", drivers), ("outcomes", outcomes)):
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"{role} must be one or more different columns, got {list(chosen)}")
    names = [*dict.fromkeys([*drivers, *outcomes])]
    if missing := [name for name in [day, *names] if name not in frame.columns]:
        raise ValueError(f"columns {missing} are not in the frame, which has {frame.columns}")
    if frame.schema[day] != pl.Date:
        raise ValueError(f"column {day!r} must be of type Date, is {frame.schema[day]}")
    if text := [name for name in names if not frame.schema[name].is_numeric()]:
        raise ValueError(f"drivers and outcomes must be numeric, these are not: {text}")
    columns = {name: frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names}
    dated = frame[day].to_numpy().astype("datetime64[D]")
    return _family(dated, columns, drivers, outcomes, range(-_checked(max_lag), max_lag + 1))


def _checked(max_lag: int) -> int:
    if max_lag < 0:
        raise ValueError(f"max_lag counts working days and must be 0 or more, got {max_lag}")
    return max_lag


def _numbers(values: Numbers) -> Reals:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


def _family(
    days: Dates, columns: dict[str, Reals], drivers: Sequence[str], outcomes: Sequence[str], lags: range
) -> pl.DataFrame:
    """The table that both public functions are views of."""
    _check(days, columns)
    working = on_working_days(days, np.column_stack(list(columns.values())))
    of = dict(zip(columns, working.values.T, strict=True))
    pairs = _Pairs.of(
        _Side.of(np.column_stack([of[name] for name in drivers]), working.days),
        _Side.of(np.column_stack([of[name] for name in outcomes]), working.days),
    )
    claims = len(drivers) * len(outcomes) * sum(lag >= 0 for lag in lags)
    by_lag = [_at_lag(pairs, lag, claims) for lag in lags]
    figures = {name: np.stack([one[name] for one in by_lag], axis=-1) for name in by_lag[0]}
    placebo = np.broadcast_to(np.array(lags) < 0, figures["n"].shape)
    figures["q_value"] = q_values(figures["p_value"], placebo)
    quiet, busy = np.transpose([quartiles(of[name]) for name in drivers])
    table = pl.DataFrame(
        {
            "driver": [name for name in drivers for _ in range(len(outcomes) * len(lags))],
            "outcome": [name for _ in drivers for name in outcomes for _ in lags],
            "lag": np.tile(np.array(lags), len(drivers) * len(outcomes)),
            "is_placebo": placebo.ravel(),
            "driver_q1": np.repeat(quiet, len(outcomes) * len(lags)),
            "driver_q3": np.repeat(busy, len(outcomes) * len(lags)),
            **{name: figure.ravel() for name, figure in figures.items()},
            "status": _statuses(figures["n"], figures["p_value"], figures["q_value"], placebo).ravel(),
        },
        schema_overrides={"driver": pl.String, "outcome": pl.String, "status": pl.String},
    ).with_columns(pl.selectors.float().fill_nan(None))
    return table.select(FAMILY_COLUMNS[:-1]).with_columns(
        pl.Series("reading", [read(row) for row in table.iter_rows(named=True)], dtype=pl.String)
    )


def _check(days: Dates, columns: dict[str, Reals]) -> None:
    if np.isnat(days).any():
        raise ValueError(f"{np.isnat(days).sum()} rows have no day; every value needs its day")
    unique, times = np.unique(days, return_counts=True)
    if (times > 1).any():
        twice = ", ".join(str(day) for day in unique[times > 1][:5])
        raise ValueError(f"every day may occur once, these occur more often: {twice}; aggregate them first")
    for name, column in columns.items():
        beyond = np.flatnonzero(np.abs(column) > LARGEST_NUMBER)
        if len(beyond):
            raise ValueError(
                f"{name!r} is {column[beyond[0]]} on {days[beyond[0]]}: not a measurement; pass what is unknown as None"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """All drivers, or all outcomes, on working days."""

    values: Reals
    """(days, series)"""
    innovations: Reals
    """(days, series)"""
    events: Reals
    """(kinds x days, series): see `Adjusted`."""
    adjusted: list[Adjusted]
    scales: list[Scale]

    @staticmethod
    def of(values: Reals, days: Dates) -> "_Side":
        scales = [Scale.of(column) for column in values.T]
        adjusted = [adjust(scale.transform(column), days) for scale, column in zip(scales, values.T, strict=True)]
        innovations = np.column_stack([one.innovations for one in adjusted])
        return _Side(values, innovations, np.column_stack([one.events for one in adjusted]), adjusted, scales)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """What every driver and every outcome have in common at all lags: (drivers, outcomes)."""

    driver: _Side
    outcome: _Side
    kept: Reals
    """Share of the degrees of freedom that the adjustment left."""
    typical: Reals
    """What a slope of 1 between innovations means for the outcome, on its scale of comparison, if the driver
    moves by its interquartile range. NaN if that range is 0: then no change of the driver is typical."""

    @staticmethod
    def of(driver: _Side, outcome: _Side) -> "_Pairs":
        kept = np.maximum.outer([one.kept for one in driver.adjusted], [one.kept for one in outcome.adjusted])
        steps = [
            scale.interquartile_range(column) for scale, column in zip(driver.scales, driver.values.T, strict=True)
        ]
        passed = np.vstack([transfer(one, outcome.adjusted) for one in driver.adjusted])
        with np.errstate(over="ignore"):
            typical = np.divide.outer(steps, [1 / one.unit for one in outcome.adjusted])
        typical = typical / np.array([one.unit for one in driver.adjusted])[:, None] / passed
        return _Pairs(driver, outcome, kept, np.where(typical > 0, typical, np.nan))


def _at_lag(pairs: _Pairs, lag: int, claims: int) -> dict[str, NDArray[Any]]:
    """Figures (drivers, outcomes) of one lag: the number of pairs, and reals in which NaN is "not defined"."""
    driver, outcome = pairs.driver, pairs.outcome
    count = max(len(driver.values) - abs(lag), 0)
    first = slice(max(-lag, 0), max(-lag, 0) + count)
    second = slice(max(lag, 0), max(lag, 0) + count)
    raw = correlate(driver.values[first], outcome.values[second])
    adjusted = correlate(driver.innovations[first], outcome.innovations[second])
    # What happened to both on the same days ties them together at lag 0: an absence, a release, a closed office.
    events = Events(driver.events, outcome.events) if lag == 0 else None
    claim = infer(driver.innovations[first], outcome.innovations[second], pairs.kept, events)
    figures = {
        "raw_pearson_r": raw.pearson_r,
        "raw_spearman_rho": raw.spearman_rho,
        "pearson_r": adjusted.pearson_r,
        "spearman_rho": adjusted.spearman_rho,
        "p_value": claim.p_value,
        "ci_low": np.minimum(claim.ci_low, adjusted.pearson_r),
        "ci_high": np.maximum(claim.ci_high, adjusted.pearson_r),
        "min_detectable_r": min_detectable_r(claim, claims),
        **_effects(pairs, claim),
    }
    enough = raw.n >= MINIMUM_PAIRS
    defined = enough & ~np.isnan(adjusted.pearson_r)
    return {"n": raw.n} | {
        name: np.where((enough if name.startswith("raw_") else defined) & np.isfinite(figure), figure, np.nan)
        for name, figure in figures.items()
    }


def _effects(pairs: _Pairs, claim: Inference) -> dict[str, Reals]:
    """Change of each outcome for one interquartile range of each driver, in its unit and in % of its mean."""
    figures = {}
    scales = pairs.outcome.scales
    with np.errstate(over="ignore", invalid="ignore"):
        for suffix, slope in (("", claim.slope), ("_low", claim.slope_low), ("_high", claim.slope_high)):
            change = slope * pairs.typical
            effect = np.column_stack([scale.in_own_unit(one) for scale, one in zip(scales, change.T, strict=True)])
            figures[f"effect{suffix}"] = effect
            figures[f"effect_pct{suffix}"] = np.column_stack(
                [scale.in_percent(one) for scale, one in zip(scales, effect.T, strict=True)]
            )
    return figures


def _statuses(n: NDArray[np.int64], p_values: Reals, q_values: Reals, placebo: Flags) -> NDArray[np.object_]:
    """The `Status` of every (driver, outcome, lag)."""
    refuted = (placebo & (q_values < LEVEL)).any(axis=-1, keepdims=True)
    return np.select(
        [
            n == 0,
            n < MINIMUM_PAIRS,
            np.isnan(p_values),
            refuted & ~placebo,
            n < LOW_SAMPLE_PAIRS,
        ],
        [
            np.array(status.value, dtype=object)
            for status in (
                Status.NO_DATA,
                Status.NOT_ENOUGH_DATA,
                Status.NO_VARIATION,
                Status.WITHHELD,
                Status.LOW_SAMPLE,
            )
        ],
        np.array(Status.OK.value, dtype=object),
    )
