"""`core.landed_edits`: did what an assistant suggested end up in a commit?

Belongs here: comparing kept texts of suggested edits with what the same developer committed soon after.
Does not: keeping the texts (`landing/texts.py`), or whether the user let the edit be applied (`core.code_suggestions`).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from cydifflib import SequenceMatcher  # type: ignore[import-untyped]

from prodlens_pipeline.delivery.git_process import decoded, split, stream
from prodlens_pipeline.landing.texts import drop_texts, read_texts
from prodlens_pipeline.settings import GitRepository, Settings
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake

ALIKE = 0.7
"""A suggestion landed where its `difflib` ratio to a hunk is larger (S0 §1.1)."""
WITHIN = timedelta(hours=72)
_MOST_CHARACTERS = 20_000
"""Of a text or a hunk this much is compared: the time of a comparison grows with the product of the lengths."""

LANDED_EDITS = Contract(
    schema="core",
    name="landed_edits",
    description=(
        "One row per suggested edit whose text was kept, whose repository has a clone and whose developer is mapped, "
        "with whether that developer committed something like it to the same file within 72 hours."
    ),
    key=("source_name", "suggestion_id"),
    partitioned=False,
    owner="team:delivery",
    not_null=("day", "developer_id", "repo"),
    columns=(
        Column("source_name", "VARCHAR", "the configured source"),
        Column("suggestion_id", "VARCHAR", "the suggestion"),
        Column("developer_id", "VARCHAR", "to whom it was suggested"),
        Column("repo", "VARCHAR", "repository that was worked in"),
        Column("proposed_at", "TIMESTAMP", "when it was suggested", "UTC"),
        Column("day", "DATE", "UTC day of the suggestion"),
        Column("ratio", "DOUBLE", "largest difflib ratio to a hunk committed to the file; 0 for none", "share"),
        Column("sha", "VARCHAR", "commit with that hunk"),
        Column("landed", "BOOLEAN", "the ratio is over 0.7; NULL while the 72 hours last"),
    ),
)
_SCHEMA = pl.Schema(
    {
        "source_name": pl.String(),
        "suggestion_id": pl.String(),
        "developer_id": pl.String(),
        "repo": pl.String(),
        "proposed_at": pl.Datetime("us"),
        "day": pl.Date(),
        "ratio": pl.Float64(),
        "sha": pl.String(),
        "landed": pl.Boolean(),
    }
)
_HEADER = re.compile(rb"\+\+\+ (?:b/)?(.*?)\t?$")
_SHA = re.compile(rb"[0-9a-f]{40,64}")


@dataclass(frozen=True)
class _Edit:
    source_name: str
    suggestion_id: str
    developer_id: str
    repo: str
    path: str
    proposed_at: datetime
    texts: tuple[str, ...]


@dataclass
class _Commit:
    sha: str
    developer_id: str
    committed_at: datetime
    hunks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def landed_edit_rows(lake: Lake, settings: Settings) -> pl.DataFrame:
    """The rows of `LANDED_EDITS`. What was decided before stays: its text may be gone since.

    Texts that an earlier call decided are deleted from the landing zone.

    Raises:
        GitError: a clone cannot be read.
    """
    decided = _decided(lake)
    read_until = _read_until(lake)
    _drop_decided(lake, settings, read_until)
    known = set(decided.select("source_name", "suggestion_id").iter_rows())
    rows = []
    for repository in settings.repositories:
        if isinstance(repository, GitRepository) and repository.name in read_until:
            kept = _edits(lake, settings, repository.name)
            edits = [edit for edit in kept if (edit.source_name, edit.suggestion_id) not in known]
            commits = _commits(lake, repository.name, settings.resolve(repository.path), edits)
            rows += [_judge(edit, commits, read_until[repository.name]) for edit in edits]
    return pl.concat([decided, pl.DataFrame(rows, schema=_SCHEMA, orient="row")])


def _decided(lake: Lake) -> pl.DataFrame:
    if not lake.was_made(LANDED_EDITS):
        return pl.DataFrame(schema=_SCHEMA)
    return lake.frame("select * from core.landed_edits where landed is not null").cast(_SCHEMA)


def _read_until(lake: Lake) -> dict[str, datetime]:
    """When each repository was last read: until then its commits are known."""
    return dict(
        lake.rows("select source_name, max(collected_at) from ops.landing_chunks where source = 'git' group by all")
    )


def _drop_decided(lake: Lake, settings: Settings, read_until: Mapping[str, datetime]) -> None:
    if read_until and lake.was_made(LANDED_EDITS):
        waiting = lake.value("select min(proposed_at) from core.landed_edits where landed is null")
        limit = min(read_until.values()) - WITHIN
        drop_texts(lake, settings.landing, min(limit, waiting or limit).replace(tzinfo=UTC))


def _edits(lake: Lake, settings: Settings, repo: str) -> Iterator[_Edit]:
    """The suggestions in a repository whose texts are kept."""
    rows = lake.rows(
        f"""
        select text._source, made.suggestion_id, session.developer_id, session.repo,
            replace(any_value(made.file_path), '\\', '/'), min(made.proposed_at), list(text.text)
        from {read_texts(lake, settings.landing, None)} as text
        inner join core.code_suggestions as made on text.id = made.suggestion_id
        asof join core.sessions as session
            on made.session_id = session.session_id and made.proposed_at >= session.started_at
        where text.kind = 'edit' and made.file_path is not null and session.repo = $repo
            -- whose commits they might be is not known of somebody whom the configuration does not map
            and not starts_with(session.developer_id, 'unknown:')
        group by text._source, made.suggestion_id, session.developer_id, session.repo
        order by all
        """,
        {"repo": repo},
    )
    for source_name, suggestion_id, developer_id, name, path, proposed_at, texts in rows:
        yield _Edit(source_name, suggestion_id, developer_id, name, path, proposed_at, tuple(texts))


def _commits(lake: Lake, repo: str, clone: Path, edits: Sequence[_Edit]) -> dict[str, list[_Commit]]:
    """By developer, the commits that may hold one of the edits, with the lines they add."""
    if not edits:
        return {}
    first, last = min(edit.proposed_at for edit in edits), max(edit.proposed_at for edit in edits) + WITHIN
    rows = lake.rows(
        "select sha, author_id, committed_at from core.commits where repo = $repo and not is_merge and is_reachable "
        "and committed_at >= $first and committed_at <= $last and list_contains($people, author_id)",
        {"repo": repo, "first": first, "last": last, "people": sorted({edit.developer_id for edit in edits})},
    )
    found = {sha: _Commit(sha, developer, at) for sha, developer, at in rows}
    _read_hunks(clone, found)
    by_developer: dict[str, list[_Commit]] = defaultdict(list)
    for commit in found.values():
        by_developer[commit.developer_id].append(commit)
    return by_developer


def _read_hunks(clone: Path, commits: Mapping[str, _Commit]) -> None:
    """Fill in the added lines of each hunk, by file."""
    if not commits:
        return
    command = ["diff-tree", "--stdin", "-r", "-p", "--root", "--unified=0", "--no-renames", "--no-ext-diff"]
    given = "".join(f"{sha}\n" for sha in commits)
    commit: _Commit | None = None
    path, in_hunk = "", False
    for line in split(stream(clone, [*command, "--no-textconv", "--no-color"], given=given), b"\n"):
        if _SHA.fullmatch(line):
            commit, in_hunk = commits.get(line.decode()), False
        elif line.startswith(b"diff --git "):
            in_hunk = False
        elif not in_hunk and (header := _HEADER.fullmatch(line)):
            path = decoded(header[1]).strip('"')
        elif line.startswith(b"@@ ") and commit is not None:
            in_hunk = True
            commit.hunks[path].append("")
        elif in_hunk and line.startswith(b"+") and commit is not None:
            commit.hunks[path][-1] += decoded(line[1:]) + "\n"


def _judge(edit: _Edit, commits: Mapping[str, list[_Commit]], read_until: datetime) -> tuple[object, ...]:
    ratio, sha = 0.0, None
    for commit in commits.get(edit.developer_id, ()):
        if edit.proposed_at <= commit.committed_at <= edit.proposed_at + WITHIN:
            alike = _likeness(edit.texts, _hunks_of(commit, edit.path), at_least=ratio)
            if alike > ratio:
                ratio, sha = alike, commit.sha
    over = read_until > edit.proposed_at + WITHIN
    landed = True if ratio > ALIKE else (False if over else None)
    place = (edit.source_name, edit.suggestion_id, edit.developer_id, edit.repo)
    return (*place, edit.proposed_at, edit.proposed_at.date(), ratio, sha, landed)


def _hunks_of(commit: _Commit, path: str) -> Iterator[str]:
    """The hunks of a file that a tool names by its whole path and git by that within the repository."""
    for name, hunks in commit.hunks.items():
        if path == name or path.endswith(f"/{name}"):
            yield from hunks


def _likeness(texts: Iterable[str], hunks: Iterable[str], *, at_least: float) -> float:
    """The largest ratio of a text to a hunk over `at_least`, else `at_least`."""
    hunks = [hunk[:_MOST_CHARACTERS] for hunk in hunks]
    best = at_least
    for text in texts:
        matcher = SequenceMatcher(None, "", text[:_MOST_CHARACTERS].rstrip("\n") + "\n", autojunk=False)
        for hunk in hunks:
            matcher.set_seq1(hunk)
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
                best = max(best, matcher.ratio())
    return best
