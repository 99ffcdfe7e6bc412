"""What a module of a trace format exports: how it is landed, its raw table, and how that becomes the common shapes.

Belongs here: `TraceFormat`. Does not: which formats there are (`registry.py`), or any one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import Privacy
from prodlens_pipeline.settings import Source
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import Lake


class PullError(Exception):
    """A server does not answer as it should. The message names it and what to do; what was landed before stays."""


class UnreachableError(PullError):
    """A server is away, or not well: it may answer in a minute."""


Pull = Callable[[Lake, Path, str, Source, Privacy], Collected]
"""Lands what is new on the server that a source's `url` names: lake, landing zone, name of the source, source, privacy.

Raises `PullError`.
"""


@dataclass(frozen=True)
class TraceFormat:
    """A trace format. Each of the texts is one select.

    `select` makes the rows of `raw` out of `{records}`, the landed records of the window. `calls` and `activity` make
    rows of `shapes.CALLS` and `shapes.ACTIVITY` out of the raw table; columns that the format cannot know may be left
    out. Formats that share a raw table share its `calls` and `activity` too.
    """

    form: Format
    raw: Contract
    select: str
    calls: str | None
    activity: str | None
    kinds: frozenset[str]
    description: str
    pull: Pull | None = None

    @property
    def name(self) -> str:
        """The `type` of a source in the configuration."""
        return self.form.name
