"""The files of SQL models: a YAML front matter in a block comment, then one select.

Belongs here: the two parts of a file and the shape of the front matter. Does not: what the select reads
(`model_sql.py`), nor the table that both make (`models.py`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prodlens_pipeline.warehouse.contracts import quoted

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, which is ten times as fast, where PyYAML was built with it."""


class ModelError(Exception):
    """A model cannot be loaded. The message names the file, the line and the reason."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ColumnMatter(_Strict):
    """One column."""

    type: str
    description: str
    unit: str | None = None


class AcceptedValues(_Strict):
    """A column that holds one of some values."""

    column: str
    values: list[str]


class Relationship(_Strict):
    """A column whose values another table has, too."""

    column: str
    to: str
    field: str


class Expression(_Strict):
    """A condition that every row meets."""

    name: str
    sql: str
    description: str
    severity: Literal["error", "warn"] = "error"


class Tests(_Strict):
    """What must be true of the rows."""

    not_null: list[str] = []
    accepted_values: list[AcceptedValues] = []
    relationships: list[Relationship] = []
    expression: list[Expression] = []


class FrontMatter(_Strict):
    """What a model says of itself."""

    description: str
    grain: Annotated[list[str], Field(min_length=1)]
    partitioned: Literal["day", "none"] = "day"
    lookback_days: int = 0
    lookahead_days: int = 0
    owner: str
    tags: dict[str, str] = {}
    plotted: str | None = None
    columns: dict[str, ColumnMatter]
    tests: Tests = Tests()


class Reads(BaseModel):
    """What a select reads: tables, and the `(schema.table, column)` pairs that each of its columns is computed from."""

    model_config = ConfigDict(frozen=True)

    tables: tuple[str, ...]
    lineage: dict[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Draft:
    """One file as it is written; `first_line` is where its SQL begins."""

    path: Path
    name: str
    matter: FrontMatter
    sql: str
    first_line: int

    @property
    def column_types(self) -> dict[str, str]:
        """The declared columns."""
        return {name: column.type for name, column in self.matter.columns.items()}

    def error(self, line: int, message: str) -> ModelError:
        """What is wrong at a line of the file."""
        return ModelError(f"{self.path}:{line}: {message}")


def read_drafts(folder: Path) -> dict[str, Draft]:
    """The models of `folder` by the names of their tables.

    Raises:
        ModelError: bad front matter.
    """
    return {draft.name: draft for draft in map(_read, sorted(folder.glob("*/*.sql")))}


def _read(path: Path) -> Draft:
    text = path.read_text(encoding="utf-8")
    head, closed, sql = text.partition("*/")
    if not (text.startswith("/*") and closed):
        raise ModelError(f"{path}:1: a model starts with its front matter in /* ... */")
    draft = Draft(
        path=path,
        name=f"{path.parent.name}.{path.stem}",
        matter=_front_matter(path, head[2:]),
        sql=sql,
        first_line=head.count("\n") + 1,
    )
    _refuse_wrong_names(draft)
    return draft


def _front_matter(path: Path, text: str) -> FrontMatter:
    try:
        return FrontMatter.model_validate(yaml.load(text, Loader=_LOADER))  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        line = mark.line + 1 if mark else 1
        reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise ModelError(f"{path}:{line}: the front matter is not valid YAML: {reason}") from error
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ModelError(f"{path}:1: front matter: {reasons}") from error


def _refuse_wrong_names(draft: Draft) -> None:
    matter, tests = draft.matter, draft.matter.tests
    try:
        for name in (*draft.name.split("."), *matter.columns):
            quoted(name)
    except ValueError as error:
        raise draft.error(1, str(error)) from error
    partition = ["day"] if matter.partitioned == "day" else []
    tested = [*(test.column for test in tests.accepted_values), *(test.column for test in tests.relationships)]
    for named in (*partition, *matter.grain, *tests.not_null, *tested):
        if named not in matter.columns:
            raise draft.error(1, f"front matter names column {named!r}, which it does not list")
