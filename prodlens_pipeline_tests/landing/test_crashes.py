"""`kill -9` at any moment of collecting and of writing a table, then a rerun: nothing is lost, nothing is doubled."""

import multiprocessing
import random
import time
from pathlib import Path

from prodlens_pipeline.warehouse.opening import open_lake
from prodlens_pipeline_tests.landing.crashes import TABLE, collect_and_write
from prodlens_pipeline_tests.landing.notes import letters, note, sums, text_of
from prodlens_pipeline_tests.places import location_of

KILLS = 52


def test_no_record_is_lost_or_doubled(tmp_path: Path) -> None:
    location = location_of(tmp_path)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["prodlens_pipeline_tests.landing.crashes"])
    chance = random.Random(7)  # noqa: S311
    expected: set[tuple[str, int, str]] = set()
    lines: dict[str, int] = {}
    refused = 0

    def grow() -> None:
        """Some lines more in an old or a new file; the last of them may lack its end."""
        nonlocal refused
        for _ in range(3):
            path = tmp_path / "logs" / f"{chance.randrange(12)}.jsonl"
            path.parent.mkdir(exist_ok=True)
            for _ in range(chance.randrange(200)):
                line = lines[path.name] = lines.get(path.name, 0) + 1
                name = f"{path.name}-{line}-{chance.random()}"
                bad = chance.random() < 0.05
                with path.open("ab") as file:
                    file.write(b"broken\n" if bad else text_of([note(name)]))
                refused += bad
                expected.update(() if bad else {(path.name, line, name)})

    def run(seconds: float | None) -> bool:
        """Whether it was killed before its end."""
        process = processes.Process(target=collect_and_write, args=(tmp_path, location))
        process.start()
        process.join(seconds)
        killed = process.is_alive()
        process.kill()
        process.join()
        assert killed or process.exitcode == 0
        return killed

    grow()
    run(None)
    began = time.monotonic()
    grow()
    run(None)
    usual = time.monotonic() - began
    kills = 0
    while kills < KILLS:
        grow()
        kills += run(chance.uniform(0.02, usual * 1.1))
    grow()
    run(None)

    with open_lake(location, read_only=True) as lake:
        read, accepted, rejected = sums(lake)
        assert (read, accepted, rejected) == (len(expected) + refused, len(expected), refused)
        assert [status for _, _, status, _ in letters(lake)] == ["rejected"] * refused
        found = lake.rows(f"select parse_filename(source_file), line, name from {TABLE.full_name}")
        assert len(found) == len(expected) and set(found) == expected
        ends = lake.rows("select byte_start, byte_end from ops.landing_chunks order by source_file, byte_start")
        assert all(start < end for start, end in ends)
