"""Is a format still what it was? Which fields and program versions its records have, over time.

Belongs here: a sample of the names of fields (never their values), and what is new or gone in it.
Does not: judging records (the contracts do); a field that a contract does not name is not landed, but it is noticed.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import polars as pl

from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import Redactor
from prodlens_pipeline.warehouse.lake import Lake

ALL_OF_THE_FIRST = 500
_THEN_EVERY = 64
_NAMES_IN_ONE = 64
"""More names than that in one object are keys of a map, not fields."""
_NAME = re.compile(r"[A-Za-z_$@](?:[\w.:$@-]{0,63})")
_INDEX = re.compile(r"\.\d+(?=\.|$)")
"""The place in a list, where a list was flattened into names."""
_RECORDS = "records"
_FIELD = "field"
_VERSION = "version"
_CHANCE = 0.001
"""A field is gone when it would have been missed by chance in fewer than so many cases."""


class Sample:
    """The names of the fields, and the versions, of some of the records of one collection."""

    def __init__(self, form: Format, all_of_the_first: int = ALL_OF_THE_FIRST) -> None:
        self._version = form.version
        self._all_of_the_first, self._offered = all_of_the_first, 0
        self.records = 0
        self.fields: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()

    def wants_next(self) -> bool:
        """Whether the next record is to be taken: all at first, then some, which is cheap and misses only the rare."""
        self._offered += 1
        return self._offered <= self._all_of_the_first or self._offered % _THEN_EVERY == 0

    def take(self, record: bytes | dict[str, Any]) -> None:
        """Count the names of one record; what is no object is none."""
        try:
            fields = orjson.loads(record) if isinstance(record, bytes) else record
        except orjson.JSONDecodeError:
            return
        if not isinstance(fields, dict):
            return
        self.records += 1
        for name, value in fields.items():
            self.fields[name] += 1
            if isinstance(value, dict):
                self.fields.update(f"{name}.{inner}" for inner in value)
        version = self._version(fields) if self._version else None
        if isinstance(version, str):
            self.versions[version] += 1

    def merge(self, other: "Sample") -> None:
        """Count what was sampled elsewhere, too."""
        self.records += other.records
        self.fields += other.fields
        self.versions += other.versions


@dataclass(frozen=True)
class Drift:
    """What the latest collection that brought records changed; nothing where it was the first. `at` is in UTC."""

    at: datetime
    new_fields: tuple[str, ...] = ()
    vanished_fields: tuple[str, ...] = ()
    new_versions: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether everything is as it was known."""
        return not (self.new_fields or self.vanished_fields or self.new_versions)


class _Seen(NamedTuple):
    """A row of `ops.format_fields`: `records` had it, of the `out_of` that were sampled until it was last seen.

    Of the row that counts the records themselves, `out_of` is the number before the latest collection.
    """

    kind: str
    name: str
    first_seen: datetime
    last_seen: datetime
    records: int
    out_of: int


def record_sample(lake: Lake, source: str, source_name: str, sample: Sample) -> None:
    """Add the sample of one collection of one configured source to what is known of it."""
    if not sample.records:
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    known = {(row.kind, row.name): row for row in _read(lake, source_name)}
    before = known[_RECORDS, ""].records if known else 0
    total = before + sample.records
    counts = {(_FIELD, name): count for name, count in _fields(sample, known).items()}
    counts |= {(_VERSION, name): count for name, count in _printable(sample.versions).items()}
    rows = [_Seen(_RECORDS, "", known[_RECORDS, ""].first_seen if known else now, now, total, before)]
    for key, count in counts.items():
        old = known.get(key)
        rows.append(_Seen(*key, old.first_seen if old else now, now, (old.records if old else 0) + count, total))
    seen = {(row.kind, row.name) for row in rows}
    rows += [row for key, row in known.items() if key not in seen]
    frame = pl.DataFrame(rows, schema=list(_Seen._fields), orient="row", infer_schema_length=None)
    lake.connection.register("sampled_fields", frame)
    try:
        with lake.transaction():
            lake.execute("delete from ops.format_fields where source_name = $name", {"name": source_name})
            lake.execute(
                "insert into ops.format_fields by name "
                "select $type as source, $name as source_name, * from sampled_fields",
                {"type": source, "name": source_name},
            )
    finally:
        lake.connection.unregister("sampled_fields")


def drift(lake: Lake, source: str) -> dict[str, Drift]:
    """What the latest collection of each configured source of a type changed, by its name.

    Two sources are not held against each other: they may be written by different versions for ever.
    """
    names = lake.rows("select distinct source_name from ops.format_fields where source = $source", {"source": source})
    return {name: _drift(_read(lake, name)) for (name,) in sorted(names)}


def _drift(rows: list[_Seen]) -> Drift:
    latest = next(row for row in rows if row.kind == _RECORDS)
    if latest.out_of == 0:
        return Drift(latest.last_seen)
    new = [row for row in rows if row.first_seen == latest.last_seen]
    gone = [
        row.name
        for row in rows
        if row.kind == _FIELD and _missed(row, latest.records) < _CHANCE <= _missed(row, latest.out_of)
    ]
    return Drift(
        at=latest.last_seen,
        new_fields=tuple(row.name for row in new if row.kind == _FIELD),
        vanished_fields=tuple(gone),
        new_versions=tuple(row.name for row in new if row.kind == _VERSION),
    )


def _missed(row: _Seen, records: int) -> float:
    """The chance to miss a field since it was last seen, by when there were `records`."""
    return float((1 - row.records / row.out_of) ** max(records - row.out_of, 0))


def _fields(sample: Sample, known: dict[tuple[str, str], _Seen]) -> Counter[str]:
    """The fields by name; keys that are no names, or too many to be, are not told apart."""
    siblings: defaultdict[str, set[str]] = defaultdict(set)
    for kind, name in known:
        if kind == _FIELD:
            siblings[_parent(name)].add(name)
    found: Counter[str] = Counter()
    for raw, count in sample.fields.most_common():
        name = _INDEX.sub(".0", raw)
        among = siblings[_parent(name)]
        if not (name in among or (_NAME.fullmatch(name) and len(among) < _NAMES_IN_ONE)):
            continue
        among.add(name)
        found[name] += count
    return _printable(found)


def _parent(name: str) -> str:
    return name.partition(".")[0] if "." in name else ""


def _printable(counts: Counter[str]) -> Counter[str]:
    """The same names as they may be stored."""
    found: Counter[str] = Counter()
    for name, count in zip(Redactor().everything(list(counts)), counts.values(), strict=True):
        found[name[:128]] += count
    return found


def _read(lake: Lake, source_name: str) -> list[_Seen]:
    rows = lake.rows(
        f"select {', '.join(_Seen._fields)} from ops.format_fields where source_name = $name order by kind, name",
        {"name": source_name},
    )
    return [_Seen(*row) for row in rows]
