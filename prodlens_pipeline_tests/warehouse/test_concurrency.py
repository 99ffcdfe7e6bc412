"""Several writers and readers at once, wherever the lake lives: nothing lost, nothing half-seen, nobody fails."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from prodlens_pipeline.warehouse.lake import Query
from prodlens_pipeline.warehouse.migrations import migrate, read_migrations
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, STAMP, on, window

ROUNDS = 5
ROWS = 40
DAYS = 2
"""The days of each writer, written in one range."""


EMBEDDED = pytest.mark.embedded("it takes one writer at a time")


@pytest.fixture(params=[pytest.param("sqlite", marks=EMBEDDED), "postgresql", "postgresql and bucket"])
def shared(request: pytest.FixtureRequest, location: Location) -> Location:
    """The same lake thrice: embedded, with a served catalog, and with its data in a bucket too."""
    if request.param == "sqlite":
        return location
    data = request.getfixturevalue("bucket") if request.param.endswith("bucket") else location.home / "lake"
    return Location(location.home, request.getfixturevalue("postgresql"), data)


def _write(location: Location, first_day: int) -> None:
    with open_lake(location) as lake:
        for turn in range(ROUNDS):
            days = window(first_day, first_day + DAYS - 1)
            rows = Query(
                f"select $window_start::date + (i % {DAYS})::integer as day, i as id, '{turn}' as label "
                f"from range({ROWS * DAYS}) t(i)",
                days.parameters,
            )
            assert lake.overwrite(EVENTS, days, rows, STAMP).committed


def _read(location: Location, until: Path) -> tuple[int, list[Any]]:
    """How many reads there were, and what was seen that must never be seen."""
    reads, wrong = 0, []
    with open_lake(location, read_only=True) as lake:
        while not until.exists() or not reads:
            days = lake.rows(
                "select day, count(*), count(distinct label), min(label)::integer from core.events group by day"
            )
            wrong += [day for day in days if day[1:3] != (ROWS, 1)]
            reads += 1
            time.sleep(0.02)
    return reads, wrong


def test_writers_and_readers_do_not_disturb_each_other(shared: Location, tmp_path: Path) -> None:
    with open_lake(shared) as lake:
        migrate(lake)
        lake.overwrite(EVENTS, window(0), Query("select null::date as day, 1 as id, '' as label limit 0"), STAMP)
    writing, reading = (4, 2) if shared.folder else (2, 1)
    finished = tmp_path / "finished"
    with ProcessPoolExecutor(writing + reading, mp_context=get_context("spawn")) as pool:
        readers = [pool.submit(_read, shared, finished) for _ in range(reading)]
        writers = [pool.submit(_write, shared, number * DAYS) for number in range(writing)]
        try:
            for writer in writers:
                writer.result(timeout=120)
        finally:
            finished.touch()
        seen = [reader.result(timeout=60) for reader in readers]
    assert [wrong for _, wrong in seen] == [[]] * reading
    assert min(reads for reads, _ in seen) > 1, "nobody read while others wrote"
    with open_lake(shared, read_only=True) as lake:
        assert lake.rows("select day, count(*), min(label), max(label) from core.events group by day order by day") == [
            (on(day), ROWS, str(ROUNDS - 1), str(ROUNDS - 1)) for day in range(writing * DAYS)
        ]
        assert lake.value("select count(*) from ops.etl_runs") == writing * ROUNDS + 1
    if shared.folder is None:
        assert not list(shared.home.rglob("*.parquet")), "the data belongs in the bucket"


@pytest.mark.embedded("the catalog's file is created")
def test_opening_a_new_lake_at_once_creates_one(location: Location) -> None:
    homes = [
        replace(location, home=location.home / str(number), data=location.data / str(number)) for number in range(4)
    ]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        for home in homes:
            assert list(pool.map(_create, [home] * 3)) == [len(read_migrations())] * 3
            assert not list(home.home.glob("*.creating*"))


def test_opening_a_new_lake_at_once_on_a_server_creates_one(location: Location, postgresql: str) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        served = Location(location.home, postgresql, location.data)
        assert list(pool.map(_create, [served] * 3)) == [len(read_migrations())] * 3


def _create(location: Location) -> int:
    with open_lake(location) as lake:
        return migrate(lake)
