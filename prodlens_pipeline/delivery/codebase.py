"""`raw.git_codebase`: how large the code base of each clone is, at the head of its default branch.

Belongs here: counting the files of one commit, remembering the counts, and their table.
Does not: how it came to be so (`line_history.py`). No content is kept: sizes, and the paths of the largest files.

A commit is counted once, when it becomes the head. A submodule is no file; a symbolic link is one, of the length of
its target. Which files are binary is git's judgement, or that of `.gitattributes`.
"""

import time
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict

from prodlens_pipeline.delivery.git_process import decoded, output, split, stream
from prodlens_pipeline.delivery.git_records import SOURCE
from prodlens_pipeline.landing.manifest import Checkpoint, checkpoint, record_landing
from prodlens_pipeline.warehouse.contracts import Check, Column, Contract
from prodlens_pipeline.warehouse.lake import Lake

BYTES_PER_TOKEN = 4
"""A rule of thumb for code and English; the tokens of a model differ by a third and more."""
_LONGEST_SECONDS = 30
_LARGEST_FILES = 10
_PREFIX = "git_codebase:"

CODEBASE = Contract(
    schema="raw",
    name="git_codebase",
    description="One row per repository that is read from a local clone: its files at the head of its default branch.",
    key=("repo",),
    not_null=("head_sha", "files", "bytes"),
    partitioned=False,
    owner="team:delivery",
    checks=(
        Check(
            "counted_in_time",
            f"every code base was counted in less than {_LONGEST_SECONDS} s",
            "select count(*) from ops.checkpoints "
            f"where starts_with(name, '{_PREFIX}') and (value->>'index_seconds')::double >= {_LONGEST_SECONDS}",
            blocking=False,
        ),
    ),
    columns=(
        Column("repo", "VARCHAR", "repository"),
        Column("head_sha", "VARCHAR", "newest commit of its default branch"),
        Column("files", "BIGINT", "files of that commit", "files"),
        Column("binary_files", "BIGINT", "of these, those that have no lines", "files"),
        Column("lines", "BIGINT", "lines of the others, blank ones too; NULL where all are binary", "lines"),
        Column("bytes", "BIGINT", "size of all files", "bytes"),
        Column("estimated_tokens", "BIGINT", f"bytes / {BYTES_PER_TOKEN}, binary files too", "tokens"),
        Column(
            "file_types",
            "STRUCT(extension VARCHAR, file_count BIGINT, line_count BIGINT, byte_count BIGINT)[]",
            "the same by extension in lower case ('' where a file has none), the one with most bytes first",
        ),
        # Two lists: `forget` looks for people in texts and lists of texts.
        Column("largest_files", "VARCHAR[]", f"paths of the {_LARGEST_FILES} largest files, the largest first"),
        Column("largest_file_bytes", "BIGINT[]", "their sizes, in the same order", "bytes"),
    ),
)


class SourceFile(NamedTuple):
    """One file of a commit; `line_count` is None for a binary one."""

    file_path: str
    line_count: int | None
    byte_count: int

    @property
    def extension(self) -> str:
        """What follows the last dot of its name, in lower case; '' where nothing does."""
        return PurePosixPath(self.file_path).suffix.removeprefix(".").lower()


class FileType(BaseModel):
    """All files of one extension; `line_count` is None where all of them are binary."""

    model_config = ConfigDict(frozen=True)

    extension: str
    file_count: int
    line_count: int | None
    byte_count: int


class Codebase(BaseModel):
    """The row of a repository but for its name, and how long counting took.

    The seconds stay in the checkpoint: two readings of the same commits make the same rows.
    """

    model_config = ConfigDict(frozen=True)

    head_sha: str
    files: int
    binary_files: int
    lines: int | None
    bytes: int
    estimated_tokens: int
    file_types: list[FileType]
    largest_files: list[str]
    largest_file_bytes: list[int]
    index_seconds: float


def collect_codebase(lake: Lake, name: str, path: Path, head: str | None) -> None:
    """Count the files of `head`, unless it is the commit that was counted last; None is that of an empty repository.

    Raises:
        GitError: they cannot be read; what was counted before stays.
    """
    before = checkpoint(lake, _PREFIX + name)
    if head is None or (before and before["head_sha"] == head):
        return
    counted = Checkpoint(_PREFIX + name, count_codebase(path, head).model_dump(mode="json"))
    record_landing(lake, source=SOURCE, source_name=name, chunk=None, extents=[], letters=[], checkpoint=counted)


def count_codebase(repository: Path, head: str) -> Codebase:
    """Count the files of a commit.

    Raises:
        GitError: they cannot be read.
    """
    started = time.perf_counter()
    files = list(_files(repository, head))
    size = sum(file.byte_count for file in files)
    largest = nlargest(_LARGEST_FILES, files, key=lambda file: (file.byte_count, file.file_path))
    return Codebase(
        head_sha=head,
        files=len(files),
        binary_files=sum(file.line_count is None for file in files),
        lines=_lines(files),
        bytes=size,
        estimated_tokens=size // BYTES_PER_TOKEN,
        file_types=sorted(_types(files), key=lambda one: (-one.byte_count, one.extension)),
        largest_files=[file.file_path for file in largest],
        largest_file_bytes=[file.byte_count for file in largest],
        index_seconds=time.perf_counter() - started,
    )


def codebase_rows(lake: Lake) -> pl.DataFrame:
    """The rows of `CODEBASE`, also of repositories whose clone is gone."""
    names = lake.rows("select name from ops.checkpoints where starts_with(name, $own) order by 1", {"own": _PREFIX})
    rows = [{"repo": name.removeprefix(_PREFIX), **_remembered(lake, name)} for (name,) in names]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _remembered(lake: Lake, name: str) -> dict[str, Any]:
    return Codebase.model_validate(checkpoint(lake, name)).model_dump(exclude={"index_seconds"})


def _files(repository: Path, head: str) -> Iterator[SourceFile]:
    lines = _lines_by_path(repository, head)
    listing = stream(repository, ["ls-tree", "-r", "-l", "-z", "--full-tree", head])
    for entry in split(listing, b"\0"):
        facts, _, path = entry.partition(b"\t")
        _, kind, _, size = facts.split()
        if kind == b"blob":
            yield SourceFile(decoded(path), lines[path], int(size))


def _lines_by_path(repository: Path, head: str) -> dict[bytes, int | None]:
    """How many lines each file has: as many as a commit that adds it would; None for a binary one."""
    nothing = decoded(output(repository, "hash-object", "-t", "tree", "--stdin")).strip()
    options = ["-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv"]
    added = (
        entry.split(b"\t", 2) for entry in split(stream(repository, ["diff-tree", *options, nothing, head]), b"\0")
    )
    return {path: None if lines == b"-" else int(lines) for lines, _, path in added}


def _types(files: Iterable[SourceFile]) -> Iterator[FileType]:
    by_extension = attrgetter("extension")
    for extension, group in groupby(sorted(files, key=by_extension), by_extension):
        alike = list(group)
        yield FileType(
            extension=extension,
            file_count=len(alike),
            line_count=_lines(alike),
            byte_count=sum(file.byte_count for file in alike),
        )


def _lines(files: Iterable[SourceFile]) -> int | None:
    known = [file.line_count for file in files if file.line_count is not None]
    return sum(known) if known else None


_SCHEMA = {
    "repo": pl.String(),
    "head_sha": pl.String(),
    "files": pl.Int64(),
    "binary_files": pl.Int64(),
    "lines": pl.Int64(),
    "bytes": pl.Int64(),
    "estimated_tokens": pl.Int64(),
    "file_types": pl.List(
        pl.Struct({"extension": pl.String, "file_count": pl.Int64, "line_count": pl.Int64, "byte_count": pl.Int64})
    ),
    "largest_files": pl.List(pl.String),
    "largest_file_bytes": pl.List(pl.Int64),
}
