"""Event studies: the truth covered, no effect not seen, and refused where the comparison does not hold."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from scipy import stats

from prodlens_pipeline.analysis import difference_in_differences as differences
from prodlens_pipeline.analysis import interrupted
from prodlens_pipeline.analysis.event_studies import EVENT_COLUMNS, event_studies
from prodlens_pipeline.analysis.interventions import Intervention, Kind

MONDAY = date(2026, 1, 5)


def team(
    developers: int,
    days: int,
    starts: Mapping[str, date],
    *,
    change: float = 0.0,
    seed: int = 0,
    drift: float = 0.0,
) -> pl.DataFrame:
    """Commits of a team whose common level wanders; those of `starts` change by `change` and drift before it."""
    random = np.random.default_rng(seed)
    dates = [MONDAY + timedelta(days=n) for n in range(days)]
    week = np.array([1.0 if day.weekday() < 5 else 0.02 for day in dates])
    common = np.exp(np.cumsum(0.03 * random.standard_normal(days)))
    frames = []
    for number in range(developers):
        name = f"d{number}"
        after = np.array([name in starts and day >= starts[name] for day in dates])
        level = 2 * np.exp(0.5 * random.standard_normal() + 0.3 * random.standard_normal(days))
        own = np.exp(drift * np.arange(days)) if name in starts else 1.0
        commits = random.poisson(level * own * week * common * (1 + change * after))
        frames.append(pl.DataFrame({"day": dates, "commits": commits}).with_columns(developer_id=pl.lit(name)))
    return pl.concat(frames).filter(pl.col("commits") > 0)


def staggered(adopters: int, seed: int = 0, first: int = 60, last: int = 120) -> dict[str, date]:
    random = np.random.default_rng(seed)
    return {f"d{n}": MONDAY + timedelta(days=int(random.integers(first, last))) for n in range(adopters)}


def study(frame: pl.DataFrame, starts: Mapping[str, date], **more: Any) -> dict[str, Any]:
    found = Intervention("the tool", Kind.CONFIGURED, starts, **more)
    table = event_studies(frame, [found], ["commits"])
    assert table.columns == list(EVENT_COLUMNS)
    return table.row(0, named=True)


# --- difference-in-differences -------------------------------------------------------------------------------------


def test_two_groups_and_one_date_are_the_difference_of_mean_changes() -> None:
    random = np.random.default_rng(0)
    weekly = random.standard_normal((9, 16)) + random.standard_normal((9, 1))
    start = np.array([8] * 4 + [16] * 5)
    changes = weekly[:, 8:].mean(axis=1) - weekly[:, :8].mean(axis=1)
    found = differences.effect(weekly, start)
    assert found.estimate == pytest.approx(changes[:4].mean() - changes[4:].mean(), abs=1e-12)
    welch = stats.ttest_ind(changes[:4], changes[4:], equal_var=False)
    assert found.error == pytest.approx(found.estimate / welch.statistic, rel=0.2)
    assert (found.adopters, found.comparisons, found.freedom, found.n) == (4, 5, 3, 32)


def test_levels_of_developers_and_shocks_of_weeks_do_not_matter() -> None:
    random = np.random.default_rng(1)
    weekly = random.standard_normal((12, 30))
    start = np.array([9, 9, 11, 14, 14, 17, 20, 30, 30, 30, 30, 30])
    moved = weekly + 100 * random.standard_normal((12, 1)) + 50 * random.standard_normal(30)
    for figure in (differences.effect, differences.pre_trend, differences.placebo):
        assert figure(moved, start).estimate == pytest.approx(figure(weekly, start).estimate, abs=1e-9)
        assert figure(moved, start).error == pytest.approx(figure(weekly, start).error, abs=1e-9)


def test_nobody_who_has_adopted_serves_as_a_comparison() -> None:
    """An effect that grows with time bends a plain two-way regression when early adopters are compared with."""
    weeks = np.arange(40)
    start = np.array([10] * 5 + [20] * 5 + [40] * 4)
    weekly = np.where(weeks >= start[:, None], 0.1 * (weeks - start[:, None] + 1), 0.0)
    assert differences.effect(weekly, start).estimate == pytest.approx(0.45, abs=1e-9)


@pytest.mark.parametrize(("developers", "adopters"), [(10, 6), (24, 16)])
def test_the_interval_covers_the_truth_and_no_effect_is_not_seen(developers: int, adopters: int) -> None:
    covered = alarms = refuted = 0
    runs = 100
    for seed in range(runs):
        starts = staggered(adopters, seed)
        row = study(team(developers, 180, starts, change=0.4, seed=seed), starts)
        covered += row["effect_pct_low"] <= 40 <= row["effect_pct_high"]
        row = study(team(developers, 180, starts, seed=seed), starts)
        assert row["design"] == "difference-in-differences"
        alarms += row["q_value"] < 0.05
        refuted += row["status"] != "ok"
    assert covered / runs >= 0.9
    assert alarms / runs <= 0.08
    assert refuted / runs <= 0.2


def test_an_effect_is_found_with_its_size_and_in_words() -> None:
    starts = staggered(16, 1)
    row = study(team(24, 180, starts, change=0.8, seed=1), starts)
    assert (row["status"], row["developers"]) == ("ok", 16)
    assert row["q_value"] < 0.05
    assert row["effect_pct_low"] <= 80 <= row["effect_pct_high"]
    assert row["effect_low"] > 0
    assert "more commits" in row["reading"] and "had not reached" in row["reading"] and "cause" not in row["reading"]


def test_adopters_who_were_drifting_away_anyway_are_refused() -> None:
    refused = 0
    for seed in range(20):
        starts = dict.fromkeys([f"d{n}" for n in range(12)], date(2026, 4, 1))
        row = study(team(24, 170, starts, drift=0.012, seed=seed), starts)
        refused += row["status"] in ("pre-trend differs", "placebo date shows a change")
        assert row["status"] == "ok" or row["reading"].startswith("Withheld")
    assert refused >= 17


# --- interrupted time series ---------------------------------------------------------------------------------------


def test_of_white_noise_the_step_is_that_of_a_regression() -> None:
    random = np.random.default_rng(3)
    days = np.arange(120)
    values = random.standard_normal(120) + 2 * (days >= 60)
    week = (days[:, None] % 5 == np.arange(1, 5)).astype(float)
    fitted = sm.OLS(values, np.column_stack([days >= 60, np.ones(120), days, week]).astype(float)).fit()
    found = interrupted.step(values, days % 5, 60)
    assert found.estimate == pytest.approx(fitted.params[0], abs=1.5 * fitted.bse[0])
    assert found.error == pytest.approx(fitted.bse[0], rel=0.6)


@pytest.mark.parametrize("memory", [0.0, 0.8])
@pytest.mark.parametrize("ramp", [0.0, 1.0])
def test_a_series_that_remembers_and_grows_has_no_step(memory: float, ramp: float) -> None:
    covered = alarms = 0
    runs = 100
    for seed in range(runs):
        noise = np.random.default_rng(seed).standard_normal(150)
        for day in range(1, 150):
            noise[day] = memory * noise[day - 1] + np.sqrt(1 - memory**2) * noise[day]
        quiet = 0.3 * noise[30:] + ramp * np.arange(120) / 120
        weekday = np.arange(120) % 5
        alarms += interrupted.step(quiet, weekday, 60).p_value < 0.05
        found = interrupted.step(quiet + 0.5 * (np.arange(120) >= 60), weekday, 60)
        covered += abs(found.estimate - 0.5) <= found.half_width
    assert alarms / runs <= 0.1
    assert covered / runs >= 0.9


def test_where_all_change_at_once_the_team_is_its_own_comparison() -> None:
    starts = dict.fromkeys([f"d{n}" for n in range(12)], date(2026, 4, 1))
    row = study(team(12, 180, starts, change=1.5, seed=2), starts)
    assert row["design"] == "interrupted time series"
    assert (row["comparisons"], row["pre_trend_p_value"]) == (0, None)
    assert row["q_value"] < 0.05
    assert row["effect_pct_low"] <= 150 <= row["effect_pct_high"]
    assert "nobody was left to compare with" in row["reading"]


# --- what cannot be told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("developers", "starts"),
    [
        (2, staggered(2)),
        (12, staggered(2)),
        (3, staggered(3)),
        (12, staggered(8, first=1, last=14)),
        (12, dict.fromkeys([f"d{n}" for n in range(12)], date(2026, 1, 12))),
        (12, dict.fromkeys([f"d{n}" for n in range(12)], date(2026, 6, 30))),
        (12, {"nobody": date(2026, 4, 1)}),
    ],
    ids=["two", "two of twelve", "all, one by one", "at the start", "all at the start", "all at the end", "unknown"],
)
def test_too_little_to_compare_is_said(developers: int, starts: dict[str, date]) -> None:
    row = study(team(developers, 180, starts), starts)
    assert row["status"] == "not enough data"
    assert [row[name] for name in ("effect", "effect_pct", "p_value", "q_value")] == [None] * 4
    assert row["reading"].startswith("Not enough data")


def test_an_outcome_that_never_happens_does_not_vary() -> None:
    starts = staggered(6)
    row = study(team(12, 180, starts).with_columns(commits=pl.lit(0)), starts)
    assert (row["status"], row["p_value"]) == ("no variation", None)


def test_without_data_or_interventions_the_table_is_still_one() -> None:
    frame = team(3, 30, {})
    assert event_studies(frame, [], ["commits"]).columns == list(EVENT_COLUMNS)
    found = Intervention("x", Kind.CONFIGURED, {"d0": MONDAY})
    assert event_studies(frame.clear(), [found], ["commits"])["status"].to_list() == ["not enough data"]


def test_who_changed_before_the_data_is_neither_reached_nor_compared_with() -> None:
    starts = staggered(6)
    others = frozenset(f"d{n}" for n in range(6, 12))
    frame = team(16, 180, starts)
    assert study(frame, starts)["comparisons"] > study(frame, starts, excluded=others)["comparisons"]


def test_q_accounts_for_every_row() -> None:
    frame = team(12, 180, {}).with_columns(additions=pl.col("commits") * 7)
    found = [Intervention(f"x{n}", Kind.CONFIGURED, staggered(6, n)) for n in range(6)]
    table = event_studies(frame, found, ["commits", "additions"])
    expected = stats.false_discovery_control(table["p_value"].to_numpy())
    assert table["q_value"].to_list() == pytest.approx(expected.tolist())
