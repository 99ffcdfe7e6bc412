"""Correlation and inference on columns, against the libraries that define them."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from prodlens_pipeline.analysis.correlations import Events, correlate, infer, min_detectable_r

Reals = NDArray[np.float64]
NUMBER = st.none() | st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6)
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=40)


def columns(pairs: list[tuple[float | None, float | None]]) -> tuple[Reals, Reals]:
    table = np.array(pairs, dtype=np.float64)
    return table[:, :1], table[:, 1:]


@settings(deadline=None)
@given(PAIRS)
def test_r_and_rho_agree_with_scipy(pairs: list[tuple[float | None, float | None]]) -> None:
    driver, outcome = columns(pairs)
    known = ~np.isnan(driver + outcome).ravel()
    a, b = driver[known, 0], outcome[known, 0]
    assume(len(a) > 2 and min(np.std(a), np.std(b)) > 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        r, rho = stats.pearsonr(a, b).statistic, stats.spearmanr(a, b).statistic
    ours = correlate(driver, outcome)
    assert ours.n == len(a)
    assert ours.pearson_r == pytest.approx(r, abs=1e-9)
    assert ours.spearman_rho == pytest.approx(rho, abs=1e-9)


def test_all_pairs_at_once_are_each_pair_alone() -> None:
    rng = np.random.default_rng(0)
    drivers, outcomes = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
    drivers[4:9, 1] = np.nan
    together = correlate(drivers, outcomes)
    for i in range(3):
        for j in range(2):
            alone = correlate(drivers[:, [i]], outcomes[:, [j]])
            assert together.n[i, j] == alone.n[0, 0]
            assert together.pearson_r[i, j] == pytest.approx(alone.pearson_r[0, 0])
            assert together.spearman_rho[i, j] == pytest.approx(alone.spearman_rho[0, 0])


def test_a_constant_column_has_no_correlation() -> None:
    found = correlate(np.full((9, 1), 0.1), np.arange(9.0)[:, None])
    assert np.isnan(found.pearson_r)
    assert np.isnan(found.spearman_rho)


def evenly_spread(n: int, r: float) -> tuple[Reals, Reals]:
    """Two columns with exactly the correlation `r`, whose residuals have the same size on every day."""
    rng = np.random.default_rng(3)
    driver = rng.standard_normal(n)
    driver -= driver.mean()
    noise = rng.choice([-1.0, 1.0], n)
    noise -= noise.mean()
    noise -= driver * (noise @ driver) / (driver @ driver)
    outcome = r * driver / np.sqrt(driver @ driver) + np.sqrt(1 - r**2) * noise / np.sqrt(noise @ noise)
    return driver[:, None], outcome[:, None]


@pytest.mark.parametrize("r", [0.0, 0.3, -0.6])
def test_where_the_textbook_holds_p_is_the_textbooks(r: float) -> None:
    driver, outcome = evenly_spread(50, r)
    found = infer(driver, outcome, np.array([[49 / 50]]))
    assert found.freedom == pytest.approx(48)
    assert found.inflation == pytest.approx(1, abs=0.1)
    textbook = stats.pearsonr(driver.ravel(), outcome.ravel())
    assert found.p_value == pytest.approx(textbook.pvalue, rel=0.2, abs=1e-4)
    low, high = textbook.confidence_interval()
    assert (found.ci_low[0, 0], found.ci_high[0, 0]) == pytest.approx((low, high), abs=0.02)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(8, 80),
    r=st.floats(-0.9, 0.9),
    kept=st.floats(0.4, 1),
    shared=st.booleans(),
)
def test_the_intervals_exclude_zero_exactly_when_p_is_small(
    seed: int, n: int, r: float, kept: float, shared: bool
) -> None:
    rng = np.random.default_rng(seed)
    driver = rng.standard_normal((n, 1))
    outcome = r * driver + rng.standard_normal((n, 1))
    events = Events(weeks_of(driver), weeks_of(outcome)) if shared else None
    found = infer(driver, outcome, np.array([[kept]]), events)
    assume(abs(found.p_value[0, 0] - 0.05) > 1e-9)
    for low, high in ((found.ci_low, found.ci_high), (found.slope_low, found.slope_high)):
        assert (low[0, 0] > 0 or high[0, 0] < 0) == (found.p_value[0, 0] < 0.05)
    assert found.slope_low <= found.slope <= found.slope_high
    assert found.inflation >= 1


def test_days_that_decide_everything_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    size = np.where(np.arange(60) % 12 == 0, 8.0, 1.0)[:, None]
    driver, outcome = size * rng.standard_normal((60, 1)), size * rng.standard_normal((60, 1))
    assert infer(driver, outcome, np.array([[1.0]])).inflation > 1.5


def test_phases_in_which_both_are_volatile_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    growing = np.linspace(1, 6, 90)[:, None]
    first, second = rng.choice([-1.0, 1.0], (2, 90, 1))
    one, both = (infer(growing * first, size * second, np.array([[1.0]])).inflation for size in (1.0, growing))
    assert one == pytest.approx(1, abs=0.05)
    assert both > 1.3


def test_memory_in_both_series_widens_the_interval() -> None:
    cycle = np.sin(np.arange(120) * 2 * np.pi / 20)[:, None]
    rng = np.random.default_rng(2)
    driver, outcome = cycle + 0.1 * rng.standard_normal((120, 1)), rng.standard_normal((120, 1))
    remembering = np.roll(cycle, 5) + 0.1 * rng.standard_normal((120, 1))
    one, both = (infer(driver, other, np.array([[1.0]])).inflation for other in (outcome, remembering))
    assert both > 3 * one


def weeks_of(values: Reals) -> Reals:
    """Correlation of a column with each week that it could hold: (weeks, 1)."""
    held = np.array([np.isin(np.arange(len(values)), range(first, first + 5)) for first in range(len(values) - 4)])
    centred = held - held.mean(axis=1, keepdims=True)
    scores: Reals = centred @ (values - values.mean()) / np.sqrt((centred**2).sum(axis=1) * len(values))[:, None]
    return scores / values.std()


@pytest.mark.parametrize("direction", [1, -1])
def test_an_association_that_rests_on_one_shared_week_is_none(direction: int) -> None:
    driver, outcome = evenly_spread(60, 0.0)
    outcome *= np.sqrt(60)
    driver[20:25] -= 3.5
    outcome[20:25] -= 3.5 * direction
    kept = np.array([[1.0]])
    naive = infer(driver, outcome, kept)
    aware = infer(driver, outcome, kept, Events(weeks_of(driver), weeks_of(outcome)))
    assert naive.p_value < 0.05
    assert aware.p_value > 0.3
    assert aware.slope == naive.slope
    # What is left is the correlation of both without their mean in that week.
    week = np.isin(np.arange(60), range(20, 25)).astype(float)
    regressors = np.column_stack([week, np.ones(60)])
    rest = [column - regressors @ np.linalg.lstsq(regressors, column, rcond=None)[0] for column in (driver, outcome)]
    r = np.corrcoef(rest[0].ravel(), rest[1].ravel())[0, 1]
    assert aware.ci_low <= min(r, naive.ci_low[0, 0])
    assert aware.ci_high >= max(r, naive.ci_high[0, 0])


def test_a_week_that_stands_out_in_one_series_changes_nothing() -> None:
    rng = np.random.default_rng(9)
    driver = rng.standard_normal((60, 1))
    outcome = 0.5 * driver + rng.standard_normal((60, 1))
    events = Events(weeks_of(driver - 4.0 * np.isin(np.arange(60), range(20, 25))[:, None]), weeks_of(outcome))
    kept = np.array([[1.0]])
    assert infer(driver, outcome, kept, events).p_value == infer(driver, outcome, kept).p_value


def test_a_strong_association_survives_without_its_strongest_week() -> None:
    rng = np.random.default_rng(10)
    driver = rng.standard_normal((60, 1))
    outcome = driver + 0.7 * rng.standard_normal((60, 1))
    aware = infer(driver, outcome, np.array([[1.0]]), Events(weeks_of(driver), weeks_of(outcome)))
    assert aware.p_value < 1e-4


def test_four_of_five_samples_show_the_detectable_correlation() -> None:
    rng = np.random.default_rng(4)
    kept = np.array([[49 / 50]])
    planned = infer(*evenly_spread(50, 0.0), kept)
    r = min_detectable_r(planned, 1)[0, 0]
    assert r == pytest.approx(0.386, abs=0.01)
    hits = 0
    for _ in range(400):
        driver = rng.standard_normal((50, 1))
        outcome = r * driver + np.sqrt(1 - r**2) * rng.standard_normal((50, 1))
        hits += infer(driver, outcome, kept).p_value[0, 0] < 0.05
    assert hits / 400 == pytest.approx(0.8, abs=0.06)


def test_looking_for_more_takes_a_stronger_correlation() -> None:
    found = infer(*evenly_spread(50, 0.0), np.array([[1.0]]))
    assert min_detectable_r(found, 1) < min_detectable_r(found, 8) < min_detectable_r(found, 800) < 1
