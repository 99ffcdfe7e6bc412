"""The right to be forgotten: one developer's records leave the landing zone, the lake and its snapshots.

Belongs here: what is theirs, and taking it out. Does not: making the figures anew (`pipeline.py`), or the sources,
which are not ours to change.
Traces of the developer are dropped. What others share with them, such as a commit that others build on or a pull
request that they reviewed, stays with their names replaced.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import orjson
import zstandard

from prodlens_pipeline.experience.answers import SOURCE as SURVEY
from prodlens_pipeline.landing.rewriting import Judge, Stored, enter, make_stale, rewrite, stored_chunks
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.traces.registry import formats
from prodlens_pipeline.warehouse.contracts import quoted
from prodlens_pipeline.warehouse.lake import LAKE, Lake
from prodlens_pipeline.warehouse.maintenance import compact
from prodlens_pipeline.warehouse.opening import Location

REPLACED = "forgotten"
_METADATA = f"__ducklake_metadata_{LAKE}"
_NOTHING = timedelta()


@dataclass(frozen=True)
class Forgotten:
    """What was taken out: landed records dropped or changed, chunks rewritten, rows deleted; the days it concerns."""

    dropped: int
    changed: int
    chunks: int
    rows: int
    days: list[date]


class Person:
    """By what a developer is known: names, addresses and keys as whole words, and the ids of their sessions."""

    def __init__(self, names: Iterable[str], sessions: Iterable[str], sources: Iterable[str]) -> None:
        self.names = sorted({name.lower() for name in names if name}, key=len, reverse=True)
        self.sources = frozenset(sources)
        self.sessions = frozenset(sessions)
        any_name = "|".join(map(re.escape, self.names))
        # A name in a longer one, or in another's address, is not theirs.
        self.pattern = rf"(?i)(^|[^\w.+@-])({any_name})($|[^\w@.-]|\.(\W|$))"
        self._search = re.compile(self.pattern)

    def named_in(self, text: str) -> bool:
        """Whether one of the names is a word of `text`, or `text` is the id of a session."""
        return text in self.sessions or bool(self._search.search(text))

    def without(self, text: str) -> str:
        """`text` with the names replaced."""
        return self._search.sub(rf"\1{REPLACED}\3", text)


def person(lake: Lake, settings: Settings, developer: str) -> Person:
    """Who is called `developer` in the figures, or has this identity (such as an e-mail address) in the sources."""
    names = {developer, *settings.identities.get(developer, ())}
    names |= {name.split(":", 1)[1] for name in settings.identities.get(developer, ()) if ":" in name}
    tables = lake.tables()
    sessions = {
        session
        for table in ("core.llm_calls", "core.sessions")
        if table in tables
        for (session,) in lake.rows(
            f"select distinct session_id from {table} where lower(developer_id) = lower($developer) "  # noqa: S608
            "and not starts_with(session_id, 'calls-of:')",
            {"developer": developer},
        )
    }
    sources = [source.name for source in settings.sources if source.developer == developer]
    return Person(names | _names_in_git(lake, settings, names), sessions, sources)


def forget(lake: Lake, settings: Settings, developer: str) -> Forgotten:
    """Take `developer` out of everything that ProdLens keeps; the days it concerns are stale then.

    New chunks are written first, then the catalog changes in one transaction, then old files are deleted: after a crash
    it is done again from the start.
    """
    who = person(lake, settings, developer)
    every = (rewrite(settings.landing, chunk, _judge(who, chunk)) for chunk in stored_chunks(lake))
    rewriting = [one for one in every if one.differs]
    days = sorted({day for one in rewriting for day in one.chunk.days})
    with lake.transaction():
        for one in rewriting:
            enter(lake, one)
        make_stale(lake, [file for one in rewriting for file in one.files])
        rows = _delete_rows(lake, who)
        _clean_ops(lake, who)
    for one in rewriting:
        (settings.landing / one.chunk.path).unlink(missing_ok=True)
    (settings.home / "cache.db").unlink(missing_ok=True)  # answers of GitHub, which are only asked for again
    _leave_no_trace(lake, Location.of(settings), who)
    return Forgotten(
        sum(sum(one.dropped.values()) for one in rewriting),
        sum(one.changed for one in rewriting),
        len(rewriting),
        rows,
        days,
    )


def _judge(who: Person, chunk: Stored) -> Judge:
    """What remains of a record of a chunk: itself, itself without the names, or nothing."""
    drops = _drops(who, chunk)

    def judge(record: dict[str, Any]) -> dict[str, Any] | None:
        if drops(record):
            return None
        if any(map(who.named_in, _texts(record))):
            place = {key: record[key] for key in ("_source", "_file")}
            return {key: _mapped(value, who.without) for key, value in record.items()} | place
        return record

    return judge


def _drops(who: Person, chunk: Stored) -> Callable[[dict[str, Any]], bool]:
    """Whether a record goes as a whole: traces that name them do, and their own answers, but not others' comments."""
    if chunk.source == SURVEY:
        return lambda record: any(map(who.named_in, (record.get("developer", ""), record.get("session", ""))))
    if chunk.source in formats() or chunk.table == "ops.text_chunks":
        return lambda record: record["_source"] in who.sources or any(map(who.named_in, _texts(record)))
    return lambda record: False  # noqa: ARG005


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    return [_mapped(inner, change) for inner in value] if isinstance(value, list) else value


def _names_in_git(lake: Lake, settings: Settings, known: set[str]) -> set[str]:
    """The names that commits with one of the known addresses carry."""
    addresses = {name.lower() for name in known if "@" in name}
    paths = lake.rows(
        "select distinct stored_path from ops.landing_chunks "
        "where source = 'git' and stored_path is not null and deleted_at is null"
    )
    found: set[str] = set()
    for (path,) in paths if addresses else ():
        with (settings.landing / path).open("rb") as compressed:
            content = zstandard.ZstdDecompressor().stream_reader(compressed).read()
        for line in content.splitlines():
            commit = orjson.loads(line)
            for role in ("author", "recorded_author"):
                if str(commit.get(f"{role}_email", "")).lower() in addresses:
                    found.add(commit[f"{role}_name"])
    return found


def _delete_rows(lake: Lake, who: Person) -> int:
    """Every row that names them: what others share is made again from the landing zone."""
    columns = lake.rows(
        "select schema_name || '.' || table_name, list((column_name, data_type)) from duckdb_columns() "
        "where database_name = $lake and schema_name <> 'ops' and data_type in ('VARCHAR', 'VARCHAR[]') group by all",
        {"lake": LAKE},
    )
    deleted = 0
    for table, found in columns:
        conditions = [
            f"regexp_matches({_as_text(name, kind)}, $pattern) or {_as_text(name, kind)} in (select unnest($sessions))"
            for name, kind in found
        ]
        table_name = ".".join(map(quoted, table.split(".")))
        condition = " or ".join(f"coalesce({one}, false)" for one in conditions)
        parameters = {"pattern": _for_duckdb(who.pattern), "sessions": sorted(who.sessions)}
        deleted += int(lake.value(f"delete from {table_name} where {condition}", parameters) or 0)  # noqa: S608
    return deleted


def _as_text(name: str, kind: str) -> str:
    return quoted(name) if kind == "VARCHAR" else f"array_to_string({quoted(name)}, ' ')"


def _for_duckdb(pattern: str) -> str:
    """RE2 reads the same expression, but for what `re.escape` does to harmless signs."""
    return re.sub(r"\\([@ ])", r"\1", pattern)


def _clean_ops(lake: Lake, who: Person) -> None:
    """Excerpts and reasons of refused records, and how far pulls came."""
    parameters = {"pattern": _for_duckdb(who.pattern), "replaced": rf"\1{REPLACED}\3"}
    for table, columns in (("dead_letters", ("raw_text", "reason")), ("checkpoints", ("value",))):
        for column in columns:
            lake.execute(
                f"update ops.{table} set {column} = regexp_replace({column}, $pattern, $replaced, 'g') "  # noqa: S608
                f"where regexp_matches({column}, $pattern)",
                parameters,
            )


def _leave_no_trace(lake: Lake, location: Location, who: Person) -> None:
    """No older snapshot, no file of one, no smallest or largest value of a column, no free page of the catalog."""
    compact(lake, keep_snapshots=_NOTHING, longest_read=_NOTHING, rewritten_from=0)
    compact(lake, keep_snapshots=_NOTHING, longest_read=_NOTHING)
    for side in ("min_value", "max_value"):
        lake.execute(
            f"update {_METADATA}.ducklake_table_column_stats set {side} = null "  # noqa: S608
            f"where regexp_matches({side}, $pattern) or list_contains($sessions, {side})",
            {"pattern": _for_duckdb(who.pattern), "sessions": sorted(who.sessions)},
        )
    if location.embedded:
        with closing(sqlite3.connect(location.catalog_file, timeout=60)) as catalog:
            catalog.execute("vacuum")
            catalog.execute("pragma wal_checkpoint(truncate)")
