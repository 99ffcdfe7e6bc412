"""Releases, deployments and workflow runs as they are landed: one snapshot of each.

Belongs here: the record contracts. Does not: asking for them (`feeds.py`). What a release says is no part of it.
"""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from prodlens_pipeline.delivery.github.records import Account
from prodlens_pipeline.landing.records import Count, EventTime, Record
from prodlens_pipeline.landing.redaction import FreeText


class FeedItem(Record):
    """One thing of a feed at `read_at`. `has_ended`: nothing more is expected of it.

    `content` is a hash of the rest: the same for the same content, whenever it was read.
    """

    id: int
    created_at: EventTime
    updated_at: EventTime | None = None
    has_ended: bool
    content: str
    read_at: AwareDatetime

    @property
    def event_time(self) -> datetime:
        """When it was made."""
        return self.created_at


class Release(FeedItem):
    """A release; `published_at` is None for a draft."""

    tag_name: str
    name: FreeText | None = None
    is_prerelease: bool
    author: Account | None = None
    published_at: EventTime | None = None


class DeploymentStatus(BaseModel):
    """What became of a deployment at one time: pending, in_progress, success, failure, error, inactive..."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: str
    created_at: EventTime


class Deployment(FeedItem):
    """A deployment with its statuses, oldest first; None where GitHub does not show them."""

    sha: str
    ref: str
    environment: str
    is_production: bool
    creator: Account | None = None
    statuses: list[DeploymentStatus] | None


class WorkflowRun(FeedItem):
    """A run of a GitHub Actions workflow, by its last attempt; `conclusion` is None until it is completed.

    `pull_numbers` are the pull requests that GitHub says it is about, which it does not say of a fork's.
    """

    name: str | None = None
    event: str
    head_sha: str
    head_branch: str | None = None
    status: str | None = None
    conclusion: str | None = None
    attempt: Count | None = None
    pull_numbers: list[int]
    started_at: EventTime | None = None
