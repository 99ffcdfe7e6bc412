"""What commits change, line by line but without the lines: hunks, moves, patch ids.

Belongs here: differences as git prints them, reduced to numbers, so that no code leaves the repository.
Does not: whose lines they were (`line_history.py`).

Changes in white space are no changes here, as for `git blame -w`.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypedDict

from prodlens_pipeline.delivery.git_process import GitError, decoded, split, stream


class Move(TypedDict):
    """A block of lines that stands elsewhere now: `count` lines from line `line`, which were at `from_line` of
    `from_path` in the parent. Lines are numbered from 1."""

    line: int
    count: int
    from_path: str
    from_line: int


class FileChange(TypedDict):
    """One text file that differs from a parent's.

    `path` is its path, the old one where it was deleted; `old_path` the parent's where it was renamed.
    `hunks` holds four numbers each: first line and number of lines before, first line and number after, as
    `git diff --unified=0` counts them. `moves` are blocks of added lines that were removed elsewhere.
    """

    path: str
    old_path: str | None
    hunks: list[int]
    moves: list[Move]


class PatchIds(NamedTuple):
    """The id of a commit's difference, and the id that a commit has which undoes it."""

    own: str
    inverse: str | None


MOVED_CHARACTERS = 20
"""A moved block has at least so many letters and digits, as for `git blame -M`."""
_MOST_LINES = 200_000
"""A larger difference is not searched for moves: its lines would have to be held in memory."""
_MOST_CANDIDATES = 32

_DIFF = ["diff-tree", "--stdin", "-r", "-p", "--root", "--always", "--no-ext-diff", "--no-textconv", "--no-color"]
_DIFF += ["--diff-algorithm=myers", "--indent-heuristic", "--inter-hunk-context=0", "--ignore-submodules=all"]
_COMBINED = ["diff-tree", "--stdin", "-r", "-c", "--name-only", "--always", "--no-renames", "--ignore-submodules=all"]
_COMBINED += ["--format=tformat:%x01%H"]
_START = b"\x01"
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_INSIGNIFICANT = re.compile(rb"[^0-9A-Za-z\x80-\xff]")


def patch_ids(repository: Path, shas: Sequence[str]) -> dict[str, PatchIds]:
    """Return the ids of the commits that change something. None of them may be a merge.

    Renames are not detected, so that two commits are the same however similar git finds two files.
    """
    own = dict(_patch_ids(repository, shas, ["--src-prefix=a/", "--dst-prefix=b/"]))
    # Reversed, git swaps the prefixes too, which are part of what the id is made of.
    inverse = dict(_patch_ids(repository, shas, ["-R", "--src-prefix=b/", "--dst-prefix=a/"]))
    return {sha: PatchIds(patch_id, inverse.get(sha)) for sha, patch_id in own.items()}


def line_changes(repository: Path, commits: Iterable[Sequence[str]]) -> Iterator[list[list[FileChange]]]:
    """Yield for each [commit, parent, ...] its changes against each of its parents, in their order.

    For a further parent only files that also differ from the first one: the others are the first one's.
    """
    commits = list(commits)
    plain = _plain_merges(repository, commits)
    compared = [(sha, parents[:1] if sha in plain else parents) for sha, *parents in commits]
    pairs = [[sha, *parent] for sha, parents in compared for parent in ([[p] for p in parents] or [[]])]
    differences = _differences(repository, pairs)
    for sha, parents in compared:
        found = list(islice(differences, max(1, len(parents))))
        if len(found) != max(1, len(parents)):
            raise GitError(f"cannot read {repository}: git diff-tree said nothing of {sha}; run again")
        first, *others = found
        of_both = {change["path"] for change in first}
        further = [[change for change in other if change["path"] in of_both] for other in others]
        yield [first, *further, *([[]] if sha in plain else [])]


def _plain_merges(repository: Path, commits: Iterable[Sequence[str]]) -> set[str]:
    """Return the merges of two parents each of whose files is one of the parents'.

    The difference to the second parent is all that was merged since the branch began. To have git print that for each
    branch would take a time that grows with the square of their number.
    """
    given = "".join(" ".join(commit) + "\n" for commit in commits if len(commit) == 3)
    plain: set[str] = set()
    sha = ""
    for line in split(stream(repository, _COMBINED, given=given), b"\n") if given else ():
        if line.startswith(_START):
            sha = line.removeprefix(_START).decode("ascii")
            plain.add(sha)
        elif line:
            plain.discard(sha)
    return plain


def _patch_ids(repository: Path, shas: Sequence[str], options: Sequence[str]) -> Iterator[tuple[str, str]]:
    given = "".join(f"{sha}\n" for sha in shas)
    options = ["--no-renames", "--full-index", "--unified=3", *options]
    identified = stream(repository, [*_DIFF, *options], given=given, into=["patch-id", "--stable"])
    for line in split(identified, b"\n") if shas else ():
        patch_id, sha = line.decode("ascii").split()
        yield sha, patch_id


def _differences(repository: Path, pairs: Sequence[Sequence[str]]) -> Iterator[list[FileChange]]:
    """Yield the files that differ of each [commit, parent] or [commit]."""
    if not pairs:
        return
    options = ["-w", "--unified=0", "--find-renames", "-l1000", "--no-prefix", "--format=tformat:%x01"]
    given = "".join(" ".join(pair) + "\n" for pair in pairs)
    lines = split(stream(repository, [*_DIFF, *options], given=given), b"\n")
    difference: _Difference | None = None
    for line in lines:
        if line == _START:
            if difference:
                yield difference.changes()
            difference = _Difference()
        elif difference:
            difference.read(line, lines)
    if difference:
        yield difference.changes()


class _Line(NamedTuple):
    """A line that was added or removed: where, its text without white space, its letters and digits."""

    number: int
    text: bytes
    score: int


@dataclass
class _File:
    path: str = ""
    old_path: str = ""
    hunks: list[int] = field(default_factory=list)
    removed: list[_Line] = field(default_factory=list)
    added: list[_Line] = field(default_factory=list)


class _Difference:
    """One commit against one parent, while it is being read."""

    def __init__(self) -> None:
        self._files: list[_File] = []
        self._lines = 0

    def read(self, line: bytes, following: Iterator[bytes]) -> None:
        """Read one line outside of hunks; the lines of a hunk are taken from `following`, by its counts."""
        if line.startswith(b"diff --git "):
            self._files.append(_File())
        elif hunk := _HUNK.match(line):
            self._read_hunk(hunk, following)
        elif line.startswith((b"--- ", b"rename from ")):
            self._files[-1].old_path = _path(line.split(b" ", 2 if line.startswith(b"r") else 1)[-1])
        elif line.startswith((b"+++ ", b"rename to ")):
            self._files[-1].path = _path(line.split(b" ", 2 if line.startswith(b"r") else 1)[-1])

    def _read_hunk(self, hunk: re.Match[bytes], following: Iterator[bytes]) -> None:
        file = self._files[-1]
        start, count, new_start, new_count = (1 if number is None else int(number) for number in hunk.groups())
        file.hunks += [start, count, new_start, new_count]
        self._lines += count + new_count
        for held, lines in (
            (file.removed, _hunk_lines(start, count, following)),
            (file.added, _hunk_lines(new_start, new_count, following)),
        ):
            if self._lines <= _MOST_LINES:
                held.extend(lines)
            else:
                deque(lines, maxlen=0)

    def changes(self) -> list[FileChange]:
        """Return the files whose lines or whose path changed."""
        files = [file for file in self._files if file.hunks or file.path != file.old_path]
        moves = _moves(files) if self._lines <= _MOST_LINES else {}
        return [
            FileChange(
                path=file.path or file.old_path,
                old_path=file.old_path if file.path and file.old_path not in ("", file.path) else None,
                hunks=file.hunks,
                moves=moves.get(index, []),
            )
            for index, file in enumerate(files)
        ]


def _hunk_lines(start: int, count: int, following: Iterator[bytes]) -> Iterator[_Line]:
    """Yield the next `count` lines; a remark such as "No newline at end of file" is none."""
    number = start
    while number < start + count:
        line = next(following)
        if not line.startswith(b"\\"):
            text = b"".join(line[1:].split())
            yield _Line(number, text, len(_INSIGNIFICANT.sub(b"", text)))
            number += 1


def _path(name: bytes) -> str:
    """Return a path as git prints it in a patch: quoted where it is odd, a tab behind one with a space.

    An empty one stands for /dev/null: there is no such file.
    """
    name = name.rstrip(b"\t")
    if name == b"/dev/null":
        return ""
    if name.startswith(b'"'):
        name = _ESCAPE.sub(lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else _ESCAPED.get(m[1], m[1]), name[1:-1])
    return decoded(name)


def _moves(files: Sequence[_File]) -> dict[int, list[Move]]:
    """Return by file the blocks of added lines that equal removed ones; each removed line is found once.

    The longest block wins, then one of the same file, then the first.
    """
    removed = {(index, line.number): line.text for index, file in enumerate(files) for line in file.removed}
    places: dict[bytes, list[tuple[int, int]]] = {}
    for place, text in removed.items():
        if text:
            places.setdefault(text, []).append(place)
    found: dict[int, list[Move]] = {}
    for index, file in enumerate(files):
        at = 0
        while at < len(file.added):
            candidates = [place for place in places.get(file.added[at].text, ())[:_MOST_CANDIDATES] if place in removed]
            blocks = [(_block(file.added, at, removed, place), place[0] == index, place) for place in candidates]
            count, _, place = max(blocks, key=lambda block: block[:2], default=(0, False, (0, 0)))
            if sum(line.score for line in file.added[at : at + count]) < MOVED_CHARACTERS:
                at += 1
                continue
            source, line = place
            found.setdefault(index, []).append(
                Move(
                    line=file.added[at].number,
                    count=count,
                    from_path=files[source].old_path,
                    from_line=line,
                )
            )
            for moved in range(count):
                del removed[source, line + moved]
            at += count
    return found


def _block(added: Sequence[_Line], at: int, removed: dict[tuple[int, int], bytes], place: tuple[int, int]) -> int:
    """Return how many added lines from `at` equal the removed ones from `place`, both without a gap."""
    file, first = place
    count = 0
    while (
        at + count < len(added)
        and added[at + count].number == added[at].number + count
        and removed.get((file, first + count)) == added[at + count].text
    ):
        count += 1
    return count
