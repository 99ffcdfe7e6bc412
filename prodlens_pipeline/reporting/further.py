"""What the other analyses found in the same window, in their own sentences.

Belongs here: reading the sentences of event studies and configurations. Does not: computing or wording them.
"""

from collections.abc import Container
from dataclasses import dataclass

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

_MOST = 8


@dataclass(frozen=True)
class Further:
    """Sentences: `events` before and after interventions, `configurations` that work best."""

    events: tuple[str, ...]
    configurations: tuple[str, ...]


_EVENTS = """
select reading from analysis.event_studies
where window_start = $first and window_end = $last and status <> 'not enough data'
order by first_date, intervention, outcome
"""
_CONFIGURATIONS = """
select reading from analysis.model_comparison
where window_start = $first and window_end = $last and standing = 'best'
order by setting desc, sessions desc, configuration
"""


def further(lake: Lake, window: Window, tables: Container[str]) -> Further:
    """The sentences about exactly this window; none where it is another one than the tables were made for."""
    return Further(
        events=_sentences(lake, _EVENTS, "analysis.event_studies", window, tables),
        configurations=_sentences(lake, _CONFIGURATIONS, "analysis.model_comparison", window, tables),
    )


def _sentences(lake: Lake, sql: str, table: str, window: Window, tables: Container[str]) -> tuple[str, ...]:
    if table not in tables:
        return ()
    found = lake.rows(sql, {"first": window.days[0], "last": window.days[-1]})
    return tuple(dict.fromkeys(row[0] for row in found))[:_MOST]
