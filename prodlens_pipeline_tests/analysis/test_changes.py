"""The words of a comparison, and how often they err."""

from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from prodlens_pipeline.analysis.changes import MINIMUM_DAYS, DailyValues, Verdict, changes

START = date(2026, 1, 5)


def halves(values, first: int) -> tuple[DailyValues, DailyValues]:
    days = [START + timedelta(days=n) for n in range(len(values))]
    return DailyValues(days[:first], values[:first]), DailyValues(days[first:], values[first:])


def daily(random, days: int, memory: float, weekly: bool):
    """Noise that remembers the day before, on a level that drops at weekends."""
    values = np.empty(days)
    values[0] = random.normal() / np.sqrt(1 - memory**2)
    for n in range(1, days):
        values[n] = memory * values[n - 1] + random.normal()
    level = np.where(np.arange(days) % 7 < 5, 8.0, 1.0) if weekly else 0.0
    return values + level


@pytest.mark.parametrize(("first", "second"), [(14, 14), (28, 28), (90, 30)])
@pytest.mark.parametrize(("memory", "weekly"), [(0.0, False), (0.5, False), (0.5, True)])
def test_where_nothing_changed_it_says_so_in_19_of_20(first: int, second: int, memory: float, weekly: bool) -> None:
    random = np.random.default_rng(5)
    pairs = [halves(daily(random, first + second, memory, weekly), first) for _ in range(400)]
    alarms = sum(changes([pair])[0].verdict == Verdict.CHANGED for pair in pairs)
    assert alarms <= stats.binom.ppf(0.995, 400, 0.065)


def test_the_interval_covers_the_truth_and_a_large_change_is_seen() -> None:
    random = np.random.default_rng(6)
    found = []
    for _ in range(300):
        values = daily(random, 56, 0.3, weekly=True)
        values[28:] += 2
        found += changes([halves(values, 28)])
    covered = sum(one.low <= 2 <= one.high for one in found)
    assert 0.92 <= covered / 300 <= 0.985
    assert sum(one.verdict == Verdict.CHANGED for one in found) > 280


def test_independent_days_give_nearly_welchs_interval() -> None:
    values = np.random.default_rng(2).normal(size=400)
    before, after = halves(values, 200)
    (found,) = changes([(before, after)])
    known = stats.ttest_ind(after.values, before.values, equal_var=False).confidence_interval()
    assert found.low == pytest.approx(known.low, abs=0.05)
    assert found.high == pytest.approx(known.high, abs=0.05)


def test_q_accounts_for_everything_compared() -> None:
    random = np.random.default_rng(3)
    pairs = [halves(random.normal(size=60), 30) for _ in range(30)]
    found = changes(pairs)
    expected = stats.false_discovery_control([one.p_value for one in found])
    assert [one.q_value for one in found] == pytest.approx(list(expected), rel=1e-12)
    assert changes(pairs[:1])[0].q_value == found[0].p_value


@pytest.mark.parametrize("size", [0, 1, MINIMUM_DAYS - 1])
def test_few_days_are_not_enough(size: int) -> None:
    (found,) = changes([halves([1.0] * (size + 40), size)])
    assert (found.verdict, found.low, found.days_before) == (Verdict.NOT_ENOUGH_DATA, None, size)


def test_days_that_are_all_alike_need_no_interval() -> None:
    same, other = changes([halves([2.0] * 40, 20), halves([2.0] * 20 + [3.0] * 20, 20)])
    assert (same.verdict, same.difference) == (Verdict.NO_CLEAR_CHANGE, 0)
    assert (other.verdict, other.difference, other.low) == (Verdict.CHANGED, pytest.approx(1), other.high)


def test_windows_of_different_weekdays_are_still_compared() -> None:
    weekdays = [START + timedelta(days=n) for n in range(140) if (START + timedelta(days=n)).weekday() == 0]
    weekends = [day + timedelta(days=5) for day in weekdays]
    random = np.random.default_rng(4)
    (found,) = changes([(DailyValues(weekdays, random.normal(size=20)), DailyValues(weekends, random.normal(size=20)))])
    assert found.verdict == Verdict.NO_CLEAR_CHANGE
