"""The commits of a repository that no clone tells of: those of its default branch, landed as a clone's would be.

Belongs here: which commits are missing, asking for them, and landing them as `git_records.GitCommit`.
Does not: pull requests (`sync.py`), clones (`delivery/landing.py`), which know more of a commit.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from prodlens_pipeline.delivery.git_records import SOURCE, GitCommit, landed_commits
from prodlens_pipeline.delivery.github import graphql
from prodlens_pipeline.delivery.github.batches import Batches
from prodlens_pipeline.delivery.github.client import (
    PER_PAGE,
    Client,
    GitHubError,
    NotShownError,
    UnexpectedAnswerError,
)
from prodlens_pipeline.delivery.github.rest import Answer
from prodlens_pipeline.delivery.github.sync import Server
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.intake import explain
from prodlens_pipeline.landing.manifest import Checkpoint, checkpoint, record_landing
from prodlens_pipeline.warehouse.lake import Lake

_EMPTY = 409
"""How REST says that a repository has no commit yet."""
_PAGE = """
query($owner: String!, $name: String!, $first: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    defaultBranchRef {
      target {
        ... on Commit {
          history(first: $first, after: $after) {
            pageInfo { hasNextPage endCursor }
            nodes {
              oid message additions deletions authoredDate committedDate
              author { name email }
              committer { email }
              parents(first: 100) { nodes { oid } }
            }
          }
        }
      }
    }
  }
}
"""


class _Signature(Answer):
    name: str | None = None
    email: str | None = None
    date: AwareDatetime | None = None


class _Parent(Answer):
    sha: str


class _Text(Answer):
    message: str
    author: _Signature | None = None
    committer: _Signature | None = None


class _Listed(Answer):
    """A commit in REST's list, which does not count lines."""

    sha: str
    commit: _Text
    parents: list[_Parent]


class _Oid(Answer):
    oid: str


class _Parents(Answer):
    nodes: list[_Oid]


class _Node(Answer):
    """A commit as GraphQL has it."""

    oid: str
    message: str
    additions: int
    deletions: int
    authored_date: AwareDatetime | None = Field(default=None, alias="authoredDate")
    committed_date: AwareDatetime | None = Field(default=None, alias="committedDate")
    author: _Signature | None = None
    committer: _Signature | None = None
    parents: _Parents


_LISTED = TypeAdapter(list[_Listed])
_NODES = TypeAdapter(list[_Node])


def sync_history(server: Server, name: str, repository: str, lake: Lake, landing: Path) -> Collected:
    """Land the commits of the default branch of the repository `name` that are not landed yet, as `repository`'s.

    Commits are read from the newest on until nothing that was read has an unknown parent: a merge brings in older
    ones. Lines are counted by GraphQL only; where it is not to be had they stay unknown until it is.

    Raises:
        GitHubError: they cannot be read; what was landed before stays, and the next reading fills the gaps.
    """
    batches = Batches(lake, landing, SOURCE, repository, repository)
    tip = _tip(server.client, name)
    state = {"tip": tip, "counted": server.has_graphql}
    before = checkpoint(lake, _checkpoint_name(repository))
    if tip is None or before == state or before == {"tip": tip, "counted": True}:
        return batches.total
    reading = _Reading(lake, landing, repository, tip, server, batches)
    reading.read(name)
    state["counted"] = server.has_graphql
    record_landing(
        lake,
        source=SOURCE,
        source_name=repository,
        chunk=None,
        extents=[],
        letters=[],
        checkpoint=Checkpoint(_checkpoint_name(repository), state),
    )
    return batches.total


def _checkpoint_name(repository: str) -> str:
    return f"github_history:{repository}"


def _tip(client: Client, name: str) -> str | None:
    """The newest commit of the default branch; None for an empty repository."""
    try:
        newest = client.get(f"/repos/{name}/commits", _LISTED, per_page=1)
    except NotShownError as error:
        if error.status == _EMPTY:
            return None
        raise
    return newest[0].sha if newest else None


class _Reading:
    def __init__(self, lake: Lake, landing: Path, repository: str, tip: str, server: Server, batches: Batches) -> None:
        self._server, self._batches = server, batches
        counted = "and additions is not null" if server.has_graphql else ""
        rows = lake.rows(
            f"select sha, parents from {landed_commits(lake, landing, None)} where _source = $repository {counted}",
            {"repository": repository},
        )
        self._known = {sha for sha, _ in rows}
        self._wanted = {tip, *(parent for _, parents in rows for parent in parents)} - self._known

    def read(self, name: str) -> None:
        """Land page by page until nothing is wanted any more."""
        if self._server.has_graphql:
            try:
                self._take(_counted_pages(self._server.client, name))
            except GitHubError as error:
                self._server.without_graphql(error)
            else:
                return
        self._take(_plain_pages(self._server.client, name))

    def _take(self, pages: Iterator[list[GitCommit]]) -> None:
        for page in pages:
            new = [commit for commit in page if commit.sha not in self._known]
            self._known.update(commit.sha for commit in new)
            self._wanted.update(parent for commit in new for parent in commit.parents)
            self._wanted -= self._known
            self._batches.land(new, (commit.committed_at for commit in new if commit.committed_at))
            if not self._wanted:
                return


def _counted_pages(client: Client, name: str) -> Iterator[list[GitCommit]]:
    """The history by GraphQL, with lines."""
    for page in graphql.pages(client, _PAGE, name, ("defaultBranchRef", "target", "history"), PER_PAGE):
        if not page.is_whole:
            raise UnexpectedAnswerError(f"{client.api_url}: the history of {name} did not come whole")
        try:
            yield [_of_node(node) for node in _NODES.validate_python(page.nodes)]
        except ValidationError as error:
            raise UnexpectedAnswerError(f"{client.api_url}: the history of {name}: {explain(error)}") from None


def _plain_pages(client: Client, name: str) -> Iterator[list[GitCommit]]:
    """The history by REST, without lines."""
    for page in client.pages(f"/repos/{name}/commits", _LISTED):
        yield [_of_listed(item) for item in page]


def _of_node(node: _Node) -> GitCommit:
    return _commit(
        node.oid,
        node.message,
        [parent.oid for parent in node.parents.nodes],
        node.author,
        node.committer,
        (node.authored_date, node.committed_date),
        (node.additions, node.deletions),
    )


def _of_listed(item: _Listed) -> GitCommit:
    made, kept = item.commit.author or _Signature(), item.commit.committer or _Signature()
    parents = [parent.sha for parent in item.parents]
    return _commit(item.sha, item.commit.message, parents, made, kept, (made.date, kept.date), (None, None))


def _commit(
    sha: str,
    message: str,
    parents: list[str],
    author: _Signature | None,
    committer: _Signature | None,
    times: tuple[datetime | None, datetime | None],
    lines: tuple[int | None, int | None],
) -> GitCommit:
    made, kept = author or _Signature(), committer or _Signature()
    return GitCommit(
        sha=sha,
        parents=parents,
        author_name=made.name or "",
        author_email=made.email or "",
        recorded_author_name=made.name or "",
        recorded_author_email=made.email or "",
        authored_at=times[0],
        committed_at=times[1],
        committer_email=kept.email or "",
        message=message,
        additions=lines[0],
        deletions=lines[1],
        pr_commits=[],
    )
