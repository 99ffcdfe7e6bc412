"""Many files are read by several processes: with the same result as by one, and none is left over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prodlens_pipeline.landing import collector
from prodlens_pipeline.landing.workers import in_processes
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.landing.notes import AT, land, note, text_of
from prodlens_pipeline_tests.pipeline import lake_in_memory

MANIFEST = (
    "select source_file, line_end, accepted, rejected, first_event_at from ops.landing_chunks order by all",
    "select source_file, line, reason, status from ops.dead_letters order by all",
    "select kind, name from ops.format_fields order by all",
)


def test_the_result_is_that_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        notes = [note(f"{number}/{line}") for line in range(100)]
        folder = tmp_path / "logs"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:02}.jsonl").write_bytes(text_of([*notes, {"name": 3, "at": AT}, b'{"name":']).rstrip(b"\n"))
    files = [*sorted((tmp_path / "logs").iterdir()), tmp_path / "logs" / "missing.jsonl"]

    def manifest(lake: Lake) -> list[object]:
        return [lake.rows(sql) for sql in MANIFEST]

    with lake_in_memory() as alone:
        by_one = land(alone, tmp_path / "one", *files)
        expected = manifest(alone)
    monkeypatch.setattr(collector, "GROUP_BYTES", 15_000)
    monkeypatch.setattr(collector, "MANY_GROUPS", 2)
    with lake_in_memory() as lake:
        by_several = land(lake, tmp_path / "several", *files)
        assert manifest(lake) == expected
        assert land(lake, tmp_path / "several", *files).accepted == 0
    assert by_several == by_one and by_one.pending == 12 and len(by_one.unreadable) == 1


def test_what_fails_is_raised(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(in_processes(os.listdir, [tmp_path, tmp_path / "missing"]))


PARENT = """
import os, time
from prodlens_pipeline.landing.workers import in_processes
from prodlens_pipeline_tests.landing.test_workers import say_and_wait
if __name__ == "__main__":
    list(in_processes(say_and_wait, [1, 2]))
"""


def say_and_wait(_: int) -> None:
    """What a worker does until its parent is killed."""
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(60)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    parent.stdout.close()
    assert not Path(f"/proc/{worker}").exists()
