"""What of a source is landed? Each record is held against its contract, stamped, or refused.

Belongs here: turning the items of one source file into landed lines and dead letters, extent by extent.
Does not: reading files (`readers.py`), storing (`chunks.py`, `manifest.py`).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import orjson
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from prodlens_pipeline.landing.drift import Sample
from prodlens_pipeline.landing.manifest import DeadLetter, Extent, Position
from prodlens_pipeline.landing.readers import MAX_LINE_BYTES, Item, fingerprint
from prodlens_pipeline.landing.records import Format, Record, Split
from prodlens_pipeline.landing.redaction import Privacy, Redactor
from prodlens_pipeline.landing.texts import TextRecord

CHUNK_BYTES = 16 * 1024 * 1024
EXCERPT_CHARACTERS = 200
"""How much of a refused line is kept: enough to find it, too little to archive somebody's prompt."""
_SEARCHED_BYTES = 1024
"""As far as secrets are looked for: one that begins in the excerpt ends before."""
_NO_END = "the last line has no end yet; it is read again when the file grows"
_SPLIT_ERRORS = (ValueError, TypeError, LookupError, AttributeError)
"""What code that expects another shape of JSON raises."""
_NUL = b"\\u0000"
_ESCAPES = re.compile(rb"\\(?:u[0-9a-f]{4}|.)")
_REPLACEMENT = "\ufffd".encode()
_REFUSALS = (ValidationError, PydanticSerializationError)
"""A record may break its contract, or hold what JSON cannot, such as half a surrogate pair."""


@dataclass(frozen=True)
class KeptText:
    """The line of a text that is kept for a while, and when it was written (UTC)."""

    line: bytes
    at: datetime


@dataclass(frozen=True)
class Batch:
    """What was read of a source since the last batch."""

    extent: Extent
    lines: list[bytes]
    texts: list[KeptText]
    letters: list[DeadLetter]


def excerpts(beginnings: Sequence[str], redactor: Redactor) -> list[str]:
    """The beginnings of refused lines, without what must not be stored."""
    redacted = redactor.everything(beginnings)
    return [text.replace("\x00", "\ufffd")[:EXCERPT_CHARACTERS] for text in redacted]


def explain(error: Exception) -> str:
    """Why a record was refused, as one line: each key and what is wrong with it, never the value."""
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False)
        return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'line'}: {item['msg']}" for item in found)[:500]
    if isinstance(error, ValueError):
        return f"line: {error}"[:500]
    return "line: it has not the shape that this format's records lie in"


def stamp(
    record: Record,
    *,
    source_name: str,
    source_file: str,
    line: int,
    at: datetime,
    item: int | None = None,
    redactor: Redactor | None = None,
) -> bytes:
    """The landed line of a record: where it stood and when it happened, then its fields.

    `item` is its place among the records of the line, where a line may hold several. `redactor` goes over the fields
    that are `FreeText`.
    """
    return _stamped(_origin(source_name, source_file), _body(record, redactor), line, item, _utc(at))


def with_neighbours(days: Iterable[date]) -> tuple[date, ...]:
    """`days` with two days before and after each.

    A session may reach over midnight, an edit of it may be decided on the day after, and whether work went on
    without a pause for two days decides where a session is cut.
    """
    return tuple(sorted({day + timedelta(days=step) for day in days for step in range(-2, 3)}))


def _origin(source_name: str, source_file: str) -> bytes:
    """The beginning of all landed lines of a file."""
    return orjson.dumps({"_source": source_name, "_file": source_file})[:-1]


def _stamped(origin: bytes, body: bytes, line: int, item: int | None, at: datetime) -> bytes:
    place = b"" if item is None else b',"_item":%d' % item
    rest = b"," + body[1:] if len(body) > 2 else b"}"
    return b'%b,"_line":%d%b,"_at":"%b"%b\n' % (origin, line, place, at.isoformat().encode(), rest)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _body(record: Record, redactor: Redactor | None) -> bytes:
    """The fields of a record. NUL becomes U+FFFD: the statements of a lake's catalog end at it."""
    body = record.model_dump_json(exclude_none=True, context=redactor).encode()
    return _ESCAPES.sub(lambda found: _REPLACEMENT if found[0] == _NUL else found[0], body) if _NUL in body else body


class Accepted(NamedTuple):
    """An accepted record as it will be landed, until its time (UTC) is known.

    Its text, not itself: thousands of large objects would slow collecting down.
    """

    body: bytes
    texts: tuple[bytes, ...]
    line: int
    item: int | None
    at: datetime | None


class Intake:
    """Takes the items of one source file and gives batches of what is landed of them."""

    def __init__(
        self,
        form: Format,
        source_name: str,
        source_file: str,
        *,
        privacy: Privacy,
        start: Position,
        head: bytes,
        modified: datetime,
        sample: Sample | None = None,
    ) -> None:
        self._privacy, self._sample = privacy, sample
        self._form, self._source_file = form, source_file
        self._origin = _origin(source_name, source_file)
        self._head, self._modified = head, _utc(modified)
        self._byte, self._line = start.byte_end, start.line_end
        self._last_at: datetime | None = None
        self._begin()

    def _begin(self) -> None:
        self._byte_start, self._line_start = self._byte, self._line
        self._accepted: list[Accepted] = []
        self._letters: list[DeadLetter] = []
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether it is time to finish a batch."""
        return self._size >= CHUNK_BYTES

    @property
    def started(self) -> bool:
        """Whether anything was taken since the last batch."""
        return self._byte > self._byte_start or bool(self._letters)

    def take(self, item: Item) -> None:
        """Accept or refuse the records of one item; a last line that has no end yet is left for the next time."""
        accepted, letters = self.judge(item) if item.content else ([], [])
        if letters and letters[-1].pending:
            self._letters.append(letters[-1])
            return
        self.admit(accepted, letters)
        self._byte, self._line = item.end, item.line
        self._size += len(item.content)

    def finish(self, *, seen: tuple[int, int] | None = None, damage: str | None = None) -> Batch:
        """What was read since the last batch; `seen` and `damage` as in `Reading`, at the end of a file."""
        times = self._filled_times()
        timed = list(zip(self._accepted, times, strict=True))
        origin = self._origin
        lines = [_stamped(origin, one.body, one.line, one.item, at) for one, at in timed]
        texts = [
            KeptText(_stamped(origin, text, one.line, one.item, at), at)
            for one, at in timed
            if one.texts
            for text in one.texts
        ]
        if damage:
            reason = f"the rest of the file cannot be read: {damage}; it is read again when the file changes"
            self._letters.append(DeadLetter(self._source_file, self._line + 1, reason, "", pending=True))
        batch = Batch(self._extent(times, seen), lines, texts, self._redacted_letters())
        self._begin()
        return batch

    def _accept(self, record: Record, line: int, item: int | None) -> Accepted:
        redactor = self._privacy.redactor
        texts = tuple(
            _body(TextRecord(kind=text.kind, id=text.id, path=text.path, text=text.text), redactor)
            for text in (record.texts if self._privacy.capture != "none" else ())
            if self._privacy.keeps(text.kind)
        )
        at = record.event_time
        return Accepted(_body(record, redactor), texts, line, item, at and _utc(at))

    def judge(self, item: Item) -> tuple[list[Accepted], list[DeadLetter]]:
        """The records of one item, and what of it is refused: parts of a line, or the line as a whole."""
        if item.too_long:
            return [], [self._refuse(item, f"line: it is longer than {MAX_LINE_BYTES:,} bytes")]
        if item.flaw:
            return [], [self._refuse(item, f"line: {item.flaw}")]
        if self._form.split is not None:
            return self._judge_parts(item, self._form.split)
        if self._sample and self._sample.wants_next():
            self._sample.take(item.content)
        try:
            return [self._accept(self._form.record.model_validate_json(item.content), item.line, None)], []
        except _REFUSALS as error:
            return [], [self._refuse(item, explain(error))]

    def admit(self, accepted: list[Accepted], letters: list[DeadLetter]) -> None:
        """Take what was judged."""
        self._accepted += accepted
        self._letters += letters

    def _judge_parts(self, item: Item, split: Split) -> tuple[list[Accepted], list[DeadLetter]]:
        """The records of one line: one that is refused hinders no other."""
        try:
            parts = list(split(item.content))
        except _SPLIT_ERRORS as error:
            return [], [self._refuse(item, explain(error))]
        validate, validate_json = self._form.record.model_validate, self._form.record.model_validate_json
        accepted: list[Accepted] = []
        letters: list[DeadLetter] = []
        for place, part in enumerate(parts):
            if self._sample and self._sample.wants_next():
                self._sample.take(part)
            try:
                record = validate_json(part) if isinstance(part, bytes) else validate(part)
                accepted.append(self._accept(record, item.line, place))
            except _REFUSALS as error:
                letters.append(self._letter(item, place, explain(error)))
        return accepted, letters

    def _refuse(self, item: Item, reason: str) -> DeadLetter:
        """The line as a whole is refused, unless its end may still come."""
        letter = self._letter(item, None, reason)
        return letter if item.ended else replace(letter, reason=_NO_END, pending=True)

    def _letter(self, item: Item, place: int | None, reason: str) -> DeadLetter:
        return DeadLetter(
            self._source_file,
            item.line,
            reason,
            item.content[:_SEARCHED_BYTES].decode(errors="replace") if self._form.excerpts else "",
            item=place,
            line_sha256=hashlib.sha256(item.content).hexdigest(),
        )

    def _redacted_letters(self) -> list[DeadLetter]:
        texts = excerpts([letter.raw_text for letter in self._letters], self._privacy.redactor)
        return [replace(letter, raw_text=text) for letter, text in zip(self._letters, texts, strict=True)]

    def _extent(self, times: list[datetime], seen: tuple[int, int] | None) -> Extent:
        known = [one.at for one in self._accepted if one.at is not None]
        days = {at.date() for at in times}
        rejected = sum(not letter.pending for letter in self._letters)
        head_sha256, head_bytes = fingerprint(self._head, self._byte)
        return Extent(
            source_file=self._source_file,
            head_sha256=head_sha256,
            head_bytes=head_bytes,
            byte_start=self._byte_start,
            byte_end=self._byte,
            line_start=self._line_start,
            line_end=self._line,
            lines=len(times) + rejected,
            accepted=len(times),
            rejected=rejected,
            first_event_at=min(known, default=None),
            last_event_at=max(known, default=None),
            days=tuple(sorted(days)),
            touched_days=with_neighbours(days),
            file_bytes=seen[0] if seen else None,
            modified_ns=seen[1] if seen else None,
        )

    def _filled_times(self) -> list[datetime]:
        """A record without a time happened when its neighbour did: the one before, else the next, else the file."""
        following = next((one.at for one in self._accepted if one.at is not None), self._modified)
        last = self._last_at or following
        filled = []
        for one in self._accepted:
            last = one.at or last
            filled.append(last)
        self._last_at = last if self._accepted else self._last_at
        return filled
