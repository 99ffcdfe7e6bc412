"""A lake whose data lies in a bucket: written, read as it was, kept small; and what its credentials never do."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.backup import backup
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import Lake, Query, WriteResult
from prodlens_pipeline.warehouse.maintenance import compact, disk_use
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.retries import may_pass
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, STAMP, window

ROWS = 500


@pytest.fixture
def in_bucket(location: Location, bucket: str) -> Location:
    """An embedded catalog beside data in a bucket: PostgreSQL is tried in `test_concurrency.py`."""
    return replace(location, catalog="sqlite", data=bucket)


def _write(lake: Lake, label: str) -> WriteResult:
    days = window(0, 1)
    rows = f"select $window_start::date + (i % 2)::integer as day, i as id, '{label}' as label from range({ROWS}) t(i)"
    return lake.overwrite(EVENTS, days, Query(rows, days.parameters), STAMP)


def _labels(lake: Lake) -> list[tuple[str, int]]:
    return [(str(label), int(rows)) for label, rows in lake.rows("select label, count(*) from core.events group by 1")]


def _objects(lake: Lake, bucket: str) -> int:
    return int(lake.value("select count(*) from glob($all)", {"all": f"{bucket}/core/events/**/*.parquet"}))


def test_days_are_overwritten_read_as_they_were_and_cleaned_up(in_bucket: Location, bucket: str) -> None:
    with open_lake(in_bucket) as lake:
        migrate(lake)
        assert _write(lake, "first").committed
        before = int(lake.value("select max(snapshot_id) from ducklake_snapshots('prodlens')"))
        for label in ("second", "third"):
            assert _write(lake, label).committed
    with open_lake(in_bucket, read_only=True, snapshot=before) as lake:
        assert _labels(lake) == [("first", ROWS)]
    with open_lake(in_bucket) as lake:
        objects = _objects(lake, bucket)
        compact(lake, keep_snapshots=timedelta(0), longest_read=timedelta(0))
        assert (objects, _objects(lake, bucket)) == (3, 1)
        assert _labels(lake) == [("third", ROWS)]
    assert not list(in_bucket.home.rglob("*.parquet"))
    assert "lake" not in disk_use(in_bucket, in_bucket.home / "landing"), "unknown is not 0 bytes"


def test_a_store_that_is_away_costs_no_row(in_bucket: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_lake(in_bucket) as lake:
        migrate(lake)
        _write(lake, "first")
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        with open_lake(in_bucket) as lake, pytest.raises(duckdb.Error) as caught:
            _write(lake, "second")
    assert "a+secret" not in str(caught.value)
    assert may_pass(caught.value), "so that the step is tried again"
    assert not may_pass(duckdb.IOException("No space left on device"))
    with open_lake(in_bucket) as lake:
        assert _labels(lake) == [("first", ROWS)]
        assert _write(lake, "second").committed
        assert _labels(lake) == [("second", ROWS)]


def test_the_secret_stays_in_memory(in_bucket: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a+secret+token")
    with open_lake(in_bucket) as lake:
        migrate(lake)
        ((persistent, known),) = lake.rows("select persistent, secret_string from duckdb_secrets()")
    assert not persistent
    assert "a+secret" not in known
    files = [path for path in in_bucket.home.rglob("*") if path.is_file() and "extensions" not in path.parts]
    assert files
    assert not [path for path in files if b"a+secret" in path.read_bytes()]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_ACCESS_KEY_ID", None, "AWS_ACCESS_KEY_ID is not set"),
        ("AWS_SECRET_ACCESS_KEY", None, "AWS_SECRET_ACCESS_KEY is not set"),
        ("AWS_ENDPOINT_URL_S3", None, "AWS_REGION is not set"),
        ("AWS_ENDPOINT_URL_S3", "store:9000", "http(s)://host[:port]"),
        ("AWS_ENDPOINT_URL_S3", "https://me:a+secret@store", "without credentials"),
    ],
)
def test_an_environment_that_does_not_say_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extensions: Path, variable: str, value: str | None, said: str
) -> None:
    complete = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_S3": "http://store"}
    for name in (*complete, "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, text in (complete | {variable: value}).items():
        if text is not None:
            monkeypatch.setenv(name, text)
    (tmp_path / "extensions").symlink_to(extensions)
    with (
        pytest.raises(WarehouseError, match=re.escape(said)) as caught,
        open_lake(Location(tmp_path, "sqlite", "s3://team/lake")),
    ):
        pass
    assert "a+secret" not in str(caught.value)


def test_what_the_configuration_may_say(tmp_path: Path) -> None:
    def data_of(text: str) -> Path | str:
        settings = Settings(root=tmp_path, home=tmp_path / "home", warehouse={"data": text})
        made = Warehouse.of(settings)
        assert Location.at(settings.home, made.catalog, made.data) == Location.of(settings)
        return Location.of(settings).data

    assert data_of("s3://team/lake/") == "s3://team/lake"
    assert data_of("parquet") == tmp_path / "parquet"
    for wrong in ("s3://team", "s3://key:secret@team/lake", "gs://team/lake", "s3://team/lake?endpoint=x", "s3://T/'"):
        with pytest.raises(ValueError, match="must be a folder or s3://bucket/prefix"):
            data_of(wrong)


def test_a_backup_says_that_the_data_lies_in_a_bucket(tmp_path: Path) -> None:
    location = Location(tmp_path, "sqlite", "s3://team/lake")
    with pytest.raises(WarehouseError, match="s3://team/lake: the data lies in a bucket"):
        backup(location, tmp_path / "landing", tmp_path / "saved")
