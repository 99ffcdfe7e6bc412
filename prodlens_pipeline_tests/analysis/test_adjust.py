"""What is left of one series: the calendar gone, the memory gone, nothing from the future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.tsa.statespace.structural import UnobservedComponents  # type: ignore[import-untyped]

from prodlens_pipeline.analysis.adjust import adjust, transfer

Reals = NDArray[np.float64]


def weekdays(count: int) -> NDArray[np.datetime64]:
    """So many weekdays from a Monday on."""
    days: NDArray[np.datetime64] = np.busday_offset(np.datetime64("2026-01-05"), np.arange(count))
    return days


def remembering(days: int, persistence: float, seed: int = 0) -> Reals:
    noise = np.random.default_rng(seed).standard_normal(days + 100)
    for day in range(1, len(noise)):
        noise[day] += persistence * noise[day - 1]
    return noise[100:]


def autocorrelation(series: Reals) -> float:
    return float(np.corrcoef(series[1:], series[:-1])[0, 1])


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.8, 0.95])
def test_innovations_have_no_memory(persistence: float) -> None:
    series = remembering(300, persistence)
    # 0.17 is three standard errors.
    assert abs(autocorrelation(adjust(series, weekdays(300)).innovations)) < 0.17


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 100),
    week=st.lists(st.floats(-50, 50), min_size=5, max_size=5),
    slope=st.floats(-5, 5),
)
def test_weekday_and_line_change_nothing(seed: int, week: list[float], slope: float) -> None:
    series = remembering(45, 0.6, seed)
    shifted = series + np.resize(week, 45) + slope * np.arange(45)
    plain, other = (adjust(values, weekdays(45)) for values in (series, shifted))
    assert other.innovations == pytest.approx(plain.innovations, abs=1e-6)
    assert other.unit == pytest.approx(plain.unit)


def test_a_level_shift_is_forgotten_within_days() -> None:
    series = remembering(128, 0.3)
    shift = 4.0 * (np.arange(128) >= 64)
    with_shift = adjust(series + shift, weekdays(128)).innovations
    assert abs(with_shift[70:].mean() - with_shift[:60].mean()) < 0.4


@pytest.mark.parametrize("length", [14, 365.25 / 12])
def test_a_cycle_is_taken_out_where_there_is_one_and_costs_nothing_elsewhere(length: float) -> None:
    days = weekdays(90)
    series = remembering(90, 0.3)
    angle = 2 * np.pi * days.astype(int) / length
    without, with_cycle = (adjust(series + size * np.cos(angle), days) for size in (0.0, 3.0))
    # Five weekdays, a line and three slow cosines, of 90 days; the cycle is two more.
    assert without.kept == pytest.approx(1 - 9 / 90)
    assert with_cycle.kept == pytest.approx(1 - 11 / 90)
    waves = np.column_stack([np.cos(angle), np.sin(angle)])
    explained = [np.linalg.lstsq(waves, one.innovations, rcond=None)[1][0] for one in (without, with_cycle)]
    assert explained[1] > 0.95 * (with_cycle.innovations**2).sum()


def test_a_bend_is_taken_out_of_a_sample_too_short_for_slow_waves() -> None:
    series = remembering(42, 0.3)
    bend = 6 * np.cos(2 * np.pi * (np.arange(42) + 0.5) / 42)
    without, bent = (adjust(values, weekdays(42)) for values in (series, series + bend))
    assert without.kept == pytest.approx(1 - 6 / 42)
    assert bent.kept == pytest.approx(1 - 7 / 42)
    assert np.corrcoef(without.innovations, bent.innovations)[0, 1] > 0.85


def test_one_wild_day_is_taken_out() -> None:
    series = remembering(60, 0.3)
    series[30] += 40
    adjusted = adjust(series, weekdays(60))
    assert abs(adjusted.innovations[30]) < 1
    assert adjusted.kept < adjust(remembering(60, 0.3), weekdays(60)).kept


def test_a_week_too_calm_to_be_taken_out_is_noted_on_the_day_it_begins() -> None:
    series = remembering(60, 0.3)
    series[30:35] -= 2.0
    before, adjusted = (adjust(values, weekdays(60)) for values in (remembering(60, 0.3), series))
    assert adjusted.kept == before.kept
    days, shifts, weeks, fortnights = adjusted.events.reshape(4, 60)
    assert weeks.argmin() == 30
    assert weeks[30] == pytest.approx(adjusted.events.min())
    assert days[30] == pytest.approx(adjusted.innovations[30] / np.sqrt((adjusted.innovations**2).sum()), abs=0.1)
    assert shifts[30] < 0
    assert fortnights[-10:] == pytest.approx(0)


def test_rare_activity_is_no_accident_to_be_taken_out() -> None:
    rare = (np.arange(60) % 13 == 5).astype(np.float64)
    innovations = adjust(rare, weekdays(60)).innovations
    assert innovations[rare == 1].min() > 2


def test_innovations_agree_with_the_state_space_filter_of_statsmodels() -> None:
    series = remembering(80, 0.7)
    series[[11, 12, 40]] = np.nan
    adjusted = adjust(series, weekdays(80))
    model = UnobservedComponents(adjusted.remainder, level="rwalk", autoregressive=1)
    drift = adjusted.noise.drift
    model.ssm.initialize_known(np.zeros(2), np.diag([drift, 1.0]))
    parameters = {
        "sigma2.level": drift,
        "sigma2.ar": 1 - adjusted.noise.persistence**2,
        "ar.L1": adjusted.noise.persistence,
    }
    result = model.filter([parameters[name] for name in model.param_names])
    theirs = result.filter_results.standardized_forecasts_error[0]
    known = ~np.isnan(series)
    ratio = adjusted.innovations[known] / theirs[known]
    assert ratio == pytest.approx(np.full(known.sum(), ratio[0]), rel=1e-6)


def test_a_missing_day_leaves_the_others_in_place() -> None:
    series = remembering(60, 0.5)
    whole = adjust(series, weekdays(60)).innovations
    series[20] = np.nan
    gapped = adjust(series, weekdays(60)).innovations
    assert np.isnan(gapped[20])
    assert np.isnan(gapped).sum() == 1
    others = np.arange(60) != 20
    assert np.corrcoef(whole[others], gapped[others])[0, 1] > 0.95


@pytest.mark.parametrize(
    "values",
    [
        np.full(40, 3.0),
        np.resize([1.0, 5.0, 2.0, 8.0, 3.0], 40),
        0.1 * np.arange(40.0) + 7,
        np.cos(2 * np.pi * weekdays(60).astype(int) / 14),
        np.full(40, np.nan),
        np.array([1.0, 2.0, 3.0, 5.0]),
        np.empty(0),
    ],
    ids=["constant", "constant by weekday", "line", "fortnight", "unknown", "four days", "empty"],
)
def test_what_does_not_vary_has_no_innovations(values: Reals) -> None:
    adjusted = adjust(values, weekdays(len(values)))
    assert len(adjusted.innovations) == len(values)
    assert np.isnan(adjusted.innovations).all()
    assert adjusted.kept == 0
    assert not adjusted.events.any()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.none() | st.floats(-1e150, 1e150), max_size=30),
)
def test_whatever_is_observed_is_finite(values: list[float | None]) -> None:
    series = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    adjusted = adjust(series, weekdays(len(series)))
    known = ~np.isnan(adjusted.innovations)
    assert not known[np.isnan(series)].any()
    assert np.isfinite(adjusted.innovations[known]).all()
    assert known.sum() in (0, (~np.isnan(series)).sum())
    assert len(adjusted.events) == 4 * len(series)
    assert (np.abs(adjusted.events) < 1 + 1e-9).all()


def test_series_with_the_same_memory_pass_each_others_filter_unchanged() -> None:
    adjusted = adjust(remembering(60, 0.5), weekdays(60))
    assert transfer(adjusted, [adjusted]) == pytest.approx([1.0])


def test_a_response_is_recovered_through_different_filters() -> None:
    ratios = []
    for seed in range(60):
        driver = remembering(129, 0.8, seed)
        outcome = 0.5 * driver[:-1] + 1.7 * np.random.default_rng(seed).standard_normal(128)
        first, second = adjust(driver[1:], weekdays(128)), adjust(outcome, weekdays(128))
        a, b = first.innovations[:-1], second.innovations[1:]
        ratios.append((a @ b) / (a @ a) * second.unit / first.unit / transfer(first, [second])[0])
    # Without `transfer` the mean is 0.42; one standard error is 0.02.
    assert np.mean(ratios) == pytest.approx(0.5, abs=0.06)
