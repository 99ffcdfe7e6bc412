"""Phoenix: spans and annotations, pulled over its REST API or read from its exports (JSONL or parquet).

Belongs here: what Phoenix writes, and pulling it so that an interruption loses and doubles nothing.
Does not: what a span means (`spans.py`, `span_attributes.py`).
"""

import base64
import binascii
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.collector import land_records
from prodlens_pipeline.landing.manifest import Checkpoint, checkpoint
from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import Privacy
from prodlens_pipeline.settings import Source
from prodlens_pipeline.traces import spans
from prodlens_pipeline.traces.formats import PullError, TraceFormat, UnreachableError
from prodlens_pipeline.traces.span_attributes import of_columns, of_rest
from prodlens_pipeline.traces.spans import Span
from prodlens_pipeline.warehouse.lake import Lake

PAGE = 500
_ASKED_AT_ONCE = 100
ANNOTATED_DAYS = 7
"""For how many days after a span new annotations of it are looked for."""
_ANNOTATION = "annotation"
_RETRIES = Retry(total=5, connect=2, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
_SECONDS = 60


class PhoenixSpan(Span):
    """A span of the REST API, a row of an exported table, or an annotation of a span."""

    @classmethod
    def facts_of(cls, data: Any) -> Any:
        """Of whichever of the three it is."""
        if "annotator_kind" in data:
            return _of_annotation(data)
        return of_rest(data) if "context" in data else of_columns(data)


@dataclass(frozen=True)
class _Walk:
    """A way down the list of spans, newest first, from `cursor` (the top for None) to the span number `floor`."""

    floor: int
    cursor: str | None = None


@dataclass(frozen=True)
class _Progress:
    """How far a project was read: all spans up to `top` but those of `unfinished` walks, annotations to `annotated`."""

    top: int = 0
    unfinished: tuple[_Walk, ...] = ()
    annotated: str = ""

    @classmethod
    def of(cls, stored: Any) -> "_Progress":
        if stored is None:
            return cls()
        return cls(stored["top"], tuple(_Walk(**walk) for walk in stored["unfinished"]), stored["annotated"])


def pull(lake: Lake, landing: Path, name: str, source: Source, privacy: Privacy) -> Collected:
    """Land the spans and annotations that are new in a project.

    Phoenix lists the newest first, so a reading goes from the top down to what is known. What one page brought and
    how far the reading came are one transaction: an interrupted reading is finished by the next one.

    Raises:
        PullError: the server does not answer, refuses, or answers something else.
    """
    with closing(_Server(str(source.url), source.project)) as server:
        reading = _Reading(lake, landing, name, server, privacy)
        for walk in (*reading.progress.unfinished, _Walk(reading.progress.top)):
            reading.walk(walk)
        reading.annotations()
        return reading.total


@dataclass
class _Reading:
    lake: Lake
    landing: Path
    name: str
    server: "_Server"
    privacy: Privacy
    total: Collected = field(default_factory=Collected)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = _Progress.of(checkpoint(self.lake, self.name))

    def walk(self, walk: _Walk) -> None:
        """Land page after page, down to the walk's floor."""
        position: _Walk | None = walk
        while position is not None:
            page = self.server.get("spans", {"limit": PAGE, **({"cursor": position.cursor} if position.cursor else {})})
            numbered = [(_number(span), span) for span in page["data"]]
            new = [span for number, span in numbered if number > walk.floor]
            others = tuple(other for other in self.progress.unfinished if other != position)
            goes_on = bool(page.get("next_cursor")) and len(new) == len(numbered)
            position = _Walk(walk.floor, page["next_cursor"]) if goes_on else None
            top = max((self.progress.top, *(number for number, _ in numbered)))
            self._land(new, replace(self.progress, top=top, unfinished=(*others, *([position] if position else []))))
            self.seen += [span["context"]["span_id"] for span in new]

    def annotations(self) -> None:
        """Land the annotations of recent spans that were made or changed since the last time."""
        known = self.progress.annotated
        found: list[dict[str, Any]] = []
        spans_asked = sorted({*self.seen, *self._recent()})
        for start in range(0, len(spans_asked), _ASKED_AT_ONCE):
            found += self.server.annotations(spans_asked[start : start + _ASKED_AT_ONCE])
        new = [said for said in found if said["updated_at"] > known]
        if new:
            latest = max(said["updated_at"] for said in new)
            self._land(new, replace(self.progress, annotated=max(known, latest)))

    def _recent(self) -> list[str]:
        if not self.lake.was_made(spans.RAW):
            return []
        rows = self.lake.rows(
            "select distinct span_id from raw.spans where source_name = $name and annotation is null "
            "and started_at >= (now() at time zone 'UTC') - to_days($days::integer)",
            {"name": self.name, "days": ANNOTATED_DAYS},
        )
        return [row[0] for row in rows]

    def _land(self, records: Sequence[dict[str, Any]], progress: _Progress) -> None:
        landed = land_records(
            self.lake,
            self.landing,
            FORMAT.form,
            self.name,
            self.server.address,
            records,
            privacy=self.privacy,
            checkpoint=Checkpoint(self.name, asdict(progress)),
        )
        self.progress = progress
        self.total.merge(landed)


class _Server:
    """One project of a Phoenix server. The key comes from `PHOENIX_API_KEY`."""

    def __init__(self, url: str, project: str) -> None:
        self.address = f"{url.rstrip('/')}/v1/projects/{quote(project, safe='')}"
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(max_retries=_RETRIES))
        self._session.mount("https://", HTTPAdapter(max_retries=_RETRIES))
        if key := os.environ.get("PHOENIX_API_KEY"):
            self._session.headers["authorization"] = f"Bearer {key}"

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def get(self, path: str, parameters: dict[str, Any], *, nothing_on: int | None = None) -> dict[str, Any]:
        """What the server answers: an object with `data`, a list."""
        try:
            response = self._session.get(f"{self.address}/{path}", params=parameters, timeout=_SECONDS)
        except requests.RequestException as error:
            reason = f"cannot be reached ({type(error).__name__}); is the server up?"
            raise UnreachableError(f"{self.address}: {reason}") from None
        if response.status_code == nothing_on:
            return {"data": []}
        if response.status_code in (401, 403):
            raise PullError(
                f"{self.address}: answered {response.status_code}; set PHOENIX_API_KEY to a key that may read"
            )
        if response.status_code == 404:
            raise PullError(f"{self.address}: answered 404; check the project's name and that the server is Phoenix 8+")
        if not response.ok:
            raise UnreachableError(f"{self.address}: answered {response.status_code}; run again when it is well")
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise PullError(f"{self.address}/{path}: the answer is no page of JSON; is this a Phoenix server?")
        return answer

    def annotations(self, span_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """All annotations of some spans; a project without any of them says 404."""
        parameters: dict[str, Any] = {"span_ids": list(span_ids), "limit": PAGE}
        while True:
            page = self.get("span_annotations", parameters, nothing_on=404)
            yield from page["data"]
            if not page.get("next_cursor"):
                return
            parameters["cursor"] = page["next_cursor"]


def _number(span: Any) -> int:
    """The number of a span in the order in which Phoenix got them: its global id is `Span:<number>` in Base64."""
    try:
        kind, _, number = base64.b64decode(span["id"]).decode().partition(":")
        if kind == "Span":
            return int(number)
    except (KeyError, TypeError, ValueError, binascii.Error):
        pass
    raise PullError("a span has no id as Phoenix writes it: this version of Phoenix cannot be read in order")


def _of_annotation(said: Any) -> dict[str, Any]:
    result = said.get("result") or {}
    return {
        "trace_id": _ANNOTATION,
        "span_id": said["id"],
        "parent_id": said["span_id"],
        "kind": "ANNOTATION",
        "start_time": said["created_at"],
        "end_time": max(said["created_at"], said.get("updated_at") or said["created_at"]),
        "status": "UNSET",
        "annotation": said["name"],
        "annotator": said["annotator_kind"],
        "label": result.get("label"),
        "score": result.get("score"),
    }


FORMAT = TraceFormat(
    form=Format("phoenix", PhoenixSpan, pattern=("**/*.jsonl", "**/*.parquet")),
    raw=spans.RAW,
    select=spans.SELECT.replace("{source}", "phoenix"),
    calls=spans.CALLS,
    activity=spans.ACTIVITY,
    kinds=frozenset({"arize"}),
    description="Spans and annotations of Phoenix, pulled or exported, landed.",
    pull=pull,
)
