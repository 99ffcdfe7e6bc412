"""How do the new records of many files become chunks? They are packed, since agents leave thousands of small files.

Belongs here: going through files, and gathering what is landed of them into chunks on the disk.
Does not: reading one file (`readers.py`), judging records (`intake.py`), or telling the manifest (`collector.py`).
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prodlens_pipeline.landing import intake, texts
from prodlens_pipeline.landing.chunks import store_chunk
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.drift import Sample
from prodlens_pipeline.landing.intake import Batch, Intake, KeptText
from prodlens_pipeline.landing.manifest import DeadLetter, Extent, Landed, Position
from prodlens_pipeline.landing.readers import open_source
from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import Privacy
from prodlens_pipeline.landing.texts import TextChunk

Source = tuple[Path, Position | None]
"""A file, and how far it was read before."""


class Pack:
    """Gathers the lines of many files into chunks of `CHUNK_BYTES`: agents leave thousands of small files.

    A chunk that is stored waits in `stored` to be entered in the manifest.
    """

    def __init__(self, landing: Path, source: str) -> None:
        self._landing, self._source = landing, source
        self.stored: list[Landed] = []
        self._begin()

    def _begin(self) -> None:
        self._lines: list[bytes] = []
        self._texts: list[KeptText] = []
        self._size = 0
        self._extents: list[Extent] = []
        self._letters: list[DeadLetter] = []

    def add(self, batch: Batch) -> None:
        """Take one batch more; a full chunk is stored."""
        if batch.extent.says_something:
            self._extents.append(batch.extent)
        self._lines += batch.lines
        self._letters += batch.letters
        self._texts += batch.texts
        self._size += sum(map(len, batch.lines)) + sum(len(text.line) for text in batch.texts)
        if self._size >= intake.CHUNK_BYTES:
            self.store()

    def store(self) -> None:
        """Store what was gathered, as one chunk."""
        if not (self._extents or self._letters):
            return
        content = b"".join(self._lines)
        chunk = store_chunk(self._landing, self._source, content) if content else None
        self.stored.append(Landed(chunk, self._extents, self._letters, self._store_texts()))
        self._begin()

    def _store_texts(self) -> TextChunk | None:
        if not self._texts:
            return None
        times = [text.at for text in self._texts]
        chunk = store_chunk(self._landing, texts.FOLDER, b"".join(text.line for text in self._texts))
        return TextChunk(chunk, tuple(sorted({at.date() for at in times})), min(times), max(times))

    def take(self) -> list[Landed]:
        """What was stored since the last time, to be entered."""
        stored, self.stored = self.stored, []
        return stored


@dataclass(frozen=True)
class Packed:
    """Stored chunks that the manifest is to be told of, with the counts and the sample of what was read for them."""

    landed: list[Landed]
    collected: Collected
    sample: Sample


@dataclass(frozen=True)
class Packer:
    """Packs the new records of a configured source's files, and of their texts what `privacy` allows."""

    landing: Path
    form: Format
    source_name: str
    privacy: Privacy

    def pack(self, files: Iterable[Source], collected: Collected, sample: Sample) -> Iterator[list[Landed]]:
        """Chunks as they are stored; what was read is counted in `collected` and `sample`.

        A file that cannot be read is named in `collected` and hinders no other.
        """
        pack = Pack(self.landing, self.form.name)
        for path, known in files:
            try:
                for batch in self._batches(path, known, sample):
                    pack.add(batch)
                    collected.add(batch)
                    if pack.stored:
                        yield pack.take()
                collected.files += 1
            except OSError as error:
                collected.unreadable.append(f"{path}: {error.strerror}")
        pack.store()
        if pack.stored:
            yield pack.take()

    def pack_all(self, files: Iterable[Source]) -> Packed:
        """The same at once, as a process of its own can hand it over."""
        packed = Packed([], Collected(), Sample(self.form, all_of_the_first=0))
        for landed in self.pack(files, packed.collected, packed.sample):
            packed.landed.extend(landed)
        return packed

    def _batches(self, path: Path, known: Position | None, sample: Sample) -> Iterator[Batch]:
        """What is new in a file, in batches of about `CHUNK_BYTES`."""
        with open_source(path, known) as reading:
            if reading is None:
                return
            taken = Intake(
                self.form,
                self.source_name,
                name_of(path),
                privacy=self.privacy,
                start=reading.start,
                head=reading.head,
                modified=reading.modified,
                sample=sample,
            )
            for item in reading.items:
                taken.take(item)
                if taken.full:
                    yield taken.finish()
            if taken.started or reading.seen:
                yield taken.finish(seen=reading.seen, damage=reading.damage)


def name_of(path: Path) -> str:
    """The path as text, also where its bytes are none."""
    return os.fsencode(path).decode(errors="replace")
