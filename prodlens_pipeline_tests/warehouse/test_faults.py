"""What goes wrong outside while a table is written: no row is lost or doubled, and writing again heals.

A kill while collecting is in `landing/test_crashes.py`; runs, daemons and workers are killed in `integration/`.
"""

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest
import requests

from prodlens_pipeline.warehouse import retries
from prodlens_pipeline.warehouse.assets import table_asset
from prodlens_pipeline.warehouse.lake import Lake, Query
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.retries import may_pass
from prodlens_pipeline_tests.servers import postgresql_server
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, PLAIN, STAMP, data_files, on, window

ROWS = 20_000
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def write(lake: Lake, label: str, rows: int = ROWS) -> None:
    """One day whose rows all have one label, and hardly compress."""
    days = window(0)
    select = (
        f"select $window_start::date as day, i as id, '{label}' || md5(i::varchar) as label from range({rows}) t(i)"
    )
    assert lake.overwrite(EVENTS, days, Query(select, days.parameters), STAMP).committed


def labels(location: Location) -> list[tuple[str, int]]:
    with open_lake(location, read_only=True) as lake:
        return [
            (str(label), int(rows))
            for label, rows in lake.rows("select left(label, 1), count(*) from core.events group by all order by all")
        ]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_leaves_the_old_rows_and_is_not_tried_again(location: Location, tiny_disk: Path) -> None:
    full = replace(location, data=tiny_disk)
    with open_lake(full) as lake:
        migrate(lake)
        write(lake, "a", rows=2_000)
        with pytest.raises(duckdb.Error, match="No space left on device") as caught:
            write(lake, "b", rows=100_000)
        assert not may_pass(caught.value)
    assert labels(full) == [("a", 2_000)]
    subprocess.run(["mount", "-o", "remount,size=9m", tiny_disk], check=True)
    with open_lake(full) as lake:
        write(lake, "c", rows=2_000)
    assert labels(full) == [("c", 2_000)]


def _killed_before_the_commit(location: Location) -> None:
    with open_lake(location) as lake:
        lake._record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment]
        write(lake, "b")


def test_a_power_cut_between_the_data_and_the_catalog(location: Location) -> None:
    with open_lake(location) as lake:
        migrate(lake)
        write(lake, "a")
        known = data_files(lake, location)
    process = get_context("spawn").Process(target=_killed_before_the_commit, args=(location,))
    process.start()
    process.join(60)

    assert process.exitcode == -signal.SIGKILL
    assert labels(location) == [("a", ROWS)]
    with open_lake(location) as lake:
        assert data_files(lake, location) > known, "the data was written, and nobody refers to it"
        write(lake, "c")
        assert lake.value("select count(*) from ops.etl_runs") == 2
    assert labels(location) == [("c", ROWS)]


def test_a_catalog_that_is_restarted_in_the_middle_of_a_write(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0)
    people = pl.DataFrame({"name": ["ana"], "size": [170]})
    asset = table_asset(PLAIN, lambda *_: people, group="core", kinds={"python"}, partitions=None, code_version="1")
    record = Lake._record
    restarts = 0
    with postgresql_server() as server, dg.DagsterInstance.ephemeral() as instance:

        def restarting(*arguments: Any) -> Any:
            """The rows are written, and their commit is still to come."""
            nonlocal restarts
            if not restarts:
                server.stop()
                server.start()
            restarts += 1
            return record(*arguments)

        monkeypatch.setattr(Lake, "_record", restarting)
        served = replace(location, catalog=server.create())
        warehouse = Warehouse(home=str(served.home), catalog=served.catalog, data=str(served.data), config_hash="x")
        done = dg.materialize(
            [asset], instance=instance, resources={"warehouse": warehouse}, raise_on_error=False, run_config=QUIET
        )
        assert done.success
        assert restarts == 2, "the step was tried again"
        with open_lake(served, read_only=True) as lake:
            assert lake.rows("select name, size from core.people") == [("ana", 170)]
            assert lake.value("select count(*) from ops.etl_runs") == 1


class Unreliable(BaseHTTPRequestHandler):
    """Passes requests on to a store, but fails some of them in the ways that stores do."""

    protocol_version = "HTTP/1.1"
    store: str
    chance: random.Random
    share: float
    failed: int

    def do_GET(self) -> None:
        kind = type(self)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if kind.chance.random() < kind.share:
            kind.failed += 1
            self._fail(kind.chance.choice(("503", "cut off", "too late")))
            return
        answer = requests.request(
            self.command, kind.store + self.path, data=body, headers=dict(self.headers), timeout=30, stream=True
        )
        content = answer.raw.read()
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        length = answer.headers["Content-Length"] if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def _fail(self, how: str) -> None:
        if how == "too late":
            threading.Event().wait(0.3)
        if how != "503":
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def unreliable(store: str, share: float) -> Iterator[tuple[str, type[Unreliable]]]:
    """The endpoint of a store that fails a share of all requests."""
    handler = type("Handler", (Unreliable,), {"store": store, "chance": random.Random(7), "share": share, "failed": 0})  # noqa: S311
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


def test_a_store_that_fails_now_and_then_costs_time_only(
    location: Location, bucket: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_bucket = replace(location, data=bucket)
    with open_lake(in_bucket) as lake:
        migrate(lake)
    attempts = 0
    with unreliable(store, share=0.15) as (endpoint, handler):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        for label in "abcdef":
            while True:
                attempts += 1
                try:
                    with open_lake(in_bucket) as lake:
                        write(lake, label, rows=1_000)
                except duckdb.Error as error:
                    assert may_pass(error), error
                    continue
                break
        assert handler.failed > 3
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store)
    assert labels(in_bucket) == [("f", 1_000)]
    with open_lake(in_bucket, read_only=True) as lake:
        assert lake.value("select count(*) from ops.etl_runs") == 6
        assert lake.rows("select day, count(*) from core.events group by day") == [(on(0), 1_000)]
