"""Reading a repository from where the last reading ended, gently and safely.

Belongs here: which pull requests are read, by which API, and when the reading is complete.
Does not: requests (`client.py`, `rest.py`, `graphql.py`), landing (`journal.py`).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from prodlens_pipeline.delivery.github import graphql, rest
from prodlens_pipeline.delivery.github.client import (
    Client,
    GitHubError,
    NotShownError,
    OutOfQuotaError,
    RefusedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from prodlens_pipeline.delivery.github.journal import Journal
from prodlens_pipeline.landing.intake import explain

_PASSES = 5
"""A list that still changes after so many passes is left to the next reading."""
_log = logging.getLogger(__name__)


class Server:
    """One server of one collection: it tells whether GraphQL is of use there, which no repository asks for twice."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.has_graphql = True

    def without_graphql(self, error: GitHubError) -> None:
        """GraphQL did not answer as it should: the rest is read by REST.

        Raises:
            GitHubError: `error`, where REST would be answered the same.
        """
        unknown = isinstance(error, RefusedError) and not self.client.has_credentials
        if isinstance(error, (OutOfQuotaError, RefusedError)) and not unknown:
            raise error
        _log.warning("reading by REST, one pull request at a time: %s", error)
        self.has_graphql = False


def sync(server: Server, name: str, journal: Journal) -> None:
    """Land every pull request of the repository `name` that changed since the last reading.

    Passes over the list are repeated until one finds nothing new: only then nothing was missed while pages shifted.
    Which of the two APIs is asked makes no difference to what is landed.

    Raises:
        GitHubError: the repository cannot be read; what was landed before stays, and the next reading goes on there.
    """
    reading = _Reading(server, name, journal)
    reading.read(journal.unfinished)
    reading.again(journal.refused)
    for _ in range(_PASSES):
        changed = reading.changed()
        if not changed:
            journal.complete(reading.newest)
            return
        reading.read(changed)
    # Not complete: the next reading starts from the same moment as this one.
    _log.warning("%s: the list of pull requests kept changing; the next run reads the rest", name)


class _Reading:
    def __init__(self, server: Server, name: str, journal: Journal) -> None:
        self._server, self._client, self._name, self._journal = server, server.client, name, journal
        self._tried: dict[int, datetime] = {}
        self._unanswered: _Unanswered | None = None
        self._without: frozenset[str] = frozenset()
        self.newest: datetime | None = None

    def changed(self) -> dict[int, datetime]:
        """The pull requests that are listed as updated since they were landed, with that time."""
        found: dict[int, datetime] = {}
        since = self._journal.read_until
        for page in rest.listing(self._client, self._name):
            for item in page:
                self.newest = max(item.updated_at, self.newest or item.updated_at)
                known = max(
                    (at for at in (self._journal.known.get(item.number), self._tried.get(item.number)) if at),
                    default=None,
                )
                if known is None or known < item.updated_at:
                    found[item.number] = item.updated_at
            if since and any(item.updated_at < since for item in page):
                break
        return found

    def again(self, numbers: set[int]) -> None:
        """Read pull requests whatever the list says."""
        for number in sorted(numbers):
            self._one(number)

    def read(self, changed: dict[int, datetime]) -> None:
        """Read and land `changed`."""
        missing = dict(changed)
        if len(missing) > 1 and self._server.has_graphql:
            self._by_walking(missing)
        for number, updated_at in sorted(missing.items()):
            self._one(number)
            self._tried[number] = updated_at

    def _by_walking(self, missing: dict[int, datetime]) -> None:
        """Take from the head of the list, page by page, what is `missing`, and land each page."""
        oldest = min(missing.values())
        try:
            for found in graphql.walk(self._client, self._name, len(missing)):
                wanted = [pull for pull in found.whole if pull.number in missing]
                self._journal.land(wanted)
                for pull in wanted:
                    self._tried[pull.number] = max(pull.updated_at, missing.pop(pull.number))
                if not missing or (found.oldest_update and found.oldest_update < oldest):
                    return
        except GitHubError as error:
            self._server.without_graphql(error)

    def _one(self, number: int) -> None:
        """Read and land one pull request; one that cannot be read is refused and hinders no other.

        Raises:
            UnreachableError: for this one and the one before there was no answer: it is the server.
        """
        before, self._unanswered = self._unanswered, None
        try:
            self._land_one(number)
        except UnreachableError as error:
            self._journal.refuse(number, str(error))
            if before is None:
                self._unanswered = _Unanswered(number, error)
            elif before.part is None or before.part != _part(error):
                raise
            else:
                self._go_on_without(before.part, error, (before.number, number))
        except (NotShownError, UnexpectedAnswerError) as error:
            self._journal.refuse(number, str(error))
        except ValidationError as error:
            self._journal.refuse(number, explain(error))

    def _go_on_without(self, part: str, error: GitHubError, numbers: Iterable[int]) -> None:
        """The server fails at one part of every pull request: the rest is worth having."""
        _log.warning("%s: reading on without %s: %s", self._name, part, error)
        self._without |= {part}
        for number in numbers:
            self._one(number)

    def _land_one(self, number: int) -> None:
        if self._server.has_graphql:
            try:
                whole = graphql.read_pull_request(self._client, self._name, number)
            except GitHubError as error:
                self._server.without_graphql(error)
            else:
                if whole:
                    self._journal.land([whole])
                    return
        parts = rest.Parts(self._without)
        pull = rest.read_pull_request(self._client, self._name, number, parts)
        self._journal.land([pull], again=bool(parts.amiss))


@dataclass(frozen=True)
class _Unanswered:
    """A pull request for which there was no answer."""

    number: int
    error: UnreachableError

    @property
    def part(self) -> str | None:
        """Which part of it; None where it was the pull request itself."""
        return _part(self.error)


def _part(error: UnreachableError) -> str | None:
    return error.part if isinstance(error, rest.PartUnreachableError) else None
