"""Row 4: a day more on a year's warehouse, and how long questions take, alone and while a backfill writes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np

from bench import inputs
from bench.measure import ROOT, Contender, ContenderError, Sample, python, run
from bench.sizes import Size
from bench.table import Result, Table, Target, spread
from prodlens_pipeline.settings import load_settings

_SQL = "select developer_id, sum(cost_usd) as usd from marts.daily_developer group by all order by all"
_STOCK = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]).fetchall())"
_HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"


def measure(size: Size, work: Path) -> Result:
    """Build the warehouse once, then ask."""
    days = size.backfill_days
    team = inputs.team(work / f"team-{days}", days=days)
    home, config = work / "latency", team / "prodlens.yaml"
    shutil.rmtree(home, ignore_errors=True)
    environment = {"PRODLENS_HOME": str(home)}
    first = load_settings(config).start_date
    last = first + timedelta(days=days - 1)

    def asks(name: str, *arguments: str) -> Contender:
        command = python("contenders.prod_lens", *arguments, "--config", config)
        return Contender(name, command, environment=environment)

    whole = asks("backfill", "run", "--from", str(first), "--to", str(last))
    built = run(whole)
    day_more = asks("run: one day again, statistics included", "run", "--from", str(last), "--to", str(last))
    increments = [run(day_more) for _ in range(size.repeats)]
    nothing = [run(asks("run: nothing new", "run")) for _ in range(size.repeats)]
    questions = [
        asks("report --format json", "report", "--format", "json"),
        asks("sql", "sql", _SQL, "--format", "json"),
    ]
    stock = home / "export.duckdb"
    run(asks("export", "export", str(stock)))
    plain = Contender("the same SQL on a plain .duckdb file", [sys.executable, "-c", _STOCK, str(stock), _SQL])
    alone = _ask([*questions, plain], size.latencies)
    with _writing(whole) as starts:
        busy = _ask(questions, size.latencies, starts)
    table = Table(
        "Questions, each a new process",
        ["question", "alone: p50", "p95", "while a backfill writes: p50", "p95", "peak MiB"],
        [_line(question, alone, busy) for question in [*questions, plain]],
        f"{size.latencies} times each, in turn; seconds from start to exit.",
    )
    p95 = _quantile(busy[questions[0].name], 0.95)
    return Result(
        4,
        f"A day more, and questions, on {days} days",
        [
            Table(
                "Bringing the warehouse up to date",
                ["what", "s: median (range)", "peak MiB"],
                [
                    [name, spread([s.seconds for s in found]), f"{max(s.peak_mib for s in found):,.0f}"]
                    for name, found in (
                        (f"first run: collect and make {days} days", [built]),
                        ("one day made again, and the statistics", increments),
                        ("nothing new", nothing),
                    )
                ],
            ),
            table,
        ],
        [
            Target(
                "report p95 under 2 s while a backfill writes",
                f"{p95:.2f} s (alone {_quantile(alone[questions[0].name], 0.95):.2f} s)",
                p95 < 2,
                "Reader and writer share two cores; nothing is locked.",
            )
        ],
        [f"A plain .duckdb file takes one process while it is written: {_held(stock)}"],
        {name: [sample.seconds for sample in found] for name, found in (alone | busy).items()},
    )


def _ask(questions: list[Contender], repeats: int, before: Iterator[None] | None = None) -> dict[str, list[Sample]]:
    asked: dict[str, list[Sample]] = {question.name: [] for question in questions}
    for _ in range(repeats):
        for question in questions:
            if before:
                next(before)
            asked[question.name].append(run(question))
    return asked


@contextmanager
def _writing(backfill: Contender) -> Iterator[Iterator[None]]:
    """Keep a backfill running: each step of the iterator starts another where the last one has ended."""
    processes: list[subprocess.Popen[bytes]] = []

    def keep() -> Iterator[None]:
        while True:
            if not processes or processes[-1].poll() is not None:
                processes.append(_start(backfill))
            yield

    try:
        yield keep()
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _start(contender: Contender) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        contender.command,
        cwd=ROOT,
        env={**os.environ, **contender.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _line(question: Contender, alone: Mapping[str, list[Sample]], busy: Mapping[str, list[Sample]]) -> list[str]:
    name = question.name
    quiet, loaded = alone[name], busy.get(name)
    return [
        name,
        f"{_quantile(quiet, 0.5):.2f}",
        f"{_quantile(quiet, 0.95):.2f}",
        f"{_quantile(loaded, 0.5):.2f}" if loaded else "refused",
        f"{_quantile(loaded, 0.95):.2f}" if loaded else "refused",
        f"{max(sample.peak_mib for sample in quiet):,.0f}",
    ]


def _quantile(samples: list[Sample], share: float) -> float:
    return float(np.quantile([sample.seconds for sample in samples], share))


def _held(stock: Path) -> str:
    """What a reader of the file is told while another process has it open for writing."""
    command = [sys.executable, "-c", _HOLD, str(stock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdin is not None  # noqa: S101 - both are pipes
        holder.stdout.readline()
        try:
            run(Contender("held", [sys.executable, "-c", _STOCK, str(stock), "select 1"]))
            told = "a reader was let in."
        except ContenderError as error:
            told = "a reader is refused (conflicting lock)." if "lock" in str(error) else "a reader fails."
        holder.stdin.close()
    return told
