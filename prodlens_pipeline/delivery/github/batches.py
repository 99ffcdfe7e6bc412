"""Landing a page of records that an API listed, in one transaction.

Belongs here: the chunk and the extent of a page. Does not: checkpoints of pull requests, which are landed one by one
(`journal.py`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from prodlens_pipeline.landing.chunks import store_chunk
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.intake import stamp
from prodlens_pipeline.landing.manifest import Extent, record_landing
from prodlens_pipeline.landing.records import Record
from prodlens_pipeline.landing.redaction import Redactor
from prodlens_pipeline.warehouse.lake import Lake


class Batches:
    """The landing of one kind of records of one repository; `total` counts them.

    `source_name` is what the manifest calls them, `place` where they are listed.
    """

    def __init__(
        self,
        lake: Lake,
        landing: Path,
        source: str,
        repository: str,
        source_name: str,
        redactor: Redactor | None = None,
    ) -> None:
        self._lake, self._landing, self._redactor = lake, landing, redactor
        self._source, self._repository, self.source_name = source, repository, source_name
        self.place = f"{repository} on GitHub"
        self.total = Collected(files=1)

    def land(self, records: Sequence[Record], moments: Iterable[datetime] = ()) -> None:
        """Land `records`; their days are touched, and those of `moments`."""
        if not records:
            return
        lines: list[bytes] = []
        times: list[datetime] = []
        for number, record in enumerate(records, start=self.total.lines + 1):
            at = record.event_time or datetime.fromtimestamp(0, UTC)
            lines.append(
                stamp(
                    record,
                    source_name=self._repository,
                    source_file=self.place,
                    line=number,
                    at=at,
                    redactor=self._redactor,
                )
            )
            times.append(at.astimezone(UTC).replace(tzinfo=None))
        content = b"".join(lines)
        days = {at.date() for at in times}
        extent = Extent(
            source_file=self.place,
            head_sha256=hashlib.sha256(self._repository.encode()).hexdigest(),
            head_bytes=0,
            byte_start=0,
            byte_end=len(content),
            line_start=self.total.lines,
            line_end=self.total.lines + len(records),
            lines=len(records),
            accepted=len(records),
            rejected=0,
            first_event_at=min(times),
            last_event_at=max(times),
            days=tuple(sorted(days)),
            touched_days=tuple(sorted(days | _days(moments))),
        )
        chunk = store_chunk(self._landing, self._source, content)
        record_landing(
            self._lake, source=self._source, source_name=self.source_name, chunk=chunk, extents=[extent], letters=[]
        )
        self.total.bytes_read += len(content)
        self.total.lines += len(records)
        self.total.accepted += len(records)
        self.total.days |= days


def _days(moments: Iterable[datetime]) -> set[date]:
    return {at.astimezone(UTC).date() for at in moments}
