"""Measuring contenders: each is a process of its own, and they take turns, so that a busy machine slows all alike.

Belongs here: running, timing, medians and ratios. Does not: what is measured.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KIB = 1024
WATCHED_SECONDS = 0.25


class ContenderError(Exception):
    """A contender failed. The message holds its command and the end of what it said."""


@dataclass(frozen=True)
class Contender:
    """A command to measure.

    Its last line of output is a JSON object of figures. `share` is the part of the input that it gets: its time is
    divided by it, and the row says so. `timed` names the figure that holds the seconds, where a program prepares
    what it is not measured for; else they are those from its start to its exit.
    """

    name: str
    command: Sequence[str]
    share: float = 1.0
    environment: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    timed: str | None = None


@dataclass(frozen=True)
class Sample:
    """One run: its seconds, seconds of CPU of all its threads and processes, their peak memory, and what it printed."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """The runs of one contender; `seconds` are for the whole input."""

    contender: Contender
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(self.all_seconds)

    @property
    def all_seconds(self) -> list[float]:
        """Every run, in order."""
        return [sample.seconds / self.contender.share for sample in self.samples]

    @property
    def cpu_seconds(self) -> float:
        """The median of the CPU time."""
        return statistics.median(sample.cpu_seconds for sample in self.samples) / self.contender.share

    @property
    def peak_mib(self) -> float:
        """The most that any run held; of a part of the input where that is all it got."""
        return max(sample.peak_mib for sample in self.samples)

    @property
    def figures(self) -> Mapping[str, Any]:
        """What the last run printed."""
        return self.samples[-1].figures

    def median_of(self, figure: str) -> float:
        """The median of a figure that every run printed."""
        return statistics.median(float(sample.figures[figure]) for sample in self.samples)


def ratio(measured: Measured, to: Measured) -> tuple[float, float, float]:
    """Median, lowest and highest of the ratios of runs that were neighbours in time."""
    ratios = [a / b for a, b in zip(measured.all_seconds, to.all_seconds, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def python(module: str, *arguments: str | Path) -> list[str]:
    """The command that runs a module of this folder."""
    return [sys.executable, "-m", f"bench.{module}", *map(str, arguments)]


def interleaved(contenders: Sequence[Contender], repeats: int) -> list[Measured]:
    """Run all contenders in turn, `repeats` times."""
    runs: list[list[Sample]] = [[] for _ in contenders]
    for turn in range(repeats):
        for samples, contender in zip(runs, contenders, strict=True):
            samples.append(run(contender))
            print(f"  {turn + 1}/{repeats} {contender.name}: {samples[-1].seconds:.2f} s", flush=True)
    return [Measured(contender, tuple(samples)) for contender, samples in zip(contenders, runs, strict=True)]


def run(contender: Contender) -> Sample:
    """Run a contender once.

    Raises:
        ContenderError: it fails, or prints no figures.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            contender.command,
            cwd=ROOT,
            env={**os.environ, **contender.environment},
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        # the children's own account: getrusage(RUSAGE_CHILDREN) would mix the contenders' peaks
        with _memory_watched(process.pid) as watched:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said = output.read().decode(errors="replace")
        if process.returncode != 0:
            end = (said + errors.read().decode(errors="replace"))[-2000:]
            raise ContenderError(f"{' '.join(map(str, contender.command))}: exit {process.returncode}\n{end}")
    figures = _figures(said)
    if contender.timed:
        seconds = float(figures[contender.timed])
    # the kernel's own account of a short one may be that of this process, which it was forked from
    peak_kib = watched.peak_kib or usage.ru_maxrss
    return Sample(seconds, usage.ru_utime + usage.ru_stime, peak_kib / KIB, figures)


@dataclass
class _Watched:
    peak_kib: int = 0


@contextmanager
def _memory_watched(session: int) -> Iterator[_Watched]:
    """The most that a process ever held, or all of its session together where they are several."""
    watched, ended = _Watched(), threading.Event()

    def watch() -> None:
        while not ended.wait(WATCHED_SECONDS):
            watched.peak_kib = max(watched.peak_kib, _kib(session, "status", "VmHWM:"), _held_kib(session))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        ended.set()
        thread.join()


def _held_kib(session: int) -> int:
    """The memory of a session's processes, where they are several; pages that they share are counted once."""
    members = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _session_of(folder) == session]
    return sum(_kib(member, "smaps_rollup", "Pss:") for member in members) if len(members) > 1 else 0


def _session_of(folder: Path) -> int | None:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[3])
    except OSError:  # it has just ended
        return None


def _kib(process: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name))


def _figures(said: str) -> dict[str, Any]:
    text = said.strip()
    try:
        # either the whole output, or its last line
        found = json.loads(text if text.startswith("{") else text.rsplit("\n", 1)[-1])
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
