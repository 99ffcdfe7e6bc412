"""A pull request as it is landed: one snapshot with everything that belongs to it, whichever road it came by.

Belongs here: the record contract and the few rules that make both APIs say the same.
Does not: requests (`rest.py`, `graphql.py`). Bodies of pull requests, reviews and comments are no part of it.
"""

import re
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from prodlens_pipeline.landing.records import Count, EventTime, Record
from prodlens_pipeline.landing.redaction import FreeText

EVENTS = frozenset(
    {
        "closed",
        "reopened",
        "merged",
        "ready_for_review",
        "convert_to_draft",
        "head_ref_force_pushed",
        "review_requested",
    }
)
"""The events of a pull request that are kept, by their REST names."""

PARTS = ("commits", "reviews", "comments", "events", "checks", "statuses")
"""What belongs to a pull request and is asked for apart; a server may not have it, or not for us."""

_REFERENCE = re.compile(
    r"^[ \t]*(Reverts (?:(?P<repository>[\w.-]+/[\w.-]+))?#[1-9][0-9]{0,8}|This reverts commit [0-9a-f]{7,64})\b",
    re.MULTILINE,
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Account(_Part):
    """A GitHub account. The login of a bot always ends in `[bot]`, which REST says and GraphQL does not."""

    login: str
    is_bot: bool

    @classmethod
    def of(cls, login: str, kind: str) -> "Account":
        """The account of a login; `kind` is `Bot` for a GitHub App."""
        is_bot = kind == "Bot" or login.endswith("[bot]")
        return cls(login=login.removesuffix("[bot]") + "[bot]" if is_bot else login, is_bot=is_bot)


class PullCommit(_Part):
    """A commit on the branch. `login` is the account that GitHub knows the author's e-mail to belong to."""

    sha: str
    message: str
    author_name: str | None = None
    author_email: str | None = None
    login: str | None = None
    authored_at: EventTime | None = None


class Review(_Part):
    """A submitted review; its text is not kept."""

    id: int
    author: Account | None = None
    state: str
    submitted_at: EventTime


class Comment(_Part):
    """A comment without its text; `review_id` where it stands at a line of the code."""

    author: Account | None = None
    created_at: EventTime
    review_id: int | None = None
    on_code: bool


class Event(_Part):
    """One of `EVENTS`."""

    event: str
    actor: Account | None = None
    created_at: EventTime


class Check(_Part):
    """A check run on the head commit; `conclusion` is None until it is completed."""

    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None = None
    started_at: EventTime | None = None
    completed_at: EventTime | None = None


class Status(_Part):
    """The latest state of one context on the head commit: how other services than GitHub's own report (`pending`,
    `success`, `failure`, `error`)."""

    context: str
    head_sha: str
    state: str
    created_at: EventTime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.state not in ("pending", "expected")


class PullRequest(Record):
    """One pull request at `read_at`. An author of None is an account that was deleted.

    `state` is open or closed; `merged_at` tells which of the closed ones were merged, and only these have a
    `merge_commit_sha`. `revert_reference` are the lines of the body that name what it reverts. Of `PARTS`, those that
    GitHub does not let us see are None.
    """

    number: int
    state: str
    is_draft: bool
    title: FreeText
    revert_reference: str | None = None
    author: Account | None = None
    created_at: EventTime
    updated_at: EventTime
    closed_at: EventTime | None = None
    merged_at: EventTime | None = None
    merge_commit_sha: str | None = None
    head_sha: str
    head_ref: str
    base_ref: str
    additions: Count | None = None
    deletions: Count | None = None
    changed_files: Count | None = None
    commit_count: Count | None = None
    commits: list[PullCommit] | None
    reviews: list[Review] | None
    comments: list[Comment] | None
    events: list[Event] | None
    checks: list[Check] | None
    statuses: list[Status] | None
    read_at: AwareDatetime

    @property
    def event_time(self) -> datetime:
        """When it last changed."""
        return self.updated_at

    @property
    def moments(self) -> list[datetime]:
        """When something happened that a daily figure may count."""
        own = (self.created_at, self.closed_at, self.merged_at)
        others = (
            *(review.submitted_at for review in self.reviews or ()),
            *(comment.created_at for comment in self.comments or ()),
            *(event.created_at for event in self.events or ()),
        )
        return [at for at in (*own, *others) if at is not None]

    @property
    def is_checked(self) -> bool:
        """Whether no check is still running: GitHub does not touch `updated_at` when one ends."""
        ended = all(check.status == "completed" for check in self.checks or ())
        return ended and all(status.is_final for status in self.statuses or ())

    @property
    def unseen(self) -> list[str]:
        """Those of `PARTS` that GitHub does not let us see."""
        return [part for part in PARTS if getattr(self, part) is None]


def revert_reference(body: str | None) -> str | None:
    """The lines of a body that say what it reverts; None where there are none.

    Applied to its own result it changes nothing.
    """
    found = [match[1] for match in _REFERENCE.finditer((body or "").replace("\r", ""))]
    return "\n".join(dict.fromkeys(found)) or None


def own_reference(reference: str | None, repository: str) -> str | None:
    """`reference` without the lines that name a pull request of another repository."""
    lines = [line for line in (reference or "").split("\n") if line and not _names_another(line, repository)]
    return "\n".join(lines) or None


def _names_another(line: str, repository: str) -> bool:
    match = _REFERENCE.match(line)
    named = match["repository"] if match else None
    return named is not None and named.lower() != repository.lower()
