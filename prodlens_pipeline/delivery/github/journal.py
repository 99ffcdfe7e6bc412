"""What of a repository was read already, and the landing of what is new.

Belongs here: chunks, manifest, dead letters and the checkpoint of one repository, written together.
Does not: asking GitHub (`sync.py`). A reading that breaks off anywhere goes on from here.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from prodlens_pipeline.delivery.github.records import PullRequest
from prodlens_pipeline.landing.chunks import store_chunk
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.intake import stamp
from prodlens_pipeline.landing.manifest import Checkpoint, DeadLetter, Extent, checkpoint, record_landing
from prodlens_pipeline.landing.redaction import Redactor
from prodlens_pipeline.warehouse.lake import Lake

SOURCE = "github"
_CHECKS_TAKE = timedelta(days=3)
"""A check that did not end for so long after the last change never will."""


def read_until(lake: Lake) -> dict[str, datetime]:
    """By repository, up to which change all pull requests are landed; only those that were read to the end once."""
    found: dict[str, datetime] = {}
    for (name,) in lake.rows("select name from ops.checkpoints where starts_with(name, $own)", {"own": f"{SOURCE}:"}):
        until = (checkpoint(lake, name) or {}).get("read_until")
        if until:
            found[name.removeprefix(f"{SOURCE}:")] = datetime.fromisoformat(until).astimezone(UTC).replace(tzinfo=None)
    return found


class Journal:
    """The landing of one repository. `known` is when each pull request was last updated, as far as it is landed."""

    def __init__(self, lake: Lake, landing: Path, repository: str, redactor: Redactor) -> None:
        self._lake, self._landing, self._repository, self._redactor = lake, landing, repository, redactor
        self._source_name = f"{SOURCE}:{repository}"
        rows = lake.rows(
            "select line_end, arg_max(last_event_at, (collected_at, last_event_at)), "
            "arg_max(head_sha256, (collected_at, last_event_at)) "
            "from ops.landing_chunks where source_name = $source_name group by line_end",
            {"source_name": self._source_name},
        )
        self.known: dict[int, datetime] = {number: at.replace(tzinfo=UTC) for number, at, _ in rows}
        self._content: dict[int, str] = {number: sha256 for number, _, sha256 in rows}
        state = checkpoint(lake, self._source_name) or {}
        self._read_until: str | None = state.get("read_until")
        self._running: set[int] = set(state.get("running_checks", ()))
        self._refused = {
            number
            for (number,) in lake.rows(
                "select line from ops.dead_letters where source_name = $source_name and status = 'pending'",
                {"source_name": self._source_name},
            )
        }
        self.collected = Collected(files=1)
        self.unseen: Counter[str] = Counter()
        """How many of the pull requests that were read lack each of `PARTS`, since GitHub does not show it."""

    @property
    def read_until(self) -> datetime | None:
        """Everything that was updated before is landed or to be read again; None before a first complete reading."""
        return datetime.fromisoformat(self._read_until) if self._read_until else None

    @property
    def unfinished(self) -> dict[int, datetime]:
        """Pull requests whose checks were still running, or that were not had in full, and when they last changed."""
        return {number: self.known[number] for number in self._running if number in self.known}

    @property
    def refused(self) -> set[int]:
        """Pull requests that could not be read."""
        return set(self._refused)

    def land(self, pulls: Sequence[PullRequest], *, again: bool = False) -> None:
        """Land what of `pulls` differs from what is landed, and how far the reading came, in one transaction.

        `again`: something of them is missing that may be had the next time.
        """
        late = datetime.now(UTC) - _CHECKS_TAKE
        for pull in pulls:
            self.unseen.update(pull.unseen)
            if (pull.is_checked and not again) or pull.updated_at < late:
                self._running.discard(pull.number)
            else:
                self._running.add(pull.number)
        contents = {pull.number: _fingerprint(pull) for pull in pulls}
        new = [
            pull
            for pull in pulls
            if contents[pull.number] != self._content.get(pull.number) or pull.number in self._refused
        ]
        if not new:
            return
        lines = [
            stamp(
                pull,
                source_name=self._repository,
                source_file=self._file(pull.number),
                line=pull.number,
                at=pull.updated_at,
                redactor=self._redactor,
            )
            for pull in new
        ]
        extents = [self._extent(pull, contents[pull.number], len(line)) for pull, line in zip(new, lines, strict=True)]
        chunk = store_chunk(self._landing, SOURCE, b"".join(lines))
        record_landing(
            self._lake,
            source=SOURCE,
            source_name=self._source_name,
            chunk=chunk,
            extents=extents,
            letters=[],
            checkpoint=self._checkpoint(),
        )
        self._count(extents)
        for pull in new:
            self.known[pull.number] = pull.updated_at
            self._content[pull.number] = contents[pull.number]
            self._refused.discard(pull.number)

    def refuse(self, number: int, reason: str) -> None:
        """Enter a dead letter for a pull request that cannot be read; the next reading tries again."""
        letter = DeadLetter(self._file(number), number, reason, f"pull request {number}", pending=True)
        record_landing(
            self._lake, source=SOURCE, source_name=self._source_name, chunk=None, extents=[], letters=[letter]
        )
        self._refused.add(number)
        self.collected.pending = len(self._refused)

    def complete(self, read_until: datetime | None) -> None:
        """A reading came to its end: remember from where the next one goes on."""
        before = self._checkpoint()
        self._read_until = read_until.isoformat() if read_until else self._read_until
        after = self._checkpoint()
        if after.value != (checkpoint(self._lake, before.name) or {}):
            record_landing(
                self._lake,
                source=SOURCE,
                source_name=self._source_name,
                chunk=None,
                extents=[],
                letters=[],
                checkpoint=after,
            )

    def _checkpoint(self) -> Checkpoint:
        value: dict[str, Any] = {"read_until": self._read_until, "running_checks": sorted(self._running)}
        return Checkpoint(self._source_name, value)

    def _file(self, number: int) -> str:
        return f"{self._repository}#{number}"

    def _extent(self, pull: PullRequest, content: str, size: int) -> Extent:
        at = pull.updated_at.astimezone(UTC).replace(tzinfo=None)
        return Extent(
            source_file=self._file(pull.number),
            head_sha256=content,
            head_bytes=0,
            byte_start=0,
            byte_end=size,
            line_start=pull.number - 1,
            line_end=pull.number,
            lines=1,
            accepted=1,
            rejected=0,
            first_event_at=at,
            last_event_at=at,
            days=(at.date(),),
            touched_days=_days(pull.moments),
        )

    def _count(self, extents: Iterable[Extent]) -> None:
        for extent in extents:
            self.collected.bytes_read += extent.byte_end
            self.collected.lines += 1
            self.collected.accepted += 1
            self.collected.days.update(extent.days)


def _fingerprint(pull: PullRequest) -> str:
    """The same for the same content, whenever it was read."""
    return hashlib.sha256(pull.model_dump_json(exclude={"read_at"}).encode()).hexdigest()


def _days(moments: Iterable[datetime]) -> tuple[date, ...]:
    return tuple(sorted({at.astimezone(UTC).date() for at in moments}))
