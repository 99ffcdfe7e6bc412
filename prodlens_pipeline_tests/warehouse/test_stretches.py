"""A window is made in stretches of so many records, whatever the days hold."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlens_pipeline.landing.manifest import Extent, record_landing
from prodlens_pipeline.warehouse import stretches
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.stretches import Stretches
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.pipeline import lake_in_memory
from prodlens_pipeline_tests.warehouse.conftest import EVENTS

FIRST = date(2026, 3, 2)


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    with lake_in_memory() as lake:
        yield lake


def enter(lake: Lake, *extents: tuple[int, list[date]]) -> None:
    """Tell the manifest of so many records of these days."""
    with lake.transaction():
        lake.execute("delete from ops.landing_chunks")
    record_landing(
        lake,
        source="notes",
        source_name="notes",
        chunk=None,
        letters=[],
        extents=[
            Extent("log", "", 0, 0, 1, 0, 1, accepted, accepted, 0, None, None, tuple(days), tuple(days))
            for accepted, days in extents
        ],
    )


def on(number: int) -> date:
    return FIRST + timedelta(days=number)


@given(records=st.lists(st.integers(0, 90_000), min_size=1, max_size=20), gap=st.integers(0, 5))
def test_all_days_are_made_once_and_no_more_at_a_time_than_fits(lake: Lake, records: list[int], gap: int) -> None:
    days = [on(number) for number in range(len(records))]
    landed = dict(zip(days, records, strict=True))
    enter(lake, *((count, [day]) for day, count in landed.items()))
    windows = [Window(on(0), on(len(days))), Window(on(len(days) + gap), on(len(days) + gap + 3))]

    cut = Stretches(lake).of(windows, EVENTS)

    assert [day for stretch in cut for day in stretch.days] == [day for window in windows for day in window.days]
    for stretch in cut:
        total = sum(landed.get(day, 0) for day in stretch.days)
        assert total <= stretches.RECORDS or sum(landed.get(day, 0) > 0 for day in stretch.days) == 1
    for one, following in pairwise(cut):
        if one.end == following.start and one.end not in {window.start for window in windows}:
            together = sum(landed.get(day, 0) for day in (*one.days, following.start))
            assert together > stretches.RECORDS, "a write costs more than its rows: no more of them than it takes"


def test_the_records_of_a_chunk_are_spread_over_its_days(lake: Lake) -> None:
    enter(lake, (4 * stretches.RECORDS, [on(number) for number in range(8)]))
    assert [len(stretch.days) for stretch in Stretches(lake).of([Window(on(0), on(8))], EVENTS)] == [2, 2, 2, 2]


def test_a_raw_table_takes_more_at_a_time(lake: Lake) -> None:
    enter(lake, (4 * stretches.RECORDS, [on(number) for number in range(8)]))
    assert len(Stretches(lake).of([Window(on(0), on(8))], replace(EVENTS, schema="raw"))) == 1
