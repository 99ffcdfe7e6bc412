"""All configured GitHub repositories, one after the other; one that cannot be read hinders no other.

Belongs here: servers, discovery by pattern, and what went wrong in words. Does not: reading one (`sync.py`).
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from fnmatch import fnmatchcase
from itertools import groupby
from operator import attrgetter

from prodlens_pipeline.delivery.git_records import SOURCE as GIT
from prodlens_pipeline.delivery.github import rest
from prodlens_pipeline.delivery.github.cache import ResponseCache
from prodlens_pipeline.delivery.github.client import (
    Client,
    GitHubError,
    NotShownError,
    OutOfQuotaError,
    Patience,
    RefusedError,
)
from prodlens_pipeline.delivery.github.feeds import FEEDS, read_feed
from prodlens_pipeline.delivery.github.history import sync_history
from prodlens_pipeline.delivery.github.journal import SOURCE, Journal
from prodlens_pipeline.delivery.github.quota import record_quotas
from prodlens_pipeline.delivery.github.sync import Server, sync
from prodlens_pipeline.landing.assets import Landing
from prodlens_pipeline.landing.redaction import Redactor
from prodlens_pipeline.settings import GitHubRepository, GitRepository, Settings
from prodlens_pipeline.warehouse.lake import Lake

_log = logging.getLogger(__name__)
_PATIENCE = Patience()
_HASTE = Patience(attempts=2, longest_wait=5)
"""For somebody who waits for the answer."""


def collect_github(lake: Lake, settings: Settings, patience: Patience = _PATIENCE) -> Landing:
    """Land what changed in every configured GitHub repository since the last time."""
    landing = Landing({}, [])
    configured = [r for r in settings.repositories if isinstance(r, GitHubRepository)]
    if not configured:
        return landing
    with closing(ResponseCache(settings.home / "cache.db")) as cache:
        for api_url, repositories in groupby(sorted(configured, key=attrgetter("api_url")), attrgetter("api_url")):
            try:
                with closing(Client(api_url, cache, patience)) as client:
                    try:
                        _collect_server(lake, settings, client, list(repositories), landing)
                    finally:
                        record_quotas(lake, client.api_url, client.quotas.values())
            except GitHubError as error:
                landing.problems.append(str(error))
    return landing


def probe(repository: GitHubRepository) -> str:
    """What a look at a configured repository shows, in words; nothing is landed.

    Raises:
        GitHubError: it cannot be read.
    """
    with closing(ResponseCache()) as cache, closing(Client(repository.api_url, cache, _HASTE)) as client:
        found = _matching(client, repository) if repository.is_pattern else [rest.present_name(client, repository.name)]
        named = f"{len(found):,} repositories" if repository.is_pattern else f"{found[0]} can be read"
        return f"{named}; {client.quota()}"


def _collect_server(
    lake: Lake, settings: Settings, client: Client, repositories: Sequence[GitHubRepository], landing: Landing
) -> None:
    server = Server(client)
    for name in _names(client, repositories, landing):
        with _apart(landing, f"repository {name}"):
            _collect_repository(lake, settings, server, name, landing)
    used = client.usage
    _log.info(
        "%s: %d requests counted against the quota, %d found unchanged", client.api_url, used.billed, used.not_modified
    )


def _collect_repository(lake: Lake, settings: Settings, server: Server, name: str, landing: Landing) -> None:
    """Land what is new of one repository; what a server does not have, or not for us, is noted."""
    redactor = Redactor.of(settings.redact)
    present = rest.present_name(server.client, name)
    with _apart(landing, f"repository {name}: pull requests"):
        journal = Journal(lake, settings.landing, name, redactor)
        landing.collected[f"{SOURCE}:{name}"] = journal.collected
        try:
            sync(server, present, journal)
        finally:
            for part, count in sorted(journal.unseen.items()):
                landing.notes.append(f"repository {name}: GitHub does not show the {part} of {count:,} pull requests")
    if name not in {r.name for r in settings.repositories if isinstance(r, GitRepository)}:
        with _apart(landing, f"repository {name}: commits", may_be_missing=True):
            history = sync_history(server, present, name, lake, settings.landing)
            landing.collected[f"{GIT}:{name}"] = history
    for feed in FEEDS:
        with _apart(landing, f"repository {name}: {feed.title}", may_be_missing=True):
            read = read_feed(server, present, name, feed, lake, settings.landing, redactor)
            landing.collected[f"{feed.source}:{name}"] = read


@contextmanager
def _apart(landing: Landing, what: str, *, may_be_missing: bool = False) -> Iterator[None]:
    """Reading `what`: that it fails hinders nothing else, unless the whole server would answer the same."""
    try:
        yield
    except (OutOfQuotaError, RefusedError):
        raise
    except GitHubError as error:
        missing = may_be_missing and isinstance(error, NotShownError)
        (landing.notes if missing else landing.problems).append(f"{what}: {error}")


def _names(client: Client, repositories: Sequence[GitHubRepository], landing: Landing) -> Iterator[str]:
    """The repositories that are named or match a pattern, each once."""
    seen: set[str] = set()
    for repository in repositories:
        found = [] if repository.is_pattern else [repository.name]
        if repository.is_pattern:
            with _apart(landing, f"repositories {repository.name}"):
                found = _matching(client, repository)
        for name in found:
            if name.lower() not in seen:
                seen.add(name.lower())
                yield name


def _matching(client: Client, repository: GitHubRepository) -> list[str]:
    owner = repository.name.partition("/")[0]
    found = [name for name in rest.repositories_of(client, owner) if fnmatchcase(name.lower(), repository.name.lower())]
    if not found:
        raise GitHubError(f"no repository of {owner} that the credentials show matches {repository.name}")
    return found
