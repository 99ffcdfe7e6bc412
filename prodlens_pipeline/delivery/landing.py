"""Landing of repositories: the commits that are new since the last reading, as records in chunks.

Belongs here: what of a repository was read already, and which days its news change.
Does not: running git (`git.py`), the record contract (`git_records.py`), judging commits (`commit_messages.py`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from prodlens_pipeline.delivery.clones import CloneState, clone_state, state_checkpoint
from prodlens_pipeline.delivery.codebase import collect_codebase
from prodlens_pipeline.delivery.commit_messages import Identity
from prodlens_pipeline.delivery.commits import RAW as COMMITS
from prodlens_pipeline.delivery.git import CommitRecord, GitReading, mapped_identities, read_commits, shallow_boundary
from prodlens_pipeline.delivery.git_records import SOURCE, GitCommit, landed_commits
from prodlens_pipeline.delivery.graph import GRAPH, graph_rows
from prodlens_pipeline.landing.chunks import store_chunk
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.intake import CHUNK_BYTES, stamp
from prodlens_pipeline.landing.manifest import DeadLetter, Extent, record_landing
from prodlens_pipeline.warehouse.lake import Lake


def collect_repository(lake: Lake, landing: Path, name: str, path: Path) -> Collected:
    """Land the commits of the repository `name` at `path` that are not landed yet.

    Touched are also days that got no commit: those of merges, of the commits that a merge brought in, and those
    whose commits have another place in history, or another author by `.mailmap`, than when they were last made
    into tables.

    Raises:
        GitError: the repository cannot be read; what was landed before stays.
    """
    before = clone_state(lake, name)
    cut_off = shallow_boundary(path)
    # Deepening a shallow clone adds commits behind its tips: then all of it is read again.
    known = _tips(lake, name) if before and set(before.cut_off) == cut_off else []
    reading = read_commits(path, known_tips=known)
    day_of = _landed_days(lake, name)
    total = Collected(files=1)
    touched: set[date] = set()
    for batch in _batches(reading.commits):
        touched |= _land(lake, landing, name, path, batch, day_of, total)
    state = _state(lake, landing, name, path, reading, before, cut_off)
    if state != before or total.lines:
        moved = _days_in_another_place(lake, landing, name, state)
        moved |= _days_of_other_authors(lake, landing, name, before, state)
        extents = [_extent(name, path, total.lines, [], [], [], moved - touched)] if moved - touched else []
        remembered = state_checkpoint(name, state)
        record_landing(
            lake, source=SOURCE, source_name=name, chunk=None, extents=extents, letters=[], checkpoint=remembered
        )
    _remember_tips(lake, name, sorted(set(reading.tips.values())))
    collect_codebase(lake, name, path, state.default_tip)
    return total


def _tips(lake: Lake, name: str) -> list[str]:
    return [row[0] for row in lake.rows("select sha from ops.git_tips where repository = $name", {"name": name})]


def _state(
    lake: Lake,
    landing: Path,
    name: str,
    path: Path,
    reading: GitReading,
    before: CloneState | None,
    cut_off: frozenset[str],
) -> CloneState:
    of_repository = f"from {landed_commits(lake, landing, None)} where _source = $name"
    # What GitHub says of a commit that the clone does not have yet is landed, too, but without its changes.
    shas = [
        row[0] for row in lake.rows(f"select sha {of_repository} and changes is not null order by sha", {"name": name})
    ]
    identities = f"select distinct recorded_author_name, recorded_author_email {of_repository} order by all"
    recorded = [Identity(*row) for row in lake.rows(identities, {"name": name})]
    mapped = zip(recorded, mapped_identities(path, recorded), strict=True)
    now = datetime.now(UTC)
    lost_before = before.unreachable if before else {}
    # What lies behind the cut of a shallow clone is out of sight, not lost.
    lost = [sha for sha in shas if sha not in reading.reached and (sha in lost_before or not reading.is_shallow)]
    return CloneState(
        default_branch=reading.default_branch,
        default_tip=reading.tips[reading.default_branch] if reading.default_branch else None,
        is_bare=reading.is_bare,
        cut_off=sorted(cut_off),
        was_shallow=reading.is_shallow or (before is not None and before.was_shallow),
        unreachable={sha: lost_before.get(sha, now) for sha in lost},
        identities=[(*old, *new) for old, new in mapped if old != new],
    )


def _days_in_another_place(lake: Lake, landing: Path, name: str, state: CloneState) -> set[date]:
    """The days of commits whose row of the graph is not what it was when the table was last made."""
    if not lake.was_made(GRAPH):
        return set()
    lake.connection.register("graph_now", graph_rows(lake, landing, {name: state}))
    try:
        rows = lake.rows(
            "select distinct now.day from graph_now as now left join raw.git_graph as made "
            "on made.repo = now.repo and made.sha = now.sha where made is distinct from now"
        )
    finally:
        lake.connection.unregister("graph_now")
    return {row[0] for row in rows}


def _days_of_other_authors(
    lake: Lake, landing: Path, name: str, before: CloneState | None, state: CloneState
) -> set[date]:
    """The days of commits whose author is another one by `.mailmap` than at the last reading."""
    old, new = (before.mailmap if before else {}), state.mailmap
    changed = [identity for identity in old.keys() | new.keys() if old.get(identity) != new.get(identity)]
    if before is None or not changed:
        return set()
    rows = lake.rows(
        f"select distinct _at::date from {landed_commits(lake, landing, None)} where _source = $name "
        "and list_contains($changed, recorded_author_name || chr(10) || recorded_author_email)",
        {"name": name, "changed": ["\n".join(identity) for identity in changed]},
    )
    return {row[0] for row in rows}


def _landed_days(lake: Lake, name: str) -> dict[str, date]:
    if not lake.was_made(COMMITS):
        return {}
    return dict(lake.rows("select sha, day from raw.git_commits where repo = $name", {"name": name}))


def _batches(commits: Iterator[CommitRecord]) -> Iterator[list[CommitRecord]]:
    batch: list[CommitRecord] = []
    size = 0
    for commit in commits:
        batch.append(commit)
        size += 500 + len(commit["message"]) + 80 * len(commit["files"] or ())
        size += sum(80 + 6 * len(change["hunks"]) for parent in commit["changes"] or () for change in parent)
        if size >= CHUNK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _land(
    lake: Lake,
    landing: Path,
    name: str,
    path: Path,
    batch: list[CommitRecord],
    day_of: dict[str, date],
    total: Collected,
) -> set[date]:
    """Land one batch; returns the days it touches."""
    lines: list[bytes] = []
    letters: list[DeadLetter] = []
    times: list[datetime] = []
    touched: set[date] = set()
    for number, commit in enumerate((GitCommit.model_validate(item) for item in batch), start=total.lines + 1):
        at = commit.event_time
        if at is None:
            letters.append(DeadLetter(str(path), number, "neither date of the commit can be read", commit.sha))
            continue
        lines.append(stamp(commit, source_name=name, source_file=str(path), line=number, at=at))
        times.append(at.astimezone(UTC).replace(tzinfo=None))
        day_of[commit.sha] = times[-1].date()
        touched |= {day_of[sha] for sha in commit.pr_commits if sha in day_of}
        touched |= {commit.committed_at.astimezone(UTC).date()} if commit.committed_at else set()
    content = b"".join(lines)
    own_days = {at.date() for at in times}
    extent = _extent(name, path, total.lines, lines, letters, times, touched | own_days)
    chunk = store_chunk(landing, SOURCE, content) if content else None
    record_landing(lake, source=SOURCE, source_name=name, chunk=chunk, extents=[extent], letters=letters)
    total.bytes_read += len(content)
    total.lines += len(batch)
    total.accepted += len(lines)
    total.rejected += len(letters)
    total.days |= own_days
    return touched | own_days


def _extent(
    name: str,
    path: Path,
    lines_before: int,
    lines: Sequence[bytes],
    letters: Sequence[DeadLetter],
    times: Sequence[datetime],
    touched: set[date],
) -> Extent:
    return Extent(
        source_file=str(path),
        head_sha256=hashlib.sha256(name.encode()).hexdigest(),
        head_bytes=0,
        byte_start=0,
        byte_end=sum(map(len, lines)),
        line_start=lines_before,
        line_end=lines_before + len(lines) + len(letters),
        lines=len(lines) + len(letters),
        accepted=len(lines),
        rejected=len(letters),
        first_event_at=min(times, default=None),
        last_event_at=max(times, default=None),
        days=tuple(sorted({at.date() for at in times})),
        touched_days=tuple(sorted(touched)),
    )


def _remember_tips(lake: Lake, name: str, tips: list[str]) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    frame = pl.DataFrame({"sha": tips}, schema={"sha": pl.String})
    lake.connection.register("tips", frame)
    try:
        with lake.transaction():
            lake.execute("delete from ops.git_tips where repository = $name", {"name": name})
            lake.execute("insert into ops.git_tips select $name, sha, $now from tips", {"name": name, "now": now})
    finally:
        lake.connection.unregister("tips")
