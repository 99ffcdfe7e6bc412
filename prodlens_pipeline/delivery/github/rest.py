"""GitHub's REST API: which repositories and pull requests there are, and one pull request in full.

Belongs here: the shapes that REST answers in and how they become a `PullRequest`.
Does not: waiting and retrying (`client.py`), deciding what to read (`sync.py`).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from prodlens_pipeline.delivery.github.client import Client, NotShownError, UnexpectedAnswerError, UnreachableError
from prodlens_pipeline.delivery.github.records import (
    EVENTS,
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
from prodlens_pipeline.landing.intake import explain

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Answer(BaseModel):
    """A part of an answer: only what it names is kept, in the cache too."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class User(Answer):
    """An account as REST shows it."""

    login: str
    type: str = "User"


class RepositoryFacts(Answer):
    """A repository. `full_name` is its present name, also where it was asked for by a former one."""

    full_name: str


class Listed(Answer):
    """A pull request in a list."""

    number: int
    updated_at: AwareDatetime


class _Head(Answer):
    ref: str
    sha: str


class _Base(Answer):
    ref: str


class _Pull(Answer):
    number: int
    state: str
    draft: bool | None = None
    title: str
    body: Annotated[str | None, BeforeValidator(revert_reference)] = None
    user: User | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    merged_at: AwareDatetime | None = None
    merge_commit_sha: str | None = None
    head: _Head
    base: _Base
    additions: int | None = None
    deletions: int | None = None
    changed_files: int | None = None
    commits: int | None = None
    comments: int | None = None
    review_comments: int | None = None


class _Signature(Answer):
    name: str | None = None
    email: str | None = None
    date: AwareDatetime | None = None


class _GitCommit(Answer):
    message: str
    author: _Signature | None = None


class _Commit(Answer):
    sha: str
    commit: _GitCommit
    author: User | None = None


class _Review(Answer):
    id: int
    user: User | None = None
    state: str
    submitted_at: AwareDatetime | None = None


class _Comment(Answer):
    user: User | None = None
    created_at: AwareDatetime
    pull_request_review_id: int | None = None


class _Event(Answer):
    event: str
    actor: User | None = None
    created_at: AwareDatetime


class _CheckRun(Answer):
    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None


class _CheckRuns(Answer):
    check_runs: list[_CheckRun]


class _Status(Answer):
    context: str
    state: str
    created_at: AwareDatetime | None = None


class _Statuses(Answer):
    statuses: list[_Status]


_REPOSITORY = TypeAdapter(RepositoryFacts)
_REPOSITORIES = TypeAdapter(list[RepositoryFacts])
_LISTED = TypeAdapter(list[Listed])
_PULL = TypeAdapter(_Pull)
_COMMITS = TypeAdapter(list[_Commit])
_REVIEWS = TypeAdapter(list[_Review])
_COMMENTS = TypeAdapter(list[_Comment])
_EVENTS = TypeAdapter(list[_Event])
_CHECK_RUNS = TypeAdapter(_CheckRuns)
_STATUSES = TypeAdapter(_Statuses)


def present_name(client: Client, name: str) -> str:
    """The name that a repository has now.

    Asked for first, since a redirect after a renaming drops the query of a request.
    """
    return client.get(f"/repos/{name}", _REPOSITORY).full_name


def repositories_of(client: Client, owner: str) -> list[str]:
    """The names of all repositories of an organisation or a user."""
    try:
        pages = list(client.pages(f"/orgs/{owner}/repos", _REPOSITORIES, type="all"))
    except NotShownError:
        pages = list(client.pages(f"/users/{owner}/repos", _REPOSITORIES, type="owner"))
    return sorted({repository.full_name for page in pages for repository in page})


def listing(client: Client, repository: str) -> Iterator[list[Listed]]:
    """All pull requests, the last updated first.

    While it is read, one that is updated moves to the front and pushes others onto the next page: some come twice,
    and only the updated one can be missed. In ascending order others would be skipped for good.
    """
    return client.pages(f"/repos/{repository}/pulls", _LISTED, state="all", sort="updated", direction="desc")


class PartUnreachableError(UnreachableError):
    """There is no answer to what is asked for one of `PARTS`."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass
class Parts:
    """Reading what belongs to a pull request, where what is not shown, or not as documented, hinders nothing else.

    `without` are those that are not asked for. `amiss` are those that may be had another time.
    """

    without: frozenset[str] = frozenset()
    amiss: set[str] = field(default_factory=set)

    def read(self, part: str, read: Callable[[], list[_T]]) -> list[_T] | None:
        """What `read` reads; None where GitHub does not show it."""
        if part in self.without:
            self.amiss.add(part)
            return None
        try:
            return read()
        except NotShownError as error:
            _log.info("not shown: %s", error)
        except UnexpectedAnswerError as error:
            _log.warning("reading without %s: %s", part, error)
            self.amiss.add(part)
        except ValidationError as error:
            _log.warning("reading without %s: %s", part, explain(error))
            self.amiss.add(part)
        except UnreachableError as error:
            raise PartUnreachableError(part, str(error)) from None
        return None


def read_pull_request(client: Client, repository: str, number: int, parts: Parts) -> PullRequest:
    """One pull request with all that belongs to it, as far as GitHub shows it.

    Raises:
        NotShownError: GitHub does not show the pull request itself.
        PartUnreachableError: there is no answer to one of its parts.
    """
    place = f"/repos/{repository}"
    # First, so that nothing else of the snapshot is older than its updated_at.
    pull = client.get(f"{place}/pulls/{number}", _PULL)
    head = pull.head.sha
    return PullRequest(
        number=pull.number,
        state=pull.state,
        is_draft=bool(pull.draft),
        title=pull.title,
        revert_reference=own_reference(pull.body, repository),
        author=account(pull.user),
        created_at=pull.created_at,
        updated_at=pull.updated_at,
        closed_at=pull.closed_at,
        merged_at=pull.merged_at,
        # An open pull request carries the commit of a test merge here.
        merge_commit_sha=pull.merge_commit_sha if pull.merged_at else None,
        head_sha=head,
        head_ref=pull.head.ref,
        base_ref=pull.base.ref,
        additions=pull.additions,
        deletions=pull.deletions,
        changed_files=pull.changed_files,
        commit_count=pull.commits,
        commits=parts.read(
            "commits", lambda: [_commit(item) for item in _all(client, f"{place}/pulls/{number}/commits", _COMMITS)]
        ),
        reviews=parts.read("reviews", lambda: _reviews(_all(client, f"{place}/pulls/{number}/reviews", _REVIEWS))),
        comments=parts.read("comments", lambda: _comments(client, place, pull)),
        events=parts.read("events", lambda: _events(_all(client, f"{place}/issues/{number}/events", _EVENTS))),
        checks=parts.read("checks", lambda: _checks(client, f"{place}/commits/{head}/check-runs")),
        statuses=parts.read("statuses", lambda: _statuses(client, f"{place}/commits/{head}/status", head)),
        read_at=datetime.now(UTC),
    )


def _all(client: Client, path: str, shape: TypeAdapter[list[_T]]) -> list[_T]:
    return [item for page in client.pages(path, shape) for item in page]


def account(user: User | None) -> Account | None:
    """The account of a user; None where it was deleted."""
    return Account.of(user.login, user.type) if user else None


def _commit(item: _Commit) -> PullCommit:
    author = item.commit.author or _Signature()
    return PullCommit(
        sha=item.sha,
        message=item.commit.message,
        author_name=author.name,
        author_email=author.email,
        login=item.author.login if item.author else None,
        authored_at=author.date,
    )


def _reviews(items: list[_Review]) -> list[Review]:
    """Those that were submitted: a pending one is visible to its author only."""
    return [
        Review(id=item.id, author=account(item.user), state=item.state, submitted_at=item.submitted_at)
        for item in items
        if item.submitted_at
    ]


def _comments(client: Client, place: str, pull: _Pull) -> list[Comment]:
    """Those of its conversation and those on its code; a kind of which there are none is not asked for."""
    conversation = [] if pull.comments == 0 else _all(client, f"{place}/issues/{pull.number}/comments", _COMMENTS)
    on_code = [] if pull.review_comments == 0 else _all(client, f"{place}/pulls/{pull.number}/comments", _COMMENTS)
    return [
        *(_comment(item, on_code=False) for item in conversation),
        *(_comment(item, on_code=True) for item in on_code),
    ]


def _comment(item: _Comment, *, on_code: bool) -> Comment:
    return Comment(
        author=account(item.user),
        created_at=item.created_at,
        review_id=item.pull_request_review_id,
        on_code=on_code,
    )


def _events(items: list[_Event]) -> list[Event]:
    return [
        Event(event=item.event, actor=account(item.actor), created_at=item.created_at)
        for item in items
        if item.event in EVENTS
    ]


def _checks(client: Client, path: str) -> list[Check]:
    runs = (run for page in client.pages(path, _CHECK_RUNS) for run in page.check_runs)
    return [Check.model_validate(run.model_dump()) for run in runs]


def _statuses(client: Client, path: str, sha: str) -> list[Status]:
    return [
        Status(context=one.context, head_sha=sha, state=one.state, created_at=one.created_at)
        for page in client.pages(path, _STATUSES)
        for one in page.statuses
    ]
