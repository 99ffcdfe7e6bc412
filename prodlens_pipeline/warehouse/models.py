"""SQL models: one file in `dbt_like_sql/` is one table.

A file starts with a YAML front matter in a block comment and holds one select, in which `$window_start` and
`$window_end` are DuckDB parameters. Dependencies and column lineage are read from the SQL itself.

Belongs here: the tables that the files make, and remembering what their selects read. Does not: running them
(`assets.py`).
Stop rule: no templating, no macros, no `ref()`, no seeds, one statement, one materialisation. Whoever needs more
should take SQLMesh for the models rather than grow this loader.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import orjson
from pydantic import BaseModel, ValidationError

from prodlens_pipeline.warehouse.contracts import Check, Column, Contract, quoted
from prodlens_pipeline.warehouse.model_files import Draft, ModelError, Reads, Tests, read_drafts

__all__ = ["MODELS", "ModelError", "SqlModel", "load_models"]

MODELS = Path(__file__).resolve().parents[2] / "dbt_like_sql"


@dataclass(frozen=True)
class SqlModel:
    """A table made by one select.

    `lineage` maps a column to the `(schema.table, column)` pairs it is computed from. `lookback_days` and
    `lookahead_days` say how far beyond its own window the select reads its partitioned inputs.
    """

    contract: Contract
    sql: str
    path: Path
    dependencies: tuple[str, ...]
    lineage: Mapping[str, tuple[tuple[str, str], ...]]
    lookback_days: int
    lookahead_days: int
    tags: Mapping[str, str]


def load_models(known: Iterable[Contract], folder: Path = MODELS, *, cache: Path | None = None) -> list[SqlModel]:
    """Every model of `folder`, inputs before those who read them. `known` are the tables that Python assets make.

    `cache` is a file that remembers what the selects read; it is written where it does not fit.

    Raises:
        ModelError: bad front matter or SQL, an unknown table or column, or a cycle; with file and line.
    """
    drafts = read_drafts(folder)
    schema = {contract.full_name: contract.column_types for contract in known}
    reads = _reads(drafts, schema, cache)
    schema |= {name: draft.column_types for name, draft in drafts.items()}
    return [_model(drafts[name], read, schema) for name, read in reads.items()]


class _Remembered(BaseModel):
    """The content of a cache: `key` says of what."""

    key: str
    reads: dict[str, Reads]


def _reads(
    drafts: Mapping[str, Draft], known: Mapping[str, Mapping[str, str]], cache: Path | None
) -> Mapping[str, Reads]:
    """By model, inputs before those who read them."""
    key = _key(drafts, known)
    remembered = _remembered(cache) if cache else None
    if remembered and remembered.key == key:
        return remembered.reads
    from prodlens_pipeline.warehouse.model_sql import reads_of

    reads = reads_of(drafts, known)
    if cache:
        _remember(cache, _Remembered(key=key, reads=reads))
    return reads


def _key(drafts: Mapping[str, Draft], known: Mapping[str, Mapping[str, str]]) -> str:
    """A hash of all that decides what the selects read, and of what reads them."""
    reader = Path(__file__).with_name("model_sql.py").read_bytes()
    selects = [
        [draft.name, str(draft.path), draft.sql, draft.first_line, draft.column_types] for draft in drafts.values()
    ]
    content = orjson.dumps([version("sqlglot"), known, selects])
    return hashlib.sha256(reader + content).hexdigest()


def _remembered(cache: Path) -> _Remembered | None:
    try:
        return _Remembered.model_validate_json(cache.read_bytes())
    except (OSError, ValidationError):  # there is none yet, or none of this program
        return None


def _remember(cache: Path, content: _Remembered) -> None:
    unfinished = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        unfinished.write_text(content.model_dump_json(), encoding="utf-8")
        unfinished.replace(cache)
    except OSError:  # a folder that is missing, full or read-only: the next start takes longer, nothing else
        unfinished.unlink(missing_ok=True)


def _model(draft: Draft, reads: Reads, schema: Mapping[str, Mapping[str, str]]) -> SqlModel:
    _refuse_wrong_relations(draft, reads, schema)
    return SqlModel(
        contract=_contract(draft),
        sql=draft.sql,
        path=draft.path,
        dependencies=reads.tables,
        lineage=reads.lineage,
        lookback_days=draft.matter.lookback_days,
        lookahead_days=draft.matter.lookahead_days,
        tags=draft.matter.tags,
    )


def _refuse_wrong_relations(draft: Draft, reads: Reads, schema: Mapping[str, Mapping[str, str]]) -> None:
    for relation in draft.matter.tests.relationships:
        if relation.to not in reads.tables or relation.field not in schema[relation.to]:
            target = f"{relation.to}.{relation.field}"
            raise draft.error(1, f"front matter relates {relation.column!r} to {target}, which the select cannot read")


def _contract(draft: Draft) -> Contract:
    matter, (folder, name) = draft.matter, draft.name.split(".")
    contract = Contract(
        schema=folder,
        name=name,
        description=matter.description,
        columns=tuple(Column(key, c.type, c.description, c.unit) for key, c in matter.columns.items()),
        key=tuple(matter.grain),
        partitioned=matter.partitioned == "day",
        not_null=tuple(matter.tests.not_null),
        owner=matter.owner,
        plotted=matter.plotted,
    )
    return replace(contract, checks=tuple(_checks(matter.tests, contract)))


def _checks(tests: Tests, contract: Contract) -> Iterable[Check]:
    for accepted in tests.accepted_values:
        values = ", ".join(_literal(value) for value in accepted.values)
        yield contract.row_check(
            f"{accepted.column}_accepted",
            f"{accepted.column} is one of {', '.join(accepted.values)}",
            f"{quoted(accepted.column)} not in ({values})",
        )
    for relation in tests.relationships:
        schema, other = relation.to.split(".")
        known = f"select {quoted(relation.field)} from {quoted(schema)}.{quoted(other)}"
        yield contract.row_check(
            f"{relation.column}_in_{other}",
            f"every {relation.column} is a {relation.field} of {relation.to}",
            # A NULL in the list would make every `not in` unknown, and the check could never fail.
            f"{quoted(relation.column)} not in ({known} where {quoted(relation.field)} is not null)",
        )
    for expression in tests.expression:
        yield contract.row_check(
            expression.name,
            expression.description,
            f"not coalesce(({expression.sql}), true)",
            blocking=expression.severity == "error",
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
