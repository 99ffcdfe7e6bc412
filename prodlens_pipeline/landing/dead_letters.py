"""Dead letters: the records that were refused, and what becomes of them when they are read again.

Belongs here: listing them and replaying them under the current contract. Does not: refusing (`intake.py`).
The text of a refused record may hold anything, so no more than an excerpt of it is kept: a replay reads the line from
its source again. Where the source is gone, or holds another line there, the letter stays.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prodlens_pipeline.landing.intake import Accepted, Intake
from prodlens_pipeline.landing.manifest import DeadLetter, Position, positions, record_replay
from prodlens_pipeline.landing.packs import Pack
from prodlens_pipeline.landing.readers import Item, open_source
from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import Privacy
from prodlens_pipeline.warehouse.lake import Lake, Query

_STRICTEST = Privacy("none")
"""For what a source left that is no longer configured."""


@dataclass
class Replayed:
    """What became of letters: landed, refused again, or not to be found (why, by source file)."""

    landed: int = 0
    refused: int = 0
    gone: dict[str, str] = field(default_factory=dict)


def letters_query(source: str | None = None, reason: str | None = None, letter_id: str | None = None) -> Query:
    """The select of the letters, the newest first.

    `source` is a type or a name of a source, `reason` a part of the reason.
    """
    conditions = {
        "$source in (source, source_name)": source,
        "contains(lower(reason), lower($reason))": reason,
        "letter_id = $letter_id": letter_id,
    }
    used = " and ".join(text for text, value in conditions.items() if value is not None)
    return Query(
        "select letter_id, source_name, source_file, line, item, status, reason, raw_text, collected_at "
        f"from ops.dead_letters {'where ' + used if used else ''} order by collected_at desc, source_file, line, item",
        {"source": source, "reason": reason, "letter_id": letter_id},
    )


def replay(
    lake: Lake,
    landing: Path,
    forms: Mapping[str, Format],
    privacies: Mapping[str, Privacy],
    letter_id: str | None = None,
) -> Replayed:
    """Read refused records again (all, or those of one letter), and land what the current contract accepts.

    `forms` are by the type of source, `privacies` by its name. Replaying twice is replaying once.
    """
    total = Replayed()
    files = lake.rows(
        f"select distinct source, source_name, source_file from ops.dead_letters where {_OPEN} order by all",
        {"letter_id": letter_id},
    )
    for source, source_name, source_file in files:
        if source not in forms:
            total.gone[source_file] = f"{source} is no trace format, which reads again by itself what it can"
            continue
        one = _Replay(lake, forms[source], source_name, source_file, privacies.get(source_name, _STRICTEST))
        one.run(landing, _letters(lake, source_name, source_file, letter_id), total)
    return total


_OPEN = "status = 'rejected' and ($letter_id is null or letter_id = $letter_id)"


@dataclass(frozen=True)
class _Refused:
    """An open letter, and how many times it was written: a file may have come back with the same line."""

    letter_id: str
    line: int
    item: int | None
    line_sha256: str | None
    count: int


def _letters(lake: Lake, source_name: str, source_file: str, letter_id: str | None) -> list[_Refused]:
    rows = lake.rows(
        f"select letter_id, line, item, line_sha256, count(*) from ops.dead_letters where {_OPEN} "
        "and source_name = $source_name and source_file = $source_file group by all order by line, item",
        {"letter_id": letter_id, "source_name": source_name, "source_file": source_file},
    )
    return [_Refused(*row) for row in rows]


class _Replay:
    """The replay of the letters of one file."""

    def __init__(self, lake: Lake, form: Format, source_name: str, source_file: str, privacy: Privacy) -> None:
        self._lake, self._form, self._source_name, self._source_file = lake, form, source_name, source_file
        self._position = positions(lake, source_name).get(source_file, Position())
        self._intake = Intake(
            form,
            source_name,
            source_file,
            privacy=privacy,
            start=self._position,
            head=b"",
            modified=self._time_of_the_file(),
        )

    def run(self, landing: Path, letters: Sequence[_Refused], total: Replayed) -> None:
        """Read the lines of `letters` again and enter what became of them."""
        try:
            items = _read_again(Path(self._source_file), letters)
        except OSError as error:
            total.gone[self._source_file] = str(error.strerror)
            return
        settled: list[_Refused] = []
        accepted = refused = 0
        for letter in letters:
            if letter.line not in items:
                total.gone[self._source_file] = "it holds another line there by now"
                continue
            taken, left = self._judge_again(letter, items[letter.line])
            if taken or left != [None]:
                new = [one for one in left if one is not None]
                self._intake.admit(taken, new)
                settled.append(letter)
                accepted, refused = accepted + len(taken), refused + len(new)
            else:
                total.refused += letter.count
        if settled:
            self._enter(landing, settled, accepted, refused)
        total.landed += accepted
        total.refused += refused

    def _judge_again(self, letter: _Refused, item: Item) -> tuple[list[Accepted], list[DeadLetter | None]]:
        """What of the letter's record is accepted by now, and what is refused: [None] where nothing changed."""
        accepted, letters = self._intake.judge(item)
        if letter.item is not None:
            return [one for one in accepted if one.item == letter.item], [None]
        if any(one.item is None for one in letters):
            return [], [None]
        return accepted, list(letters)

    def _enter(self, landing: Path, settled: Sequence[_Refused], accepted: int, refused: int) -> None:
        """Records move from the refused to the accepted; reading goes on where it did."""
        batch = self._intake.finish()
        once_refused = sum(letter.count for letter in settled)
        extent = replace(
            batch.extent,
            head_sha256=self._position.head_sha256,
            head_bytes=self._position.head_bytes,
            file_bytes=self._position.file_bytes,
            modified_ns=self._position.modified_ns,
            lines=accepted + refused - once_refused,
            rejected=refused - once_refused,
        )
        pack = Pack(landing, self._form.name)
        pack.add(replace(batch, extent=extent))
        pack.store()
        record_replay(
            self._lake,
            source=self._form.name,
            source_name=self._source_name,
            landed=pack.take(),
            replayed=[letter.letter_id for letter in settled],
        )

    def _time_of_the_file(self) -> datetime:
        """When a record happened that does not say so: with those that were landed of the file before."""
        at: Any = self._lake.value(
            "select coalesce(max(last_event_at), max(collected_at)) from ops.landing_chunks "
            "where source_name = $source_name and source_file = $source_file",
            {"source_name": self._source_name, "source_file": self._source_file},
        )
        return (at or datetime.now(UTC)).replace(tzinfo=UTC)


def _read_again(path: Path, letters: Sequence[_Refused]) -> dict[int, Item]:
    """The items of the lines that were refused, where they are what they were."""
    hashes: dict[int, set[str | None]] = defaultdict(set)
    for letter in letters:
        hashes[letter.line].add(letter.line_sha256)
    found: dict[int, Item] = {}
    with open_source(path, None) as reading:
        for item in reading.items if reading else ():
            wanted = hashes.get(item.line)
            if wanted and wanted & {None, hashlib.sha256(item.content).hexdigest()}:
                found[item.line] = item
            if len(found) == len(hashes):
                break
    return found
