"""The calibration, reduced: few teams, but enough to notice if the statistics go wrong."""

import numpy as np
import pytest

from prodlens_pipeline.simulation import calibrate
from prodlens_pipeline.simulation.calibrate import event_claims, false_claims, panel_claims, recovery
from prodlens_pipeline.simulation.developers import EVENT_EFFECTS, EVENTS, PANEL_EFFECTS, PANELS, Make
from prodlens_pipeline.simulation.series import EFFECTS, SHAPES, on_calendar

TEAMS = 60


def at_most(teams: int) -> float:
    """5 % and three Monte-Carlo standard errors."""
    return float(0.05 + 3 * np.sqrt(0.05 * 0.95 / teams))


@pytest.mark.parametrize(
    ("shape", "days", "plain_errs"),
    [
        ("weekly rhythm, AR 0.8", 60, 0.8),
        ("doubling at mid-window", 90, 0.6),
        ("public holidays", 90, 0.5),
        ("common two-week cycle", 60, 0.6),
        ("one dominant developer", 60, 0.4),
    ],
)
def test_the_plain_recipe_errs_and_ours_does_not(shape: str, days: int, plain_errs: float) -> None:
    found = false_claims(shape, days, TEAMS, seed=11)
    assert found.plain > plain_errs
    assert found.family <= at_most(TEAMS)
    assert found.ours <= at_most(TEAMS)


def test_a_known_correlation_is_found_and_covered() -> None:
    found = recovery("r 0.4, AR 0.8, 60 pairs", TEAMS, seed=12)
    assert found.power > 0.83 - 3 * np.sqrt(0.83 * 0.17 / TEAMS)
    assert found.r_coverage is not None
    assert found.r_coverage > 0.95 - 3 * np.sqrt(0.05 * 0.95 / TEAMS)
    assert found.withheld <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / TEAMS)


def test_the_true_effect_of_the_simulated_team_is_covered() -> None:
    found = recovery("simulated team, effect 0.6, 90 days", 100, seed=13)
    assert found.power > 0.9
    assert found.pct_coverage is not None
    assert found.pct_coverage > 0.93 - 3 * np.sqrt(0.07 * 0.93 / 100)


@pytest.mark.parametrize("case", ["8 developers, 90 days", "8 developers, one dominant"])
def test_a_panel_without_an_effect_is_not_claimed(case: str) -> None:
    found = panel_claims(case, TEAMS, seed=14)
    assert found.reported <= at_most(TEAMS)
    assert found.coverage >= 1 - at_most(TEAMS)


@pytest.mark.parametrize("case", ["6 of 10 developers, 120 days", "12 of 12 at once, 120 days"])
def test_an_intervention_that_changes_nothing_is_not_claimed(case: str) -> None:
    found = event_claims(case, TEAMS, seed=15)
    assert found.reported <= at_most(TEAMS)
    assert found.coverage >= 1 - at_most(TEAMS)


def test_effects_on_developers_are_found_and_covered() -> None:
    for found in (
        panel_claims("effect: 8 developers, 90 days", TEAMS // 3, seed=16),
        event_claims("effect: 6 of 10 developers, 180 days", TEAMS, seed=17),
    ):
        assert found.significant > 0.7
        assert found.coverage >= 1 - at_most(TEAMS // 3)
        assert abs(found.bias) < 10


@pytest.mark.parametrize("makes", [PANELS, PANEL_EFFECTS, EVENTS, EVENT_EFFECTS])
def test_developers_are_reproducible_and_know_their_truth(makes: dict[str, Make]) -> None:
    for name, make in makes.items():
        first, again = (make(np.random.default_rng(5)) for _ in range(2))
        assert first.frame.equals(again.frame), name
        assert (first.pct == 0) == (makes in (PANELS, EVENTS)), name
        assert bool(first.starts) == (makes in (EVENTS, EVENT_EFFECTS)), name


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_reproducible_and_as_long_as_asked(shape: str) -> None:
    first, again = (SHAPES[shape](np.random.default_rng(3), 30) for _ in range(2))
    assert [len(series) for series in first] == [30, 30]
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("case", EFFECTS)
def test_every_effect_has_its_truth(case: str) -> None:
    truth = EFFECTS[case](np.random.default_rng(4))
    assert truth.frame.columns == ["day", "driver", "outcome"]
    assert (truth.r is None) != (truth.pct is None)


def test_working_days_are_laid_on_weekdays() -> None:
    frame = on_calendar((np.arange(1.0, 8.0), np.ones(7)), 0.0)
    assert frame["driver"].to_list() == [1, 2, 3, 4, 5, 0, 0, 6, 7]


def test_the_tables_are_printed_and_reproducible(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some = {
        "SHAPES": ["counts", "counts, AR 0.8"],
        "EFFECTS": ["r 0, AR 0.8, 60 pairs"],
        "PANELS": ["5 developers, 60 days"],
        "PANEL_EFFECTS": ["5 developers, 90 days"],
        "EVENTS": ["6 of 10 developers, 120 days"],
        "EVENT_EFFECTS": ["12 of 12 at once, 180 days"],
    }
    for name, kept in some.items():
        monkeypatch.setattr(calibrate, name, {key: getattr(calibrate, name)[key] for key in kept})
    monkeypatch.setattr(calibrate, "LENGTHS", (30,))
    monkeypatch.setattr(calibrate, "MORE", 1)
    monkeypatch.setattr(calibrate, "WIDE", 1)
    monkeypatch.setattr(calibrate, "WIDE_DAYS", 30)
    printed = []
    for _ in range(2):
        calibrate.main(teams=10, seed=2, jobs=1)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    for word in ("counts", "plain Pearson", "r in interval", "6 of 10 developers", "10 teams a line", "seed 2"):
        assert word in printed[0]
