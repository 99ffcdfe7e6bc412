"""GitHub's GraphQL API: many pull requests in full by one request.

Belongs here: the queries, the shapes of their answers and how they become a `PullRequest`.
Does not: waiting and retrying (`client.py`), deciding which API to ask (`sync.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from prodlens_pipeline.delivery.github.client import Client, QueryError, UnexpectedAnswerError, UnreachableError
from prodlens_pipeline.delivery.github.records import (
    Account,
    Check,
    Comment,
    Event,
    PullCommit,
    PullRequest,
    Review,
    Status,
    own_reference,
    revert_reference,
)

PAGE = 25
"""Pull requests by request: with all that belongs to them, more would run into GitHub's ten seconds."""

_PAGE_ATTEMPTS = 3
"""Then a smaller page is worth more than patience."""
_EVENT_NAMES = {
    "ClosedEvent": "closed",
    "ReopenedEvent": "reopened",
    "MergedEvent": "merged",
    "ReadyForReviewEvent": "ready_for_review",
    "ConvertToDraftEvent": "convert_to_draft",
    "HeadRefForcePushedEvent": "head_ref_force_pushed",
    "ReviewRequestedEvent": "review_requested",
}
_EVENT_TYPES = (
    "CLOSED_EVENT, REOPENED_EVENT, MERGED_EVENT, READY_FOR_REVIEW_EVENT, CONVERT_TO_DRAFT_EVENT, "
    "HEAD_REF_FORCE_PUSHED_EVENT, REVIEW_REQUESTED_EVENT"
)
_ROLLUP = "statusCheckRollup"
_ACTOR = "{ __typename login }"
_MORE = "pageInfo { hasNextPage }"
_PULL_REQUEST = f"""
fragment pull on PullRequest {{
  number state isDraft title body createdAt updatedAt closedAt mergedAt
  additions deletions changedFiles headRefOid headRefName baseRefName
  author {_ACTOR}
  mergeCommit {{ oid }}
  commits(first: 100) {{
    totalCount {_MORE}
    nodes {{ commit {{ oid message authoredDate author {{ name email user {{ login }} }} }} }}
  }}
  reviews(first: 50) {{
    {_MORE}
    nodes {{
      databaseId state submittedAt author {_ACTOR}
      comments(first: 30) {{ {_MORE} nodes {{ createdAt author {_ACTOR} }} }}
    }}
  }}
  comments(first: 100) {{ {_MORE} nodes {{ createdAt author {_ACTOR} }} }}
  timelineItems(first: 100, itemTypes: [{_EVENT_TYPES}]) {{
    {_MORE}
    nodes {{
      __typename
      {" ".join(f"... on {name} {{ createdAt actor {_ACTOR} }}" for name in _EVENT_NAMES)}
    }}
  }}
  head: commits(last: 1) {{
    nodes {{
      commit {{
        oid
        statusCheckRollup {{
          contexts(first: 100) {{
            {_MORE}
            nodes {{
              __typename
              ... on CheckRun {{ databaseId name status conclusion startedAt completedAt }}
              ... on StatusContext {{ context state createdAt }}
            }}
          }}
        }}
      }}
    }}
  }}
}}
"""
_WALK = (
    """
query($owner: String!, $name: String!, $first: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: $first, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}) {
      pageInfo { hasNextPage endCursor }
      nodes { ...pull }
    }
  }
}
"""
    + _PULL_REQUEST
)
_ONE = (
    """
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { ...pull } }
}
"""
    + _PULL_REQUEST
)

_T = TypeVar("_T")


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class _PageInfo(_Node):
    has_next_page: bool
    end_cursor: str | None = None


class _Some(_Node, Generic[_T]):
    """The first nodes of a connection."""

    page_info: _PageInfo
    nodes: list[_T]


class _Actor(_Node):
    kind: str = Field(alias="__typename")
    login: str


class _User(_Node):
    login: str


class _Signature(_Node):
    name: str | None = None
    email: str | None = None
    user: _User | None = None


class _Commit(_Node):
    oid: str
    message: str
    authored_date: AwareDatetime | None = None
    author: _Signature | None = None


class _PullCommit(_Node):
    commit: _Commit


class _Commits(_Some[_PullCommit]):
    total_count: int


class _Comment(_Node):
    created_at: AwareDatetime
    author: _Actor | None = None


class _Review(_Node):
    database_id: int
    state: str
    submitted_at: AwareDatetime | None = None
    author: _Actor | None = None
    comments: _Some[_Comment]


class _TimelineItem(_Node):
    kind: str = Field(alias="__typename")
    created_at: AwareDatetime | None = None
    actor: _Actor | None = None


class _Context(_Node):
    """A check run, or a status, which has the last three of these fields."""

    kind: str = Field(alias="__typename")
    database_id: int | None = None
    name: str | None = None
    status: str | None = None
    conclusion: str | None = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    context: str | None = None
    state: str | None = None
    created_at: AwareDatetime | None = None


class _Rollup(_Node):
    contexts: _Some[_Context] | None = None


class _HeadCommit(_Node):
    oid: str
    status_check_rollup: _Rollup | None = None


class _Head(_Node):
    commit: _HeadCommit


class _Heads(_Node):
    nodes: list[_Head]


class _Oid(_Node):
    oid: str


class _Pull(_Node):
    number: int
    state: str
    is_draft: bool
    title: str
    body: str | None = None
    author: _Actor | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    merged_at: AwareDatetime | None = None
    merge_commit: _Oid | None = None
    additions: int
    deletions: int
    changed_files: int
    head_ref_oid: str
    head_ref_name: str
    base_ref_name: str
    commits: _Commits
    reviews: _Some[_Review]
    comments: _Some[_Comment]
    timeline_items: _Some[_TimelineItem]
    head: _Heads

    @property
    def is_whole(self) -> bool:
        """Whether everything that belongs to it came with it."""
        rollups = (head.commit.status_check_rollup for head in self.head.nodes)
        ends: list[_PageInfo] = [
            self.commits.page_info,
            self.reviews.page_info,
            self.comments.page_info,
            self.timeline_items.page_info,
            *(review.comments.page_info for review in self.reviews.nodes),
            *(rollup.contexts.page_info for rollup in rollups if rollup and rollup.contexts),
        ]
        return not any(end.has_next_page for end in ends)


@dataclass(frozen=True)
class Found:
    """Pull requests of one answer: `whole` can be landed, others are too large or broken, and REST may read them."""

    whole: list[PullRequest]
    oldest_update: datetime | None


def walk(client: Client, repository: str, first: int) -> Iterator[Found]:
    """All pull requests, the last updated first, `first` (at most `PAGE`) by request."""
    for page in pages(client, _WALK, repository, ("pullRequests",), min(first, PAGE)):
        yield _found(page.nodes, repository)


def read_pull_request(client: Client, repository: str, number: int) -> PullRequest | None:
    """One pull request in full; None where it is too large for one answer, or did not come whole."""
    path = ("pullRequest",)
    node, errors = _dig(client, _ONE, _names(repository) | {"number": number}, path, client.attempts)
    return next(iter(_found(_sound([node], (), errors).nodes, repository).whole), None)


@dataclass(frozen=True)
class Page:
    """The nodes of one page that came whole; `is_whole` where none is missing."""

    nodes: list[dict[str, Any]]
    is_whole: bool


def pages(client: Client, query: str, repository: str, path: tuple[str, ...], first: int) -> Iterator[Page]:
    """The nodes of the connection at `path` under `repository`, page by page.

    A page that GitHub does not manage in time is asked for again with fewer nodes.
    """
    after: str | None = None
    while True:
        variables = _names(repository) | {"first": first, "after": after}
        try:
            connection, errors = _dig(client, query, variables, path, min(_PAGE_ATTEMPTS, client.attempts))
        except UnreachableError:
            if first == 1:
                raise
            first = max(first // 3, 1)
            continue
        yield _sound(connection.get("nodes") or [], ("repository", *path, "nodes"), errors)
        page = connection.get("pageInfo") or {}
        if not page.get("hasNextPage"):
            return
        if page.get("endCursor") in (None, after):
            raise UnexpectedAnswerError(f"{client.api_url}: GraphQL does not say where the next page begins")
        after = page["endCursor"]


def _names(repository: str) -> dict[str, Any]:
    owner, _, name = repository.partition("/")
    return {"owner": owner, "name": name}


def _sound(nodes: Any, place: tuple[str, ...], errors: list[QueryError]) -> Page:
    """The nodes that no error concerns; `place` is where they are listed, empty where there is only this one.

    A field that an error left empty looks like one that has no value, such as the author of a deleted account. Where
    only the checks are kept from us the node remains, and they are marked as not for us to see.
    """
    spoilt: set[int] = set()
    for error in errors:
        path = error.path or []
        within = path[len(place) :] if place else [0, *path[2:]]
        index = within[0] if within else None
        if not isinstance(index, int) or not 0 <= index < len(nodes):
            return Page([], is_whole=False)  # it may concern any of them
        if not (_ROLLUP in within and _hide_rollup(nodes[index])):
            spoilt.add(index)
    sound = [node for index, node in enumerate(nodes) if isinstance(node, dict) and index not in spoilt]
    return Page(sound, is_whole=len(sound) == len(nodes))


def _hide_rollup(node: Any) -> bool:
    try:
        for head in node["head"]["nodes"]:
            head["commit"][_ROLLUP] = {"contexts": None}
    except (KeyError, TypeError):
        return False
    return True


def _dig(
    client: Client, query: str, variables: dict[str, Any], path: tuple[str, ...], attempts: int
) -> tuple[dict[str, Any], list[QueryError]]:
    """What stands at `path` under `repository`: also beside errors, which may concern a part of it only."""
    value, errors = client.graphql(query, variables, attempts)
    for key in ("repository", *path):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        told = "; ".join(error.message for error in errors) or "it does not say why"
        raise UnexpectedAnswerError(f"{client.api_url}: GraphQL has no {'.'.join(path)} to answer: {told}")
    return value, errors


def _found(nodes: Any, repository: str) -> Found:
    whole: list[PullRequest] = []
    updates: list[datetime] = []
    for node in nodes:
        try:
            pull = _Pull.model_validate(node)
            updates.append(pull.updated_at)
            if pull.is_whole:
                whole.append(_record(pull, repository))
        except ValidationError:
            # It stays wanted: REST reads it again, and tells what is wrong with it.
            continue
    return Found(whole, min(updates, default=None))


def _record(pull: _Pull, repository: str) -> PullRequest:
    return PullRequest(
        number=pull.number,
        state="open" if pull.state == "OPEN" else "closed",
        is_draft=pull.is_draft,
        title=pull.title,
        revert_reference=own_reference(revert_reference(pull.body), repository),
        author=_account(pull.author),
        created_at=pull.created_at,
        updated_at=pull.updated_at,
        closed_at=pull.closed_at,
        merged_at=pull.merged_at,
        merge_commit_sha=pull.merge_commit.oid if pull.merge_commit and pull.merged_at else None,
        head_sha=pull.head_ref_oid,
        head_ref=pull.head_ref_name,
        base_ref=pull.base_ref_name,
        additions=pull.additions,
        deletions=pull.deletions,
        changed_files=pull.changed_files,
        commit_count=pull.commits.total_count,
        commits=[_commit(node.commit) for node in pull.commits.nodes],
        reviews=[
            Review(id=item.database_id, author=_account(item.author), state=item.state, submitted_at=item.submitted_at)
            for item in pull.reviews.nodes
            if item.submitted_at
        ],
        comments=[
            *(_comment(item, None) for item in pull.comments.nodes),
            *(_comment(item, review.database_id) for review in pull.reviews.nodes for item in review.comments.nodes),
        ],
        events=[_event(item) for item in pull.timeline_items.nodes if item.kind in _EVENT_NAMES],
        checks=_checks(pull),
        statuses=_statuses(pull),
        read_at=datetime.now(UTC),
    )


def _account(actor: _Actor | None) -> Account | None:
    return Account.of(actor.login, actor.kind) if actor else None


def _commit(commit: _Commit) -> PullCommit:
    author = commit.author or _Signature()
    return PullCommit(
        sha=commit.oid,
        message=commit.message,
        author_name=author.name,
        author_email=author.email,
        login=author.user.login if author.user else None,
        authored_at=commit.authored_date,
    )


def _event(item: _TimelineItem) -> Event:
    fields = {"event": _EVENT_NAMES[item.kind], "actor": _account(item.actor), "created_at": item.created_at}
    return Event.model_validate(fields)


def _comment(item: _Comment, review_id: int | None) -> Comment:
    return Comment(
        author=_account(item.author),
        created_at=item.created_at,
        review_id=review_id,
        on_code=review_id is not None,
    )


def _contexts(pull: _Pull, kind: str) -> list[tuple[str, _Context]] | None:
    """What of one kind reports on the head, with the commit; None where it is not for us to see."""
    found: list[tuple[str, _Context]] = []
    for head in pull.head.nodes:
        rollup = head.commit.status_check_rollup
        if rollup is None:  # there is none
            continue
        if rollup.contexts is None:
            return None
        found += [(head.commit.oid, context) for context in rollup.contexts.nodes if context.kind == kind]
    return found


def _checks(pull: _Pull) -> list[Check] | None:
    runs = _contexts(pull, "CheckRun")
    return None if runs is None else [_check(run, sha) for sha, run in runs]


def _statuses(pull: _Pull) -> list[Status] | None:
    contexts = _contexts(pull, "StatusContext")
    return None if contexts is None else [_status(one, sha) for sha, one in contexts]


def _status(one: _Context, sha: str) -> Status:
    fields = {
        "context": one.context,
        "head_sha": sha,
        "state": one.state and one.state.lower(),
        "created_at": one.created_at,
    }
    return Status.model_validate(fields)


def _check(run: _Context, sha: str) -> Check:
    fields = {
        "id": run.database_id,
        "name": run.name,
        "head_sha": sha,
        "status": run.status and run.status.lower(),
        "conclusion": run.conclusion and run.conclusion.lower(),
        "started_at": run.started_at,
        "completed_at": run.completed_at,
    }
    return Check.model_validate(fields)
