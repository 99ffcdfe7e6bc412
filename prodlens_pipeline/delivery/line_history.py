"""`raw.git_line_history`: when the lines of each commit came to the default branch, and when they were changed again.

Belongs here: following lines through history from the numbers in hunks, as `git blame -w -M -C` would find them,
in one pass over all commits. Does not: what it means (`rework.py`, `survival.py`), reading git.

Blame looks back from one state of one file; here every state of the default branch is asked about, which a pass
forward answers for the price of reading each hunk once. A line that a merge took over from several parents
belongs to whom it belonged to in the first of them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import polars as pl
from rpds import HashTrieMap

from prodlens_pipeline.delivery.clones import CloneState, clone_states
from prodlens_pipeline.delivery.git_records import landed_commits
from prodlens_pipeline.delivery.mainline import landings, mainline
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake

WINDOW = timedelta(days=21)
"""How long after they came lines are followed."""

LINE_HISTORY = Contract(
    schema="raw",
    name="git_line_history",
    description="One row per commit and state of the default branch, up to 21 days on, that added or took lines of it.",
    key=("repo", "sha", "changed_by"),
    partitioned=False,
    owner="team:delivery",
    columns=(
        Column("repo", "VARCHAR", "repository"),
        Column("sha", "VARCHAR", "commit whose lines they are"),
        Column("landed_by", "VARCHAR", "commit that brought it to the default branch"),
        Column("landed_at", "TIMESTAMP", "when that was committed", "UTC"),
        Column("changed_by", "VARCHAR", "commit of the default branch that changed them; the first is landed_by"),
        Column("changed_at", "TIMESTAMP", "when that was committed", "UTC"),
        Column("lines_added", "BIGINT", "lines that came, or came back; changes in white space aside", "lines"),
        Column("lines_removed", "BIGINT", "lines that were changed or removed; moved ones aside", "lines"),
    ),
)


class Run(NamedTuple):
    """Lines that stand together and are of one commit; None where that is beyond what is known."""

    length: int
    origin: str | None


Runs = Sequence[Run]
"""The lines of a file from its first one on; those that follow are of unknown origin."""
Files: TypeAlias = "HashTrieMap[str, Runs]"
"""The files at a commit by path. Commits share what they have in common: of thousands of open branches of a repository
with as many files, copies would take gigabytes."""


@dataclass(frozen=True)
class LineCommit:
    """A landed commit as far as lines need it; `changes` by parent as in `patches.FileChange`, None if unknown."""

    sha: str
    parents: Sequence[str]
    committed_at: datetime
    changes: Sequence[Sequence[Mapping[str, Any]]] | None


class LineEvent(NamedTuple):
    """A state of the default branch that has more or fewer lines of a commit than the one before."""

    sha: str
    landed_by: str
    landed_at: datetime
    changed_by: str
    changed_at: datetime
    lines_added: int
    lines_removed: int


def line_history_rows(lake: Lake, landing: Path) -> pl.DataFrame:
    """The rows of `LINE_HISTORY`.

    What was found before stays as long as it lies on the default branch: a commit's id stands for all that led to
    it. Only what is new is followed, and what can still change by it.
    """
    rows: list[tuple[object, ...]] = []
    for name, state in clone_states(lake).items():
        known = [] if state.was_shallow else _known(lake, name)
        rows += [(name, *event) for event in _events(lake, landing, name, state, known)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def follow(commits: Mapping[str, LineCommit], tip: str | None, known: Sequence[LineEvent] = ()) -> list[LineEvent]:
    """All events of the default branch that ends in `tip`; `known` are those of an earlier state of it."""
    parents = {sha: commit.parents for sha, commit in commits.items()}
    chain = mainline(tip, parents)
    place = {sha: number for number, sha in enumerate(chain)}
    kept = [event for event in known if event.changed_by in place]
    done = max((place[event.changed_by] + 1 for event in kept), default=0)
    if done == len(chain):
        return kept
    start = _start(chain, commits, done)
    landed = landings(chain, parents)
    recent = {sha: by for sha, by in landed.items() if place[by] >= start}
    fresh = (
        event for event in _Replay(commits, recent, set(chain[start:])).events() if place[event.changed_by] >= done
    )
    return kept + list(fresh)


def _start(chain: Sequence[str], commits: Mapping[str, LineCommit], done: int) -> int:
    """The first state whose lines the states from `done` on may still change within the window."""
    first = min(commits[sha].committed_at for sha in chain[done:]) - WINDOW
    latest_so_far = accumulate((commits[sha].committed_at for sha in chain[:done]), max)
    return sum(latest < first for latest in latest_so_far)


class _Replay:
    """One pass over commits, parents before children, with the lines of every file at each of them."""

    def __init__(self, commits: Mapping[str, LineCommit], landed: Mapping[str, str], states: set[str]) -> None:
        self._commits, self._landed, self._states = commits, landed, states
        self._files: dict[str, Files] = {}
        self._needed = Counter(parent for sha in landed for parent in commits[sha].parents)

    def events(self) -> Iterator[LineEvent]:
        """Yield what each state of the default branch changed."""
        for sha in self._landed:
            commit = self._commits[sha]
            first, *others = [self._taken(parent) for parent in commit.parents] or [HashTrieMap()]
            files: Files = HashTrieMap()
            if commit.changes is not None:
                files, removed, added = _apply(sha, commit.changes, first, others)
                if sha in self._states:
                    yield from self._changes(commit, removed, added)
            self._files[sha] = files

    def _taken(self, parent: str) -> Files:
        """The files at a parent, which are forgotten when its last child has them."""
        self._needed[parent] -= 1
        return (self._files.get if self._needed[parent] else self._files.pop)(parent, HashTrieMap())

    def _changes(self, commit: LineCommit, removed: Counter[str], added: Counter[str]) -> Iterator[LineEvent]:
        for sha in sorted(removed.keys() | added.keys()):
            by = self._landed.get(sha)
            if by is None:
                continue
            landed_at = self._commits[by].committed_at
            difference = added[sha] - removed[sha]
            if difference and commit.committed_at <= landed_at + WINDOW:
                yield LineEvent(
                    sha,
                    by,
                    landed_at,
                    commit.sha,
                    commit.committed_at,
                    lines_added=max(difference, 0),
                    lines_removed=max(-difference, 0),
                )


def _apply(
    sha: str,
    changes: Sequence[Sequence[Mapping[str, Any]]],
    files: Files,
    others: Sequence[Files],
) -> tuple[Files, Counter[str], Counter[str]]:
    """Bring `files`, those of the first parent, to the commit's state; also lines removed and added by origin.

    A block that moved is both removed and added, of the same origin.
    """
    before = {path: files.get(path, ()) for path in _old_paths(changes[0])}
    further = [({change["path"]: change for change in of}, at) for of, at in zip(changes[1:], others, strict=False)]
    removed: Counter[str] = Counter()
    added: Counter[str] = Counter()
    after = {}
    for change in changes[0]:
        path, old_path = change["path"], change["old_path"] or change["path"]
        lines = _Lines(before[old_path])
        runs: list[Run] = []
        for first, count, new_first, new_count in _quads(change["hunks"]):
            # A hunk that only adds names the line before it.
            runs += lines.take((first - 1 if count else first) - lines.at)
            _count(removed, lines.take(count))
            new = _origins(sha, new_first, new_count, change["moves"], before, _matched(path, further))
            _count(added, new)
            runs += new
        after[path] = _joined([*runs, *lines.rest()])
    for change in changes[0]:
        if change["old_path"]:
            files = files.discard(change["old_path"])
    return files.update(after), removed, added


def _old_paths(changes: Sequence[Mapping[str, Any]]) -> set[str]:
    moved_from = {move["from_path"] for change in changes for move in change["moves"]}
    return moved_from | {change["old_path"] or change["path"] for change in changes}


def _matched(
    path: str, further: Sequence[tuple[Mapping[str, Mapping[str, Any]], Files]]
) -> Iterator[tuple[int, int | None, int, Runs]]:
    """Yield for the other parents of a merge what they share with it: first line, count, first line there, lines.

    A count of None: to the end of the file.
    """
    for changes, files in further:
        change = changes.get(path, {"hunks": (), "old_path": None})
        runs = files.get(change["old_path"] or path, ())
        at, old_at = 1, 1
        for first, count, new_first, new_count in _quads(change["hunks"]):
            start = new_first if new_count else new_first + 1
            yield at, start - at, old_at, runs
            at, old_at = start + new_count, (first if count else first + 1) + count
        yield at, None, old_at, runs


def _origins(
    sha: str,
    first: int,
    count: int,
    moves: Sequence[Mapping[str, Any]],
    before: Mapping[str, Runs],
    matched: Iterable[tuple[int, int | None, int, Runs]],
) -> list[Run]:
    """Whose the added lines are: another parent's that has them, those of a moved block, else the commit's own."""
    pieces: list[tuple[int, int, Runs | None]] = [(first, count, None)]
    for start, length, old_start, runs in matched:
        pieces = _claimed(pieces, start, first + count - start if length is None else length, old_start, runs)
    for move in moves:
        pieces = _claimed(pieces, move["line"], move["count"], move["from_line"], before[move["from_path"]])
    return [run for _, length, runs in pieces for run in (runs or [Run(length, sha)])]


def _claimed(
    pieces: Iterable[tuple[int, int, Runs | None]], start: int, length: int, old_start: int, runs: Runs
) -> list[tuple[int, int, Runs | None]]:
    """Give to the part of the still unclaimed pieces within `start`, `length` the lines at `old_start` of `runs`."""
    result: list[tuple[int, int, Runs | None]] = []
    for at, count, owner in pieces:
        begin, end = max(at, start), min(at + count, start + length)
        if owner is not None or begin >= end:
            result.append((at, count, owner))
            continue
        lines = _Lines(runs)
        lines.take(old_start + begin - start - 1)
        parts = [(at, begin - at, None), (begin, end - begin, lines.take(end - begin)), (end, at + count - end, None)]
        result += [part for part in parts if part[1]]
    return result


class _Lines:
    """The lines of a file, taken from its top."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._next, self._used = 0, 0
        self.at = 0

    def take(self, count: int) -> list[Run]:
        """The next lines."""
        taken = []
        self.at += max(count, 0)
        while count > 0 and self._next < len(self._runs):
            run = self._runs[self._next]
            part = min(count, run.length - self._used)
            taken.append(Run(part, run.origin))
            count -= part
            self._used += part
            if self._used == run.length:
                self._next, self._used = self._next + 1, 0
        if count > 0:
            taken.append(Run(count, None))
        return taken

    def rest(self) -> list[Run]:
        """All further lines whose origin is known."""
        if self._next == len(self._runs):
            return []
        run = self._runs[self._next]
        return [Run(run.length - self._used, run.origin), *self._runs[self._next + 1 :]]


def _joined(runs: Iterable[Run]) -> Runs:
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].origin == run.origin:
            joined[-1] = Run(joined[-1].length + run.length, run.origin)
        else:
            joined.append(run)
    return joined


def _count(total: Counter[str], runs: Runs) -> None:
    for run in runs:
        if run.origin is not None:
            total[run.origin] += run.length


def _quads(hunks: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    fours = [iter(hunks)] * 4
    return zip(*fours, strict=True)


def _known(lake: Lake, name: str) -> list[LineEvent]:
    if not lake.was_made(LINE_HISTORY):
        return []
    columns = ", ".join(LineEvent._fields)
    rows = lake.rows(f"select {columns} from raw.git_line_history where repo = $name order by all", {"name": name})
    return [LineEvent(*row) for row in rows]


def _events(lake: Lake, landing: Path, name: str, state: CloneState, known: Sequence[LineEvent]) -> list[LineEvent]:
    rows = lake.rows(
        "select sha, parents, timezone('UTC', coalesce(committed_at, authored_at)), changes "
        f"from {landed_commits(lake, landing, None)} where _source = $name",
        {"name": name},
    )
    return follow({row[0]: LineCommit(*row) for row in rows}, state.default_tip, known)


_TYPES: dict[str, type[pl.DataType] | pl.DataType] = {
    "VARCHAR": pl.String,
    "TIMESTAMP": pl.Datetime("us"),
    "BIGINT": pl.Int64,
}
_SCHEMA = {column.name: _TYPES[column.type] for column in LINE_HISTORY.columns}
