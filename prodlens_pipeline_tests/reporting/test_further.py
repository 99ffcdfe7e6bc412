"""The sentences of event studies and configurations: of exactly the report's window, each once."""

from collections.abc import Iterator
from datetime import date

import pytest

from prodlens_pipeline.reporting.further import Further, further
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.pipeline import lake_in_memory

TABLES = ("analysis.event_studies", "analysis.model_comparison")
WINDOW = Window(date(2026, 3, 1), date(2026, 4, 1))


FILL = """
create table analysis.event_studies as
select *, 'commits' as outcome, date '2026-03-10' as first_date, date '2026-03-01' as window_start,
    date '2026-03-31' as window_end
from (values
    ('x', 'ok', 'after x'),
    ('x', 'ok', 'after x'),
    ('y', 'not enough data', 'nothing')
) as t(intervention, status, reading);
create table analysis.model_comparison as
select 'model' as setting, 's' as configuration, 9 as sessions, 'as good' as reading, 'best' as standing,
    date '2026-03-01' as window_start, date '2026-03-31' as window_end;
"""


@pytest.fixture
def lake() -> Iterator[Lake]:
    with lake_in_memory() as opened:
        opened.execute(FILL)
        yield opened


def test_what_may_be_said_is_said_once(lake: Lake) -> None:
    assert further(lake, WINDOW, TABLES) == Further(("after x",), ("as good",))


def test_another_window_has_none_of_them(lake: Lake) -> None:
    assert further(lake, Window(date(2026, 3, 2), date(2026, 4, 1)), TABLES) == Further((), ())


def test_a_lake_without_the_tables_has_none(lake: Lake) -> None:
    assert further(lake, WINDOW, ()) == Further((), ())
