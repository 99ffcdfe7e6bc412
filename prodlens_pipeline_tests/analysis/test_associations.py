"""The table of associations: right at the right lag, silent where there is nothing, clear where it cannot know."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from prodlens_pipeline.analysis.associations import association_family, lagged_association

MONDAY = date(2026, 1, 5)
COLUMNS = [
    *("lag", "n", "pearson_r", "spearman_rho", "p_value", "q_value", "ci_low", "ci_high"),
    *("effect_pct", "status"),
]
STATISTICS = COLUMNS[2:9]
MAYBE = st.none() | st.integers(0, 4) | st.floats(-1e9, 1e9) | st.just(float("nan"))


def calendar(days: int) -> list[date]:
    return [MONDAY + timedelta(days=day) for day in range(days)]


def team(days: int, *, lag: int = 1, elasticity: float = 1.0, seed: int = 0) -> pl.DataFrame:
    """Counts whose outcome follows the driver `lag` working days later; weekends are nearly empty."""
    rng = np.random.default_rng(seed)
    weekday = np.arange(days) % 7
    rhythm = np.array([0.9, 1.1, 1.2, 1.0, 0.8, 0.02, 0.02])[weekday]
    driver = rng.poisson(30 * rhythm * np.exp(0.3 * rng.standard_normal(days)))
    working = np.flatnonzero(weekday < 5)
    response = np.ones(days)
    source, target = (working[:-lag], working[lag:]) if lag > 0 else (working[-lag:], working[:lag])
    if lag == 0:
        source = target = working
    response[target] = ((driver[source] + 1) / (30 * rhythm[source])) ** elasticity
    return pl.DataFrame({"day": calendar(days), "driver": driver, "outcome": rng.poisson(25 * rhythm * response)})


def lagged(frame: pl.DataFrame, **options: Any) -> pl.DataFrame:
    return lagged_association(frame["driver"], frame["outcome"], frame["day"], **options)


def family(frame: pl.DataFrame, **options: Any) -> pl.DataFrame:
    return association_family(frame, drivers=["driver"], outcomes=["outcome"], **options)


def strongest(table: pl.DataFrame) -> int:
    return int(table.sort("p_value", nulls_last=True)["lag"][0])


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_an_effect_shows_at_its_lag_and_nowhere_else(lag: int) -> None:
    table = lagged(team(120, lag=lag))
    assert table.columns == COLUMNS
    assert table["lag"].to_list() == list(range(8))
    assert table.filter(pl.col("q_value") < 0.05)["lag"].to_list() == [lag]
    assert table["n"].to_list() == [86 - lag for lag in range(8)]
    assert set(table["status"]) == {"ok"}


def test_a_quiet_and_a_busy_day_are_the_quartiles_of_working_days() -> None:
    frame = team(120)
    driver = frame.filter(pl.col("day").dt.weekday() <= 5)["driver"]
    quiet, busy = (driver.quantile(share, "linear") for share in (0.25, 0.75))
    row = family(frame).row(by_predicate=pl.col("lag") == 1, named=True)
    assert (row["driver_q1"], row["driver_q3"]) == (quiet, busy)
    assert f"from a quiet day ({quiet:.3g}) to a busy one ({busy:.3g})" in row["reading"]


def test_without_an_effect_nothing_shows_although_both_follow_the_week() -> None:
    frame = team(120, elasticity=0.0)
    table = family(frame)
    assert stats.pearsonr(frame["driver"], frame["outcome"]).pvalue < 1e-20
    assert not (table["q_value"] < 0.05).any()


def test_a_missing_day_does_not_shift_lags() -> None:
    frame = team(120)
    rng = np.random.default_rng(5)
    gone = set(rng.choice(120, 25, replace=False).tolist())
    table = lagged(frame.filter(~pl.int_range(120).is_in(gone)))
    assert strongest(table) == 1
    holes = pl.int_range(pl.len()).is_in(gone)
    unknown = lagged(frame.with_columns(pl.when(~holes).then(pl.col("driver", "outcome"))))
    assert_frame_equal(unknown, table)


def test_public_holidays_neither_correlate_nor_shift_lags() -> None:
    quiet = team(120, elasticity=0.0, seed=3)
    holiday = pl.int_range(pl.len()).is_in([9, 31, 60, 88, 101])
    closed = quiet.with_columns(
        pl.when(holiday).then(pl.int_range(pl.len()) % 2).otherwise(pl.col("driver", "outcome")).name.keep()
    )
    weekdays = closed.filter(pl.col("day").dt.weekday() <= 5)
    assert stats.pearsonr(weekdays["driver"], weekdays["outcome"]).pvalue < 0.01
    table = family(closed)
    assert not (table["q_value"] < 0.05).any()
    assert table.filter(pl.col("lag") == 0)["n"][0] == 86 - 5


def test_a_level_shift_of_both_is_no_association() -> None:
    rng = np.random.default_rng(8)
    level = 20 * (1 + (np.arange(180) >= 90))
    frame = pl.DataFrame({"day": calendar(180), "driver": rng.poisson(level), "outcome": rng.poisson(level)})
    assert stats.pearsonr(frame["driver"], frame["outcome"]).pvalue < 1e-20
    assert not (lagged(frame)["q_value"] < 0.05).any()


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(30)), st.integers(0, 50))
def test_the_order_of_rows_does_not_matter(order: Sequence[int], seed: int) -> None:
    frame = team(30, seed=seed)
    assert_frame_equal(lagged(frame[list(order)]), lagged(frame))


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 50), positive=st.booleans())
def test_the_unit_of_the_driver_does_not_matter(factor: float, seed: int, positive: bool) -> None:
    rng = np.random.default_rng(seed)
    driver, outcome = rng.standard_normal((2, 40))
    driver = np.exp(driver) if positive else driver
    plain, scaled = (lagged_association(values, outcome, calendar(40)) for values in (driver, driver * factor))
    for name in STATISTICS[:-1]:
        assert scaled[name].to_list() == pytest.approx(plain[name].to_list(), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(MAYBE, MAYBE), max_size=40), st.integers(0, 9))
def test_whatever_comes_in_the_table_is_sound(rows: list[tuple[Any, Any]], max_lag: int) -> None:
    driver, outcome = [row[0] for row in rows], [row[1] for row in rows]
    table = lagged_association(driver, outcome, calendar(len(rows)), max_lag=max_lag)
    assert table["lag"].to_list() == list(range(max_lag + 1))
    for name in STATISTICS:
        assert table[name].is_nan().fill_null(value=False).sum() == 0
        assert table[name].is_infinite().fill_null(value=False).sum() == 0
    for row in table.iter_rows(named=True):
        if row["status"] in ("ok", "low_sample"):
            assert -1 <= row["ci_low"] <= row["pearson_r"] <= row["ci_high"] <= 1
            assert 0 <= row["p_value"] <= row["q_value"] <= 1
            assert abs(row["spearman_rho"]) <= 1
            assert row["n"] >= 6
            assert (row["status"] == "low_sample") == (row["n"] < 30)
        else:
            assert [row[name] for name in STATISTICS] == [None] * len(STATISTICS)


def constant_by_weekday(days: int) -> list[int]:
    return [[4, 7, 5, 9, 2, 0, 0][day % 7] for day in range(days)]


def noise(days: int) -> list[int]:
    return [int(count) for count in np.random.default_rng(1).poisson(20, days)]


@pytest.mark.parametrize(
    ("driver", "outcome", "days", "status"),
    [
        ([], [], [], "no_data"),
        ([3], [4], calendar(1), "not_enough_data"),
        (noise(7), noise(7), calendar(7), "not_enough_data"),
        (noise(8), noise(8)[::-1], calendar(8), "low_sample"),
        ([None] * 60, noise(60), calendar(60), "no_data"),
        ([None, 1] * 30, [1, None] * 30, calendar(60), "no_data"),
        (noise(60), noise(60), [MONDAY + timedelta(days=5 + 7 * week) for week in range(60)], "no_data"),
        ([5] * 60, noise(60), calendar(60), "no_variation"),
        (noise(60), [0.1] * 60, calendar(60), "no_variation"),
        (noise(60), constant_by_weekday(60), calendar(60), "no_variation"),
        (list(range(60)), noise(60), calendar(60), "ok"),
        (noise(60)[::-1], noise(60), [MONDAY + timedelta(days=7 * week) for week in range(60)], "ok"),
        (noise(60), noise(60), calendar(60), "ok"),
    ],
    ids=[
        *("empty", "one day", "five pairs", "six pairs", "driver unknown", "never together", "weekends only"),
        *("constant driver", "constant outcome", "constant by weekday", "rising", "mondays only", "identical"),
    ],
)
def test_the_status_says_what_the_row_is_worth(
    driver: list[float | None], outcome: list[float | None], days: list[date], status: str
) -> None:
    row = lagged_association(driver, outcome, days).row(0, named=True)
    assert row["status"] == status
    assert (row["p_value"] is not None) == (status in ("ok", "low_sample"))


def test_short_samples_do_not_mistake_the_week_for_an_association() -> None:
    """Six to nine working days cannot tell the weekday from the day."""
    rng = np.random.default_rng(2)
    claims = 0
    for _ in range(40):
        driver, outcome = np.array(constant_by_weekday(10)) + 0.5 * rng.standard_normal((2, 10))
        claims += (lagged_association(driver, outcome, calendar(10))["q_value"] < 0.05).any()
    assert claims <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"driver": [1, 2]}, "one entry per day.*'driver': 2"),
        ({"days": [MONDAY] * 3}, "2026-01-05"),
        ({"days": [MONDAY, None, MONDAY + timedelta(days=1)]}, "1 rows have no day"),
        ({"outcome": [1, 2, float("inf")]}, "'outcome' is inf on 2026-01-07"),
        ({"max_lag": -1}, "max_lag.*-1"),
    ],
    ids=["lengths", "duplicates", "no day", "infinite", "negative lag"],
)
def test_wrong_input_is_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"driver": [1, 2, 3], "outcome": [3, 1, 2], "days": calendar(3)} | change
    with pytest.raises(ValueError, match=message):
        lagged_association(**arguments)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (team(9).drop("driver"), {}, "driver.*not in the frame"),
        (team(9).with_columns(driver=pl.lit("x")), {}, "must be numeric.*driver"),
        (team(9).with_columns(day=pl.lit("2026-01-05")), {}, "'day' must be of type Date"),
        (team(9), {"drivers": []}, "drivers must be one or more"),
        (team(9), {"outcomes": ["driver", "driver"]}, "outcomes must be one or more different"),
    ],
    ids=["missing", "text", "day", "none", "twice"],
)
def test_a_wrong_frame_is_named(frame: pl.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        association_family(frame, **{"drivers": ["driver"], "outcomes": ["outcome"]} | options)


def several(days: int = 90) -> pl.DataFrame:
    rng = np.random.default_rng(6)
    frame = team(days).rename({"driver": "sessions", "outcome": "commits"})
    return frame.with_columns(
        cost=pl.Series(rng.lognormal(1, 0.5, days)),
        merges=pl.Series(rng.poisson(4, days)),
        change=pl.Series([None if day % 9 == 0 else float(rng.standard_normal()) for day in range(days)]),
    )


def test_the_family_is_every_pair_at_every_lag() -> None:
    frame = several()
    drivers, outcomes = ["sessions", "cost"], ["commits", "merges", "change"]
    table = association_family(frame, drivers=drivers, outcomes=outcomes, max_lag=3)
    keys = [(d, o, lag) for d in drivers for o in outcomes for lag in range(-3, 4)]
    assert table.select("driver", "outcome", "lag").rows() == keys
    assert table["is_placebo"].to_list() == [lag < 0 for *_, lag in keys]
    assert table.filter(pl.col("q_value") < 0.05).select("driver", "outcome", "lag").rows() == [
        ("sessions", "commits", 1)
    ]


def test_claims_and_placebos_are_corrected_as_one_family_each() -> None:
    table = association_family(several(), drivers=["sessions", "cost"], outcomes=["commits", "merges"])
    for part in (table.filter("is_placebo"), table.filter(~pl.col("is_placebo"))):
        p_values = part["p_value"].to_numpy()
        assert part["q_value"].to_numpy() == pytest.approx(multipletests(p_values, method="fdr_bh")[1], abs=1e-9)
        assert part["q_value"].to_numpy() == pytest.approx(stats.false_discovery_control(p_values), abs=1e-9)


def test_the_pair_and_the_family_are_one_computation() -> None:
    frame = team(90)
    claims = family(frame).filter(~pl.col("is_placebo"))
    assert_frame_equal(claims.select(COLUMNS), lagged(frame))


@pytest.mark.parametrize("lag", [-2, 0, 3])
def test_raw_correlations_describe_the_pairs_of_working_days(lag: int) -> None:
    frame = several()
    row = association_family(frame, drivers=["cost"], outcomes=["change"]).row(
        by_predicate=pl.col("lag") == lag, named=True
    )
    working = frame.filter(pl.col("day").dt.weekday() <= 5)
    pairs = working.select("cost", pl.col("change").shift(-lag)).drop_nulls()
    assert row["n"] == len(pairs)
    assert row["raw_pearson_r"] == pytest.approx(stats.pearsonr(*pairs).statistic, abs=1e-9)
    assert row["raw_spearman_rho"] == pytest.approx(stats.spearmanr(*pairs).statistic, abs=1e-9)


def test_a_week_in_which_somebody_is_away_is_no_association() -> None:
    """Neither series shows the absence clearly enough to be cleared of it; both together do."""
    away = np.isin(np.arange(90), range(35, 42))
    claimed = 0
    for seed in range(40):
        moods = 0.3 * np.random.default_rng(seed).standard_normal((2, 90))
        driver, outcome = 20 * np.exp(moods - away)
        table = lagged_association(driver, outcome, calendar(90), max_lag=0)
        claimed += table["p_value"][0] < 0.05
    # Two are expected by chance; without a look at both together it would be nine.
    assert claimed <= 5


def test_claims_are_withheld_where_a_placebo_fails() -> None:
    """Here the outcome comes first: nothing that the driver does could have brought it about."""
    table = family(team(120, lag=-2))
    claims = table.filter(~pl.col("is_placebo"))
    assert set(claims["status"]) == {"withheld"}
    assert claims["reading"].str.starts_with("Withheld").all()
    failed = table.filter(pl.col("is_placebo") & (pl.col("q_value") < 0.05))
    assert failed["lag"].to_list() == [-2]
    assert failed["status"].to_list() == ["ok"]


@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_the_effect_of_an_interquartile_range_is_recovered(scale: float) -> None:
    """Counts, and amounts that are proportional to them."""
    estimates, truths, inside = [], [], 0
    for seed in range(25):
        frame = team(120, elasticity=0.5, seed=seed).with_columns(pl.col("outcome") * scale)
        row = family(frame, max_lag=1).row(by_predicate=pl.col("lag") == 1, named=True)
        working = frame.filter(pl.col("day").dt.weekday() <= 5)
        lower, upper = (working["driver"].quantile(q, "linear") for q in (0.25, 0.75))
        assert lower is not None
        assert upper is not None
        truth = 2 * np.sinh(0.25 * np.log((upper + 1) / (lower + 1)))
        inside += row["effect_pct_low"] <= 100 * truth <= row["effect_pct_high"]
        estimates.append(row["effect_pct"])
        truths.append(100 * truth)
        mean = working["outcome"].mean()
        assert row["effect"] == pytest.approx(row["effect_pct"] / 100 * mean)
        assert row["effect_low"] < row["effect"] < row["effect_high"]
    assert np.mean(estimates) == pytest.approx(np.mean(truths), rel=0.15)
    assert inside >= 21


def test_an_effect_has_no_percentage_where_the_outcome_has_no_zero() -> None:
    frame = several()
    row = association_family(frame, drivers=["sessions"], outcomes=["change"]).row(7, named=True)
    assert row["effect"] is not None
    assert row["effect_pct"] is None


def test_a_driver_that_rarely_moves_has_no_typical_change() -> None:
    frame = team(90).with_columns(driver=(pl.int_range(pl.len()) % 11 == 0).cast(pl.Int64))
    row = family(frame).row(8, named=True)
    assert row["p_value"] is not None
    assert row["effect"] is None


def test_a_longer_sample_sees_weaker_correlations() -> None:
    short, long = (family(team(days))["min_detectable_r"][7] for days in (60, 180))
    assert 0 < long < short < 1


def test_every_row_has_a_sentence_that_claims_no_cause() -> None:
    tables = [
        family(team(120)),
        family(team(120, lag=-2)),
        family(team(20)),
        family(team(7)),
        family(team(60).with_columns(driver=pl.lit(3))),
        association_family(several(), drivers=["sessions", "cost"], outcomes=["commits", "merges", "change"]),
    ]
    for table in tables:
        assert table["reading"].str.ends_with(".").all()
        assert not table["reading"].str.to_lowercase().str.contains("caus").any()
        assert not table["reading"].str.contains("None|nan").any()


def test_a_finding_reads_with_its_size_and_its_interval() -> None:
    row = family(team(120)).row(by_predicate=pl.col("lag") == 1, named=True)
    assert f"{row['effect_pct']:.0f}% more outcome" in row["reading"]
    assert "1 working day later" in row["reading"]
    assert f"{row['effect_pct_low']:+.3g}%" in row["reading"]


def test_nothing_found_in_a_small_sample_reads_as_not_seen() -> None:
    reading = family(team(20, elasticity=0.0)).filter(pl.col("lag") == 0)["reading"][0]
    assert reading.startswith("Low sample (15 pairs)")
    assert "could hardly have seen one" in reading


def as_array(values: list[int]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize("kind", [list, as_array, pl.Series], ids=["list", "array", "series"])
def test_lists_arrays_and_series_are_alike(kind: Any) -> None:
    frame = team(60)
    table = lagged_association(
        kind(frame["driver"].to_list()), kind(frame["outcome"].to_list()), frame["day"].to_list()
    )
    assert_frame_equal(table, lagged(frame))
