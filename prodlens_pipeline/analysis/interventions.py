"""What changed, for whom and when: adoption of AI, switches of the model, and what the configuration names.

Belongs here: finding the dates in the data. Does not: what came of them (`event_studies`).

A date counts as found only if enough days before it are known: who uses AI, or a model, in the first days of the data
may have done so for years, and can neither be an adopter nor be compared with one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prodlens_pipeline.settings import Intervention as Configured
from prodlens_pipeline.warehouse.config_history import ConfigChange, configuration_history
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

DAYS_BEFORE = 28
"""Days of data that an adoption needs before it."""
MAJORITY_DAYS = 14
"""A switch shows in as many days after it against as many before."""
MINIMUM_CALLS = 10
"""Calls that either of these needs."""
NO_DIFFERENCE = frozenset({"team", "thresholds", "interventions", "redact", "survey"})
"""Keys of the configuration that change neither what developers do nor how their delivery is counted."""
MEASURING = frozenset({"start_date", "sources", "repositories", "identities", "session_idle_minutes"})
"""Keys that change what is counted: a figure may step by that alone."""

Integers = NDArray[np.int64]


class Kind(StrEnum):
    """Where an intervention comes from."""

    ADOPTION = "adoption"
    MODEL = "model switch"
    CONFIGURED = "configured"
    CONFIGURATION = "configuration change"


@dataclass(frozen=True)
class Intervention:
    """Something that starts on a day, per developer. Developers without a date were never reached by it.

    `excluded` are developers whose date is unknown because it lies before the data.
    """

    name: str
    kind: Kind
    dates: Mapping[str, date]
    excluded: frozenset[str] = field(default_factory=frozenset)


def interventions(
    lake: Lake, window: Window, developers: Sequence[str], configured: Iterable[Configured]
) -> list[Intervention]:
    """Everything that may have changed something for `developers` within `window`, in a fixed order."""
    calls = lake.frame(
        "select developer_id, model, day, count(*) as calls from core.llm_calls "
        "where list_contains($developers::varchar[], developer_id) group by all order by all",
        {"developers": list(developers)},
    )
    began = lake.value("select min(day) from core.llm_calls")
    found = [
        *adoptions(calls, began),
        *model_switches(calls),
        *(_configured(one, developers) for one in configured),
        *configuration_changes(configuration_history(lake), developers),
    ]
    return [one for one in found if any(window.start < day < window.end for day in one.dates.values())]


def adoptions(calls: pl.DataFrame, began: date | None) -> list[Intervention]:
    """The first call of every developer: rows of `calls` are developers, models and days; data begin on `began`."""
    first = dict(calls.group_by("developer_id").agg(pl.col("day").min()).sort("developer_id").iter_rows())
    if not first or began is None:
        return []
    dates = {name: day for name, day in first.items() if day >= began + timedelta(days=DAYS_BEFORE)}
    return [Intervention("AI adoption", Kind.ADOPTION, dates, frozenset(first.keys() - dates.keys()))] if dates else []


def model_switches(calls: pl.DataFrame) -> list[Intervention]:
    """One intervention per model: the first day from which on it answers most of a developer's calls."""
    dates: dict[str, dict[str, date]] = {}
    already: dict[str, set[str]] = {}
    for (developer,), own in calls.sort("developer_id", "day", "model").group_by("developer_id", maintain_order=True):
        first = own["day"].min()
        if not isinstance(first, date):
            continue
        position = ((own["day"] - first).dt.total_days()).to_numpy()
        total = _by_day(position, own["calls"].to_numpy(), int(position.max()) + 1)
        for (model,), used in own.group_by("model", maintain_order=True):
            place = ((used["day"] - first).dt.total_days()).to_numpy()
            switched = _majority_from(_by_day(place, used["calls"].to_numpy(), len(total)), total)
            if switched is not None:
                dates.setdefault(str(model), {})[str(developer)] = first + timedelta(days=switched)
            elif _majority_at_first(_by_day(place, used["calls"].to_numpy(), len(total)), total):
                already.setdefault(str(model), set()).add(str(developer))
    return [
        Intervention(f"switch to {model}", Kind.MODEL, starts, frozenset(already.get(model, set())))
        for model, starts in sorted(dates.items())
    ]


def configuration_changes(history: Sequence[ConfigChange], developers: Sequence[str]) -> list[Intervention]:
    """Every configuration but the first that may touch what is done or measured; it concerns everybody."""
    return [
        Intervention(_described(one), Kind.CONFIGURATION, dict.fromkeys(developers, one.day))
        for one in history[1:]
        if one.changed is None or not NO_DIFFERENCE.issuperset(one.changed)
    ]


def _described(change: ConfigChange) -> str:
    """Its hash and what changed; also whether measuring changed, by which alone a figure may step."""
    name = f"configuration {change.config_hash[:8]}"
    if change.changed is None:
        return name
    keys = [key for key in change.changed if key not in NO_DIFFERENCE]
    measures = "; it changes what is measured" if MEASURING.intersection(keys) else ""
    return f"{name} ({', '.join(keys)}{measures})"


def _configured(one: Configured, developers: Sequence[str]) -> Intervention:
    reached = developers if one.developers is None else one.developers
    return Intervention(one.name, Kind.CONFIGURED, dict.fromkeys(reached, one.day))


def _by_day(position: Integers, calls: Integers, days: int) -> Integers:
    """Calls summed up to each day: entry d counts the days before d."""
    return np.concatenate([[0], np.cumsum(np.bincount(position, calls, minlength=days).astype(np.int64))])


def _majority_from(used: Integers, total: Integers) -> int | None:
    """The first day that the model is used from which on it has the majority, and before which it had not."""
    days = len(total) - 1
    day = np.arange(MAJORITY_DAYS, days)
    end = np.minimum(day + MAJORITY_DAYS, days)
    before, after = total[day] - total[day - MAJORITY_DAYS], total[end] - total[day]
    was, became = used[day] - used[day - MAJORITY_DAYS], used[end] - used[day]
    enough = (before >= MINIMUM_CALLS) & (after >= MINIMUM_CALLS) & (used[day + 1] > used[day])
    switched = np.flatnonzero(enough & (2 * became > after) & (2 * was <= before))
    return int(day[switched[0]]) if len(switched) else None


def _majority_at_first(used: Integers, total: Integers) -> bool:
    last = min(MAJORITY_DAYS, len(total) - 1)
    return bool(2 * used[last] > total[last])
