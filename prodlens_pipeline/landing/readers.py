"""How is a source file read? Its lines or rows, from where reading ended the last time.

Belongs here: plain, gzip and zstd files of lines, parquet and CSV files of rows; noticing that a file was replaced.
Does not: what a line means, and storing (`intake.py`, `collector.py`).
"""

import csv
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson
import polars as pl
import polars.selectors as cs
import zstandard

from prodlens_pipeline.landing.manifest import Position

HEAD_BYTES = 1024
MAX_LINE_BYTES = 60_000_000
"""A longer line is refused unread: what is landed of it might not fit into what DuckDB reads as one object."""
_BUFFER_BYTES = 256 * 1024
"""Of a file at a time: records with prompts are longer than Python's own buffer."""
_BLOCK_BYTES = 16 * 1024
"""Of a compressed file at a time: small, since a few bytes may stand for many."""
_SKIPPED_BYTES = 1024 * 1024
_ROWS = 2000
_BOM = b"\xef\xbb\xbf"
_BLANK = b"\r\n \t"
_DELIMITERS = ",;\t"


class _Decoder(Protocol):
    """What `zlib` and `zstandard` have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed stream was reached."""

    @property
    def unused_data(self) -> bytes:
        """What follows that end."""

    def decompress(self, data: bytes, /) -> bytes:
        """The next part of the content."""


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
}
ARCHIVES = tuple(_DECODERS)
"""The endings of compressed files of lines."""


class Item(NamedTuple):
    """One line of a source, without its end, or one row as a JSON object.

    `end` is the position after it. `ended` is False for a last line that has no line end yet. `too_long` says that
    `content` is the beginning of a line of more than `MAX_LINE_BYTES`; `flaw`, why it is no row of its table.
    """

    content: bytes
    line: int
    end: int
    ended: bool = True
    too_long: bool = False
    flaw: str | None = None


@dataclass
class Reading:
    """What is new in a file: `items` after `start`.

    Positions are bytes of the (decompressed) content; of a table they grow with the rows, up to the file's size.
    `seen` is how a compressed file or a table is known again without reading it: its size and time of change.
    `damage` is set while reading where the rest of a file cannot be read.
    """

    start: Position
    head: bytes
    modified: datetime
    items: Iterator[Item] = field(default_factory=lambda: iter(()))
    seen: tuple[int, int] | None = None
    damage: str | None = None


@contextmanager
def open_source(path: Path, known: Position | None) -> Iterator[Reading | None]:
    """What is new in a file since `known`, or None where nothing is.

    A file that grew is read on; one that was replaced or cut is read from its beginning. Compressed files and
    tables are not opened while their size and time of change are as they were.

    Raises:
        OSError: the file cannot be opened.
    """
    content: io.BufferedReader = io.BufferedReader(path.open("rb", buffering=0), _BUFFER_BYTES)
    with content as file:
        stat = os.fstat(file.fileno())
        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
        if path.suffix not in (*ARCHIVES, *_TABLES):
            yield _open_plain(file, stat.st_size, modified, known)
            return
        seen = (stat.st_size, stat.st_mtime_ns)
        if known and (known.file_bytes, known.modified_ns) == seen:
            yield None
        elif path.suffix in _TABLES:
            yield _open_table(file, path, modified, known, seen)
        else:
            yield _open_archive(file, _DECODERS[path.suffix], modified, known, seen)


def bytes_left(path: Path, known: Position | None) -> int:
    """How many bytes of the file reading it would take at the most."""
    stat = path.stat()
    if path.suffix in (*ARCHIVES, *_TABLES):
        unchanged = known is not None and (known.file_bytes, known.modified_ns) == (stat.st_size, stat.st_mtime_ns)
        return 0 if unchanged else stat.st_size
    return max(stat.st_size - (known.byte_end if known else 0), 0)


def fingerprint(head: bytes, byte_end: int) -> tuple[str, int]:
    """The hash of a file's beginning, as far as it was read, and how many bytes that is."""
    part = head[: min(HEAD_BYTES, byte_end)]
    return hashlib.sha256(part).hexdigest(), len(part)


def _begins_as(head: bytes, known: Position) -> bool:
    return hashlib.sha256(head[: known.head_bytes]).hexdigest() == known.head_sha256


def _open_plain(file: io.BufferedReader, size: int, modified: datetime, known: Position | None) -> Reading | None:
    head = file.read(HEAD_BYTES)
    # Rotation puts another file under the same name.
    start = known if known and size >= known.byte_end and _begins_as(head, known) else Position()
    if size == start.byte_end:
        return None
    file.seek(max(start.byte_end - 1, 0))
    mid_line = start.byte_end > 0 and file.read(1) != b"\n"
    return Reading(start, head, modified, _lines(file, start, mid_line=mid_line))


def _open_archive(
    file: io.BufferedReader,
    new_decoder: Callable[[], _Decoder],
    modified: datetime,
    known: Position | None,
    seen: tuple[int, int],
) -> Reading:
    """A compressed file that was written on begins with what it held before: only what follows is new."""
    head = io.BufferedReader(_Inflated(file, new_decoder)).read(HEAD_BYTES)
    start = known if known and _begins_as(head, known) else Position()
    raw = _Inflated(file, new_decoder)
    content = io.BufferedReader(raw, _SKIPPED_BYTES)
    last = _skip(content, start.byte_end)
    reading = Reading(start, head, modified, seen=seen)
    if last is None and raw.damage:
        reading.damage = raw.damage
        return reading
    if last is None:
        reading.start = Position()
        raw = _Inflated(file, new_decoder)
        content = io.BufferedReader(raw, _SKIPPED_BYTES)
    lines = _lines(content, reading.start, mid_line=last not in (None, b"", b"\n"))
    reading.items = _until_damage(lines, raw, reading)
    return reading


def _open_table(
    file: io.BufferedReader, path: Path, modified: datetime, known: Position | None, seen: tuple[int, int]
) -> Reading:
    """A table has no beginning to compare: it is known by the hash of its whole content."""
    digest = hashlib.file_digest(file, "sha256").digest()
    start = known if known and _begins_as(digest, known) else Position()
    reading = Reading(start, digest, modified, seen=seen)
    reading.items = _TABLES[path.suffix](path, reading)
    return reading


def _lines(content: io.BufferedIOBase, start: Position, *, mid_line: bool) -> Iterator[Item]:
    """The lines from `start`; `mid_line` says that the one before it was read without its end."""
    end, number = start.byte_end, start.line_end
    while line := content.readline(MAX_LINE_BYTES):
        size, ended, too_long = len(line), line.endswith(b"\n"), False
        if size == MAX_LINE_BYTES and not ended:
            line, too_long = line[:HEAD_BYTES], True
            while not ended and (more := content.readline(MAX_LINE_BYTES)):
                size, ended = size + len(more), more.endswith(b"\n")
        text = (line if end else line.removeprefix(_BOM)).strip(_BLANK)
        end += size
        ends_the_line_before = mid_line and not text
        number += not ends_the_line_before
        mid_line = False
        yield Item(text, number, end, ended, too_long)


def _until_damage(lines: Iterator[Item], raw: "_Inflated", reading: Reading) -> Iterator[Item]:
    """The whole lines before a damage: what follows the last line end may be half a record."""
    for item in lines:
        if item.ended or not raw.damage:
            yield item
    reading.damage = raw.damage


def _rows(path: Path, reading: Reading) -> Iterator[Item]:
    # A position lies behind the hash, or it would not tell one content from another.
    number, size = reading.start.line_end, path.stat().st_size
    try:
        table = pl.scan_parquet(path, glob=False)
        rows = int(table.select(pl.len()).collect().item())
        # pandas writes a missing number as NaN
        table = table.slice(number).with_columns(cs.float().fill_nan(None))
        for batch in table.collect_batches(chunk_size=_ROWS, maintain_order=True):
            for row in batch.iter_rows(named=True):
                number += 1
                end = max(size * number // rows, len(reading.head))
                yield Item(orjson.dumps(row, default=str), number, end)
    except (pl.exceptions.PolarsError, OSError) as error:
        reading.damage = str(error).splitlines()[0]


def _csv_rows(path: Path, reading: Reading) -> Iterator[Item]:
    """Rows below a header of names, as texts; an empty cell is no field. Their line is the last one they stand on.

    The delimiter is the one of comma, semicolon and tab that the header has most of. What is no CSV is refused row by
    row.
    """
    with path.open("rb") as file:
        source = _CountedLines(file, len(reading.head))
        header = next(source, "")
        delimiter = max(_DELIMITERS, key=header.count)
        try:
            names = [_plain_name(name) for name in next(csv.reader([header], delimiter=delimiter), [])]
        except csv.Error as error:
            reading.damage = f"its first line is no header of CSV: {error}"
            return
        rows = csv.reader(source, delimiter=delimiter, strict=True)
        while True:
            source.begin()
            try:
                cells, flaw = next(rows), None
            except StopIteration:
                return
            except csv.Error as error:
                cells, flaw = [], f"it is no row of CSV: {error}"
            if flaw is None and cells and len(cells) != len(names):
                flaw = f"it has {len(cells)} cells, and the header has {len(names)}"
            if source.number > reading.start.line_end:
                row = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()}
                content = source.row.strip(_BLANK) if flaw else orjson.dumps(row) if cells else b""
                yield Item(content, source.number, source.end, flaw=flaw)


class _CountedLines:
    """The lines of a file as texts, with how far they were read: `number` lines, up to the position `end`.

    A position lies behind the hash, or it would not tell one content from another. `row` is what was read since
    `begin`.
    """

    def __init__(self, file: io.BufferedReader, offset: int) -> None:
        self._file, self._offset = file, offset
        self.number, self.end, self.row = 0, offset, b""

    def begin(self) -> None:
        """A row begins."""
        self.row = b""

    def __iter__(self) -> "_CountedLines":
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.row += line
        self.number += 1
        self.end += len(line)
        return (line.removeprefix(_BOM) if self.number == 1 else line).decode(errors="replace")


def _plain_name(header: str) -> str:
    """`Answered at` as `answered_at`."""
    return "_".join(header.lower().split())


_TABLES: dict[str, Callable[[Path, Reading], Iterator[Item]]] = {".parquet": _rows, ".csv": _csv_rows}
"""How the rows of a file that is replaced as a whole are read, by its ending."""


def _skip(content: io.BufferedIOBase, size: int) -> bytes | None:
    """Read over `size` bytes; returns the last of them, or None where there are not that many."""
    last = b""
    while size:
        part = content.read(min(size, _SKIPPED_BYTES))
        if not part:
            return None
        size, last = size - len(part), part[-1:]
    return last


class _Inflated(io.RawIOBase):
    """The content of a compressed file as a stream that ends, with `damage` set, where it cannot be decompressed."""

    def __init__(self, file: io.BufferedReader, new_decoder: Callable[[], _Decoder]) -> None:
        super().__init__()
        self._file, self._new_decoder = file, new_decoder
        self._parts = self._inflate()
        self._rest = memoryview(b"")
        self.damage: str | None = None

    def readable(self) -> bool:
        """A stream to read from."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as what is decompressed at once reaches; 0 at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._parts, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _inflate(self) -> Iterator[bytes]:
        self._file.seek(0)
        decoder = None
        try:
            while block := self._file.read(_BLOCK_BYTES):
                while block:
                    # One compressed stream may follow another.
                    decoder = self._new_decoder() if decoder is None or decoder.eof else decoder
                    if part := decoder.decompress(block):
                        yield part
                    block = decoder.unused_data
        except (zlib.error, zstandard.ZstdError, OSError) as error:
            self.damage = f"it cannot be decompressed: {error}"
            return
        if decoder is not None and not decoder.eof:
            self.damage = "it ends early"
