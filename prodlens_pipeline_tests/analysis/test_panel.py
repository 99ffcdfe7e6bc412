"""The panel: exact where it can be compared, right where the truth is known, silent where there is nothing."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from scipy import stats

from prodlens_pipeline.analysis.panel import absent, exchanged_p_value, innovations, slopes, without_effects
from prodlens_pipeline.analysis.panel_associations import PANEL_COLUMNS, panel_family

MONDAY = date(2026, 1, 5)
Reals = NDArray[np.float64]


def remembering(random: np.random.Generator, shape: tuple[int, int], memory: float = 0.5) -> Reals:
    """Series (developers, days) of variance 1 that remember the day before."""
    noise = random.standard_normal((shape[0], shape[1] + 30))
    for day in range(1, noise.shape[1]):
        noise[:, day] = memory * noise[:, day - 1] + np.sqrt(1 - memory**2) * noise[:, day]
    return noise[:, 30:]


def unknown_in_places(random: np.random.Generator, values: Reals) -> Reals:
    holes = random.random(values.shape) < 0.15
    holes[0, :20] = True
    return np.where(holes, np.nan, values)


def team(
    developers: int, days: int, *, elasticity: float = 0.0, lag: int = 1, seed: int = 0, level: float = 2.0
) -> pl.DataFrame:
    """Developers with holidays, sick days, part time and drifts of their own, in a team that doubles at half-time."""
    random = np.random.default_rng(seed)
    dates = [day for day in (MONDAY + timedelta(days=n) for n in range(days)) if day.weekday() < 5]
    length = len(dates)
    weekday = np.array([day.weekday() for day in dates])
    growth = 1.0 + (np.arange(length) > length // 2)
    frames = []
    for number in range(developers):
        here = (random.random(5) > 0.1)[weekday] & (random.random(length) > 0.02)
        for away in random.integers(0, length, 2):
            here[away : away + random.integers(3, 10)] = False
        usual = 8 * np.exp(0.6 * random.standard_normal())
        drift = np.exp(random.uniform(-0.7, 0.7) * np.linspace(0, 1, length))
        memory = np.exp(0.4 * remembering(random, (2, length)))
        used = random.poisson(usual * growth * memory[0] * here)
        response = np.ones(length)
        response[lag:] = ((used[: length - lag] + 1) / (usual + 1)) ** elasticity
        made = random.poisson(level * growth * drift * memory[1] * response * here)
        frames.append(
            pl.DataFrame({"day": dates, "used": used, "made": made}).with_columns(developer_id=pl.lit(f"d{number}"))
        )
    return pl.concat(frames).filter((pl.col("used") > 0) | (pl.col("made") > 0))


def family(frame: pl.DataFrame, **options: int) -> pl.DataFrame:
    return panel_family(frame, drivers=["used"], outcomes=["made"], **options)


# --- exactness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_is_that_of_a_regression_with_a_dummy_for_every_developer_and_day(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((2, 7, 40))
    x = unknown_in_places(random, x)
    y = np.where(np.isnan(x), np.nan, y + 0.4 * np.nan_to_num(x))
    known = ~np.isnan(x)
    who, when = np.nonzero(known)
    dummies = np.column_stack([who[:, None] == np.arange(7), when[:, None] == np.arange(1, 40)]).astype(float)
    fitted = sm.OLS(y[known], np.column_stack([x[known], dummies])).fit()
    found = slopes(x[None], y[None])
    assert found.slope[0, 0] == pytest.approx(fitted.params[0], abs=1e-9)

    # Without the inflation by leverage the error is the textbook's clustered one.
    plain = sm.OLS(y[known], np.column_stack([x[known], dummies])).fit(
        cov_type="cluster", cov_kwds={"groups": who, "use_correction": False}
    )
    clean = np.nan_to_num(without_effects(x[None])[0])
    rest = np.nan_to_num(without_effects(y[None])[0]) - found.slope[0, 0] * clean
    scores = (clean * rest).sum(axis=1)
    assert np.sqrt((scores**2).sum()) / (clean**2).sum() == pytest.approx(plain.bse[0], abs=1e-9)
    assert found.error[0, 0] > plain.bse[0]


def test_exchanging_histories_at_once_is_the_same_as_one_by_one() -> None:
    random = np.random.default_rng(5)
    driver, outcome = random.standard_normal((2, 7, 40))
    outcome += 0.2 * driver
    driver, outcome = unknown_in_places(random, driver), unknown_in_places(random, outcome)

    def size(order: NDArray[np.int64]) -> float:
        known = ~(np.isnan(driver[order]) | np.isnan(outcome))
        found = slopes(np.where(known, driver[order], np.nan)[None], np.where(known, outcome, np.nan)[None])
        return float(abs(found.statistic[0, 0]))

    shuffles = np.random.default_rng(9)
    beaten = sum(size(shuffles.permutation(7)) >= size(np.arange(7)) for _ in range(99))
    assert 0 < beaten < 99
    assert exchanged_p_value(driver, outcome, 99, 9) == (1 + beaten) / 100


def test_several_series_at_once_are_the_same_as_one_by_one() -> None:
    random = np.random.default_rng(1)
    drivers, outcomes = random.standard_normal((2, 6, 30)), random.standard_normal((3, 6, 30))
    together = slopes(drivers, outcomes)
    for d in range(2):
        for o in range(3):
            alone = slopes(drivers[[d]], outcomes[[o]])
            assert together.slope[d, o] == pytest.approx(alone.slope[0, 0], abs=1e-12)
            assert together.error[d, o] == pytest.approx(alone.error[0, 0], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_developers_levels_weekdays_and_shocks_of_a_day_do_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    weekday = np.arange(60) % 5
    values = unknown_in_places(random, remembering(random, (8, 60)))
    level, shock = 50 * random.standard_normal((8, 5)), np.cumsum(20 * random.standard_normal(60))
    moved = innovations(values + level[:, weekday] + shock, weekday)
    assert np.allclose(moved, innovations(values, weekday), atol=1e-7, equal_nan=True)


def test_the_order_of_rows_and_the_names_of_developers_do_not_matter() -> None:
    frame = team(8, 80, elasticity=0.3)
    renamed = frame.sample(fraction=1, shuffle=True, seed=4).with_columns(pl.col("developer_id").str.replace("d", "x"))
    assert_frame_equal(family(renamed), family(frame), abs_tol=1e-8)


# --- calibration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("developers", "days"), [(5, 60), (12, 60), (30, 40)])
def test_the_interval_covers_the_truth_and_nothing_is_seen_in_noise(developers: int, days: int) -> None:
    covered = alarms = leads = 0
    runs = 120
    for seed in range(runs):
        random = np.random.default_rng(seed)
        weekday = np.arange(days) % 5
        x, noise = remembering(random, (developers, days)), remembering(random, (developers, days))
        quiet, use = innovations(noise, weekday), innovations(x, weekday)
        alarms += slopes(use[None], quiet[None]).p_value[0, 0] < 0.05
        answer = innovations(noise + 0.3 * x, weekday)
        found = slopes(use[None], answer[None])
        covered += abs(found.slope[0, 0] - 0.3) <= found.half_width[0, 0]
        leads += slopes(use[None, :, 1:], answer[None, :, :-1]).p_value[0, 0] < 0.05
    assert covered / runs >= 0.9
    assert alarms / runs <= 0.08
    assert leads / runs <= 0.08, "an effect must not reach a placebo through the driver's memory"


def test_a_dominant_developer_does_not_make_claims_easier() -> None:
    alarms = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        x, y = remembering(random, (6, 60)), remembering(random, (6, 60))
        x[0], y[0] = 5 * x[0], 5 * y[0]
        weekday = np.arange(60) % 5
        alarms += slopes(innovations(x, weekday)[None], innovations(y, weekday)[None]).p_value[0, 0] < 0.05
    assert alarms / 150 <= 0.06


def test_teams_without_an_effect_get_no_claim_whatever_their_holidays_and_growth() -> None:
    claims = 0
    for seed in range(60):
        table = family(team(10, 84, seed=seed)).filter(~pl.col("is_placebo") & (pl.col("status") != "withheld"))
        claims += bool((table["q_value"] < 0.05).any())
    assert claims <= stats.binom.ppf(0.99, 60, 0.05)


def test_an_effect_is_seen_at_its_lag_with_its_size() -> None:
    frame = team(20, 120, elasticity=0.6, level=15.0, seed=3)
    table = family(frame)
    assert table.columns == list(PANEL_COLUMNS)
    assert table.filter(pl.col("q_value") < 0.05)["lag"].to_list() == [1]
    row = table.row(by_predicate=pl.col("lag") == 1, named=True)
    assert (row["developers"], row["status"]) == (20, "ok")
    assert row["exchanged_p_value"] < 0.05
    assert row["effect_pct_low"] < row["effect_pct"] < row["effect_pct_high"]
    assert row["slope"] == pytest.approx(0.6, abs=0.12)
    assert "1 working day later" in row["reading"] and "cause" not in row["reading"]


def test_a_quiet_and_a_busy_day_are_those_of_a_typical_developer() -> None:
    frame = team(20, 120, elasticity=0.6, level=15.0, seed=3)
    row = family(frame).row(by_predicate=pl.col("lag") == 1, named=True)
    with_ai = frame.filter(pl.col("used") > 0).group_by("developer_id")
    own = with_ai.agg(
        pl.len(), quiet=pl.col("used").quantile(0.25, "linear"), busy=pl.col("used").quantile(0.75, "linear")
    ).filter(pl.col("len") >= 20)
    assert (row["driver_q1"], row["driver_q3"]) == (own["quiet"].median(), own["busy"].median())
    assert f"from a quiet day ({row['driver_q1']:.3g}) to a busy one ({row['driver_q3']:.3g})" in row["reading"]


def test_claims_are_withheld_where_tomorrows_use_does_as_well() -> None:
    frame = team(20, 120, elasticity=0.8, level=15.0, seed=3, lag=2)
    swapped = frame.rename({"used": "made", "made": "used"})
    claims = family(swapped).filter(~pl.col("is_placebo"))
    assert set(claims["status"]) == {"withheld"}
    assert claims["reading"].str.starts_with("Withheld").all()


# --- what cannot be told -------------------------------------------------------------------------------------------


def empty() -> pl.DataFrame:
    return team(1, 7).clear()


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (empty(), "not_enough_data"),
        (team(1, 100), "not_enough_data"),
        (team(4, 100), "not_enough_data"),
        (team(20, 20), "not_enough_data"),
        (team(8, 100).with_columns(used=pl.lit(3)), "no_variation"),
        (team(8, 100).with_columns(made=pl.lit(0)), "no_variation"),
        (team(8, 100).with_columns(made=pl.lit(None, dtype=pl.Int64)), "not_enough_data"),
        (team(8, 100), "low_sample"),
        (team(12, 100), "ok"),
    ],
    ids=["empty", "one", "four", "three weeks", "constant use", "no delivery", "unknown delivery", "eight", "twelve"],
)
def test_the_status_says_what_a_row_is_worth(frame: pl.DataFrame, status: str) -> None:
    table = family(frame, max_lag=1)
    assert set(table["status"]) == {status}
    assert table["p_value"].is_null().all() == (status not in ("ok", "low_sample"))
    assert table["reading"].str.len_chars().min() > 20
    for name in table.columns:
        if table.schema[name] == pl.Float64:
            assert not table[name].is_nan().any()


def test_unknown_costs_leave_the_other_drivers_alone() -> None:
    frame = team(12, 80).with_columns(
        cost=pl.when(pl.int_range(pl.len()) % 6 > 0).then(pl.col("used") * 0.5).otherwise(None)
    )
    table = panel_family(frame, drivers=["used", "cost"], outcomes=["made"])
    assert_frame_equal(
        table.filter(pl.col("driver") == "used").select("lag", "p_value", "developer_days"),
        family(frame).select("lag", "p_value", "developer_days"),
        abs_tol=1e-9,
    )
    days = dict(table.filter(pl.col("lag") == 0).select("driver", "developer_days").iter_rows())
    assert 0 < days["cost"] < days["used"]


def test_two_rows_of_a_developers_day_are_refused() -> None:
    frame = team(5, 30)
    with pytest.raises(ValueError, match="more than one row of a day"):
        family(pl.concat([frame, frame[:1]]))


def test_runs_of_empty_days_are_an_absence_and_single_ones_are_not() -> None:
    random = np.random.default_rng(0)
    use, work = random.random((2, 1, 100)) < 0.8
    use[0, 40:48] = work[0, 40:48] = False
    away = absent(use, work, np.ones((1, 100), dtype=np.bool_))
    assert away[0, 40:48].all()
    assert away.sum() <= 10


def test_the_whole_family_of_a_large_team_takes_little_time() -> None:
    random = np.random.default_rng(0)
    frame = team(40, 240)
    drivers = [f"use{n}" for n in range(6)]
    outcomes = [f"make{n}" for n in range(3)]
    frame = frame.with_columns(
        *(pl.Series(name, random.poisson(3, len(frame))) for name in (*drivers, *outcomes)),
    )
    assert len(panel_family(frame, drivers=drivers, outcomes=outcomes)) == 6 * 3 * 15
