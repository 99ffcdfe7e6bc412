"""The collector: copies what is new in source files and in the answers of APIs into chunks.

Belongs here: finding files, having them packed, and entering the chunks in the manifest.
Does not: packing (`packs.py`), reading files (`readers.py`), judging records (`intake.py`), or interpreting them.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.drift import Sample, record_sample
from prodlens_pipeline.landing.intake import Intake
from prodlens_pipeline.landing.manifest import Checkpoint, Landed, Position, positions, record_landings
from prodlens_pipeline.landing.packs import Pack, Packer, Source, name_of
from prodlens_pipeline.landing.readers import ARCHIVES, Item, bytes_left
from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import DEFAULT_PRIVACY, Privacy
from prodlens_pipeline.landing.workers import in_processes
from prodlens_pipeline.warehouse.lake import Lake

GROUP_BYTES = 32 * 1024 * 1024
"""So much is read by a process at a time."""
MANY_GROUPS = 8
"""From as many on, several processes are quicker than one: starting them takes about a second."""


def find_files(path: Path, pattern: str | tuple[str, ...]) -> list[Path]:
    """The files a configured path means: itself, those in it that match `pattern`, or those of a glob.

    In a folder, compressed files of matching names are found too.
    """
    if path.is_file():
        return [path]
    if path.is_dir():
        patterns = (pattern,) if isinstance(pattern, str) else pattern
        globs = {glob + ending for glob in patterns for ending in ("", *ARCHIVES)}
        return sorted({found for glob in globs for found in path.glob(glob) if found.is_file()})
    glob = str(path.relative_to(path.anchor))
    return sorted(found for found in Path(path.anchor).glob(glob) if found.is_file())


def collect(
    lake: Lake,
    landing: Path,
    form: Format,
    source_name: str,
    files: list[Path],
    *,
    privacy: Privacy = DEFAULT_PRIVACY,
) -> Collected:
    """Land the new records of `files`, and of their texts what `privacy` allows.

    A file that cannot be read is named in the result and hinders no other. Many large files are read by several
    processes.
    """
    collected, sample = Collected(), Sample(form)
    packer = Packer(landing, form, source_name, privacy)
    known = positions(lake, source_name)
    groups = _groups([(path, known.get(name_of(path))) for path in files])

    def enter(landed: list[Landed]) -> None:
        record_landings(lake, source=form.name, source_name=source_name, landed=landed)

    if len(groups) < MANY_GROUPS:
        for landed in packer.pack(chain(*groups), collected, sample):
            enter(landed)
    else:
        for packed in in_processes(packer.pack_all, groups):
            enter(packed.landed)
            collected.merge(packed.collected)
            sample.merge(packed.sample)
    record_sample(lake, form.name, source_name, sample)
    return collected


def _groups(files: Iterable[Source]) -> list[list[Source]]:
    """The files in groups of some `GROUP_BYTES` that are to be read."""
    groups: list[list[Source]] = [[]]
    size = 0
    for path, known in files:
        groups[-1].append((path, known))
        size += _bytes_left(path, known)
        if size >= GROUP_BYTES:
            groups.append([])
            size = 0
    return groups


def _bytes_left(path: Path, known: Position | None) -> int:
    try:
        return bytes_left(path, known)
    except OSError:  # said when it is read
        return 0


def land_records(
    lake: Lake,
    landing: Path,
    form: Format,
    source_name: str,
    source_file: str,
    records: Iterable[dict[str, Any] | bytes],
    *,
    privacy: Privacy = DEFAULT_PRIVACY,
    checkpoint: Checkpoint | None = None,
) -> Collected:
    """Land the records that an API answered, and how far the pull came, all in one transaction.

    `source_file` names where they came from, such as the address without its query: their lines are numbered on from
    those that were landed of it before. Records are objects, or their JSON text.
    """
    total = Collected(files=1)
    start = positions(lake, source_name).get(source_file, Position())
    sample = Sample(form)
    taken = Intake(
        replace(form, split=None),
        source_name,
        source_file,
        privacy=privacy,
        start=start,
        head=b"",
        modified=datetime.now(UTC),
        sample=sample,
    )
    pack = Pack(landing, form.name)

    def finish() -> None:
        batch = taken.finish()
        pack.add(batch)
        total.add(batch)

    end = start.byte_end
    for line, record in enumerate(records, start=start.line_end + 1):
        content = record if isinstance(record, bytes) else _as_json(record)
        end += len(content)
        taken.take(Item(content, line, end))
        if taken.full:
            finish()
    if taken.started:
        finish()
    pack.store()
    record_landings(lake, source=form.name, source_name=source_name, landed=pack.take(), checkpoint=checkpoint)
    record_sample(lake, form.name, source_name, sample)
    return total


def bytes_to_read(lake: Lake, source_name: str, files: list[Path]) -> int:
    """How many bytes a collection would read at the most."""
    known = positions(lake, source_name)
    return sum(bytes_left(path, known.get(name_of(path))) for path in files)


def _as_json(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, default=str)
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits: the contract will refuse it
        return json.dumps(record, default=str).encode()
