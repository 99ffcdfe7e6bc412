"""Rows of docs/troubleshooting.md that no room tests: what is seen is what the page says, and its remedy helps."""

import pytest
from filelock import FileLock

from prodlens_pipeline.pipeline import dagster_instance
from prodlens_pipeline.warehouse import lake as lakes
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.pipeline import settings_for


@pytest.mark.embedded("a catalog on a server has no such lock")
def test_a_writer_that_hangs_is_said_and_when_it_is_gone_others_write(tmp_path, monkeypatch):
    monkeypatch.setattr(lakes, "LOCK_TIMEOUT_SECONDS", 0.1)
    location = Location.of(settings_for(tmp_path))
    with open_lake(location) as lake:
        with (
            FileLock(location.home / "lake.lock"),
            pytest.raises(WarehouseError, match=r"lake\.lock: another process has been writing for 0\.1 s"),
        ):
            migrate(lake)
        migrate(lake)


def test_records_of_dagster_that_cannot_be_written_are_said_with_the_room_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "")
    settings = settings_for(tmp_path)
    in_the_way = settings.home / "dagster" / "history" / "runs.db"
    in_the_way.mkdir(parents=True)

    def count() -> int:
        with dagster_instance(settings) as instance:
            return instance.get_runs_count()

    with pytest.raises(WarehouseError, match=r"dagster: Dagster's records cannot be .* MiB of the disk are free"):
        count()
    in_the_way.rmdir()
    assert count() == 0
