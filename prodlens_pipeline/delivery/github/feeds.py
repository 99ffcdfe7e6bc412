"""What a repository adds to in the course of time, listed the newest first: releases, deployments, workflow runs.

Belongs here: the shapes in which REST lists them, and reading a list from where the last reading ended.
Does not: pull requests (`sync.py`) and commits (`history.py`).
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from prodlens_pipeline.delivery.github.batches import Batches
from prodlens_pipeline.delivery.github.client import Client, GitHubError, NotShownError, OutOfQuotaError, RefusedError
from prodlens_pipeline.delivery.github.feed_records import Deployment, FeedItem, Release, WorkflowRun
from prodlens_pipeline.delivery.github.rest import Answer, User, account
from prodlens_pipeline.delivery.github.sync import Server
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.intake import explain
from prodlens_pipeline.landing.manifest import Checkpoint, DeadLetter, checkpoint, chunk_paths, record_landing
from prodlens_pipeline.landing.records import read_chunks
from prodlens_pipeline.landing.redaction import Redactor
from prodlens_pipeline.warehouse.lake import Lake

_SETTLES_IN = timedelta(days=3)
"""What has not ended so long after it began never will."""
_FIRST_RUN_PAGES = 20
"""Runs of years ago are many, and the checks of the pull requests that they belong to tell the same."""
_log = logging.getLogger(__name__)


class _Item(Answer):
    id: int
    created_at: AwareDatetime
    updated_at: AwareDatetime | None = None


class _Release(_Item):
    tag_name: str
    name: str | None = None
    draft: bool = False
    prerelease: bool = False
    author: User | None = None
    published_at: AwareDatetime | None = None


class _Deployment(_Item):
    node_id: str | None = None
    sha: str
    ref: str
    environment: str | None = None
    production_environment: bool | None = None
    creator: User | None = None


class _Status(Answer):
    state: str
    created_at: AwareDatetime


class _PullReference(Answer):
    number: int


class _Run(_Item):
    name: str | None = None
    event: str
    head_sha: str
    head_branch: str | None = None
    status: str | None = None
    conclusion: str | None = None
    run_attempt: int | None = None
    pull_requests: list[_PullReference] | None = None
    run_started_at: AwareDatetime | None = None


class _Runs(Answer):
    workflow_runs: list[_Run]


class _Node(Answer):
    """What GraphQL says, by the names of REST."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class _PageInfo(_Node):
    has_next_page: bool


class _StatusNode(_Node):
    state: str
    created_at: AwareDatetime


class _StatusNodes(_Node):
    page_info: _PageInfo
    nodes: list[_StatusNode]


class _DeploymentNode(_Node):
    database_id: int
    statuses: _StatusNodes


class _Found(_Node):
    nodes: list[_DeploymentNode | None]


_RELEASES = TypeAdapter(list[_Release])
_DEPLOYMENTS = TypeAdapter(list[_Deployment])
_STATUSES = TypeAdapter(list[_Status])
_RUNS = TypeAdapter(_Runs)
_FINAL = frozenset({"success", "failure", "error", "inactive"})
_BY_ID = """
query($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on Deployment {
      databaseId
      statuses(first: 30) { pageInfo { hasNextPage } nodes { state createdAt } }
    }
  }
}
"""


@dataclass(frozen=True)
class Feed:
    """One kind of things: what they are landed as, how they are listed, and what is landed of those on a page.

    `is_whole` tells that a listed item says all there is to know; `first_pages` limits a first reading.
    """

    name: str
    record: type[FeedItem]
    pages: Callable[[Client, str], Iterable[list[Any]]]
    facts: Callable[[Server, str, list[Any], set[int]], Iterable[dict[str, Any]]]
    is_whole: bool = True
    first_pages: int | None = None

    @property
    def source(self) -> str:
        """The name by which it is landed."""
        return f"github_{self.name}"

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name.replace("_", " ")


def landed(lake: Lake, landing: Path, feed: Feed) -> str:
    """The SQL relation of the last snapshot of everything in a feed."""
    return (
        f"(select * from {read_chunks(feed.record, chunk_paths(lake, landing, feed.source, None))} "
        "qualify row_number() over (partition by _source, id order by read_at desc, _chunk) = 1)"
    )


def read_feed(
    server: Server, name: str, repository: str, feed: Feed, lake: Lake, landing: Path, redactor: Redactor
) -> Collected:
    """Land what is new or changed in one feed of the repository `name`, as `repository`'s.

    Raises:
        GitHubError: it cannot be read; what was landed before stays, and the next reading goes on there.
    """
    return _Reading(server, name, repository, feed, lake, landing, redactor).read()


@dataclass(frozen=True)
class _Known:
    content: str
    updated_at: datetime | None
    has_ended: bool


class _Reading:
    def __init__(
        self,
        server: Server,
        name: str,
        repository: str,
        feed: Feed,
        lake: Lake,
        landing: Path,
        redactor: Redactor,
    ) -> None:
        self._server, self._name, self._feed, self._lake = server, name, feed, lake
        self._checkpoint = f"{feed.source}:{repository}"
        self._batches = Batches(lake, landing, feed.source, repository, self._checkpoint, redactor)
        self._now = datetime.now(UTC)
        self._letters: list[DeadLetter] = []
        rows = lake.rows(
            f"select id, content, updated_at, has_ended from {landed(lake, landing, feed)} where _source = $repository",
            {"repository": repository},
        )
        self._known = {key: _Known(*facts) for key, *facts in rows}

    def read(self) -> Collected:
        """Read down to where the last reading was complete."""
        since = self._since()
        seen: list[FeedItem] = []
        for number, page in enumerate(self._feed.pages(self._server.client, self._name), start=1):
            seen += self._land(page)
            if since and any(item.created_at < since for item in page):
                break
            if since is None and number == self._feed.first_pages:
                break
        self._complete(since, seen)
        self._batches.total.pending = len(self._letters)
        return self._batches.total

    def _since(self) -> datetime | None:
        until = (checkpoint(self._lake, self._checkpoint) or {}).get("until")
        return datetime.fromisoformat(until) if until else None

    def _land(self, page: list[Any]) -> list[FeedItem]:
        """Land what of a page differs from what is landed; returns what was read anew."""
        wanted = [item for item in page if self._feed.is_whole or not self._is_settled(item)]
        read = []
        for facts in self._feed.facts(self._server, self._name, wanted, set(self._known)):
            try:
                read.append(self._record(facts))
            except ValidationError as error:
                number = facts["id"]
                letter = DeadLetter(
                    self._batches.place, number, explain(error), f"{self._feed.name} {number}", pending=True
                )
                self._letters.append(letter)
        changed = [record for record in read if self._content(record.id) != record.content]
        self._batches.land(changed)
        return read

    def _is_settled(self, item: _Item) -> bool:
        known = self._known.get(item.id)
        if known is None or known.updated_at != item.updated_at:
            return False
        return known.has_ended or item.created_at < self._now - _SETTLES_IN

    def _content(self, key: int) -> str | None:
        known = self._known.get(key)
        return known.content if known else None

    def _record(self, facts: dict[str, Any]) -> FeedItem:
        record = self._feed.record.model_validate(facts | {"content": "", "read_at": self._now})
        told = record.model_dump_json(exclude={"content", "read_at"})
        return record.model_copy(update={"content": hashlib.sha256(told.encode()).hexdigest()[:16]})

    def _complete(self, since: datetime | None, seen: list[FeedItem]) -> None:
        """Remember from where the next reading goes on: from the oldest that may still change, else from the newest."""
        going_on = [
            item.created_at for item in seen if not item.has_ended and item.created_at > self._now - _SETTLES_IN
        ]
        newest = max([*(item.created_at for item in seen), *([since] if since else [])], default=None)
        until = min(going_on, default=newest)
        value = {"until": until.isoformat() if until else None}
        if self._letters or value != (checkpoint(self._lake, self._checkpoint) or {}):
            record_landing(
                self._lake,
                source=self._feed.source,
                source_name=self._batches.source_name,
                chunk=None,
                extents=[],
                letters=self._letters,
                checkpoint=Checkpoint(self._checkpoint, value),
            )


def _release_facts(_server: Server, _name: str, items: list[_Release], _known: set[int]) -> Iterable[dict[str, Any]]:
    for item in items:
        yield item.model_dump(include={"id", "created_at", "updated_at", "tag_name", "name", "published_at"}) | {
            "is_prerelease": item.prerelease,
            "author": account(item.author),
            "has_ended": not item.draft,
        }


def _run_facts(_server: Server, _name: str, items: list[_Run], _known: set[int]) -> Iterable[dict[str, Any]]:
    for item in items:
        yield item.model_dump(exclude={"run_attempt", "pull_requests", "run_started_at"}) | {
            "attempt": item.run_attempt,
            "pull_numbers": sorted(one.number for one in item.pull_requests or ()),
            "started_at": item.run_started_at,
            "has_ended": item.status == "completed",
        }


def _deployment_facts(server: Server, name: str, items: list[_Deployment], known: set[int]) -> Iterable[dict[str, Any]]:
    """Of several new ones the statuses come by one request; of others by one each, which costs nothing if unchanged."""
    new = [item for item in items if item.id not in known]
    told = _statuses_by_graphql(server, new) if len(new) > 1 and server.has_graphql else {}
    for item in items:
        statuses = told[item.id] if item.id in told else _statuses(server.client, name, item.id)
        states = None if statuses is None else sorted(statuses, key=lambda one: (one.created_at, one.state))
        environment = item.environment or "unknown"
        yield item.model_dump(include={"id", "created_at", "updated_at", "sha", "ref"}) | {
            "environment": environment,
            # GitHub flags only what its settings say; a name says it as well
            "is_production": bool(item.production_environment) or environment.lower().startswith("prod"),
            "creator": account(item.creator),
            "statuses": None if states is None else [one.model_dump() for one in states],
            "has_ended": states is None or any(one.state in _FINAL for one in states),
        }


def _statuses(client: Client, name: str, deployment: int) -> list[_Status] | None:
    try:
        pages = list(client.pages(f"/repos/{name}/deployments/{deployment}/statuses", _STATUSES))
    except NotShownError as error:
        _log.info("not shown: %s", error)
        return None
    return [status for page in pages for status in page]


def _statuses_by_graphql(server: Server, items: list[_Deployment]) -> dict[int, list[_Status]]:
    """The statuses of those that GraphQL tells; REST tells of the others."""
    ids = [item.node_id for item in items if item.node_id]
    if not ids:
        return {}
    try:
        data, _ = server.client.graphql(_BY_ID, {"ids": ids}, server.client.attempts)
        found = _Found.model_validate(data)
    except (OutOfQuotaError, RefusedError):
        raise
    except GitHubError as error:
        _log.info("reading the statuses of deployments one by one: %s", error)
        return {}
    except ValidationError as error:
        _log.info("reading the statuses of deployments one by one: %s", explain(error))
        return {}
    return {
        node.database_id: [_Status(state=one.state.lower(), created_at=one.created_at) for one in node.statuses.nodes]
        for node in found.nodes
        if node and not node.statuses.page_info.has_next_page
    }


RELEASE_FEED = Feed(
    "releases", Release, lambda client, name: client.pages(f"/repos/{name}/releases", _RELEASES), _release_facts
)
DEPLOYMENT_FEED = Feed(
    "deployments",
    Deployment,
    lambda client, name: client.pages(f"/repos/{name}/deployments", _DEPLOYMENTS),
    _deployment_facts,
    is_whole=False,
)
RUN_FEED = Feed(
    "workflow_runs",
    WorkflowRun,
    lambda client, name: (page.workflow_runs for page in client.pages(f"/repos/{name}/actions/runs", _RUNS)),
    _run_facts,
    first_pages=_FIRST_RUN_PAGES,
)
FEEDS = (RELEASE_FEED, DEPLOYMENT_FEED, RUN_FEED)
"""Everything of this kind that a repository has."""
