"""`prod-lens doctor`: is everything there that a run and a report need?

Belongs here: checks that look and change nothing. Does not: mending.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import requests

from prodlens_pipeline.delivery.git import GitError, read_commits
from prodlens_pipeline.delivery.github.client import GitHubError
from prodlens_pipeline.delivery.github.collect import probe
from prodlens_pipeline.experience.collect import files_of as answer_files
from prodlens_pipeline.experience.collect import source_name as answers_name
from prodlens_pipeline.metrics.evaluate import effective_metrics
from prodlens_pipeline.reporting.errors import ReportError
from prodlens_pipeline.reporting.slack import WEBHOOK, checked_webhook
from prodlens_pipeline.settings import GitHubRepository, Settings
from prodlens_pipeline.traces.collect import files_of
from prodlens_pipeline.traces.registry import formats
from prodlens_pipeline.warehouse.errors import NoWarehouseYetError, WarehouseError
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.opening import Location, open_lake

_SECONDS = 10


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is fit for use, and what to do if not."""

    status: Literal["ok", "warn", "fail"]
    subject: str
    message: str


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, in the order in which a run needs them."""
    yield from _configuration(settings)
    yield from _sources(settings)
    yield from _survey(settings)
    yield from _repositories(settings)
    yield from _warehouse(settings)
    yield _alerts()


def _configuration(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "configuration", f"{settings.root}, hash {settings.config_hash}")
    try:
        effective_metrics(settings.thresholds)
    except ValueError as error:
        yield Finding("fail", "configuration", str(error))
    if not settings.sources:
        yield Finding("warn", "sources", "none configured: there are no AI figures without one")
    if not settings.repositories:
        yield Finding("warn", "repositories", "none configured: there are no delivery figures without one")
    if not settings.identities:
        yield Finding("warn", "identities", "none configured: traces and commits of a developer cannot be joined")


def _sources(settings: Settings) -> Iterator[Finding]:
    known = formats()
    for source in settings.sources:
        trace_format = known.get(source.type)
        if trace_format is None:
            yield Finding("fail", source.name, f"no such trace format; known are {', '.join(sorted(known))}")
        elif source.url:
            yield _server(source.name, source.url)
        elif files := files_of(settings, source, trace_format):
            yield Finding("ok", source.name, f"{len(files):,} files")
        else:
            missing = settings.resolve(str(source.path))
            yield Finding("fail", source.name, f"no file matches {missing}; correct its path in the configuration")


def _survey(settings: Settings) -> Iterator[Finding]:
    if settings.survey.path is None:
        return
    if files := answer_files(settings):
        yield Finding("ok", answers_name(settings), f"{len(files):,} files")
    else:
        missing = settings.resolve(settings.survey.path)
        yield Finding("fail", answers_name(settings), f"no file matches {missing}; correct survey.path")


def _server(name: str, url: str) -> Finding:
    try:
        requests.head(url, timeout=_SECONDS)
    except requests.RequestException as error:
        return Finding("fail", name, f"{url} cannot be reached ({type(error).__name__}); is the server up?")
    return Finding("ok", name, f"{url} answers")


def _repositories(settings: Settings) -> Iterator[Finding]:
    for repository in settings.repositories:
        if isinstance(repository, GitHubRepository):
            yield _github(repository)
            continue
        try:
            reading = read_commits(settings.resolve(repository.path))
        except GitError as error:
            yield Finding("fail", repository.name, str(error))
            continue
        if reading.is_shallow:
            yield Finding(
                "warn",
                repository.name,
                "a shallow clone: older commits are missing; 'git fetch --unshallow' gets them",
            )
        else:
            yield Finding("ok", repository.name, f"{len(reading.tips):,} branches and tags")


def _github(repository: GitHubRepository) -> Finding:
    try:
        return Finding("ok", f"github:{repository.name}", probe(repository))
    except GitHubError as error:
        return Finding("fail", f"github:{repository.name}", str(error))


def _warehouse(settings: Settings) -> Iterator[Finding]:
    try:
        with open_lake(Location.of(settings), read_only=True) as lake, lake.reading():
            yield Finding("ok", "warehouse", f"{settings.home}")
            yield from _contents(lake)
    except WarehouseError as error:
        yield Finding("warn" if isinstance(error, NoWarehouseYetError) else "fail", "warehouse", str(error))


def _alerts() -> Finding:
    """Whether somebody is told of failures; the address is a secret and is not shown."""
    if not os.environ.get(WEBHOOK):
        return Finding("warn", "alerts", f"only the log is told of failures: {WEBHOOK} is not set")
    try:
        checked_webhook(os.environ[WEBHOOK])
    except ReportError as error:
        return Finding("fail", "alerts", str(error).removeprefix("--slack: "))
    return Finding("ok", "alerts", f"{WEBHOOK} is set; nothing was posted")


def _retired(lake: Lake) -> Iterator[Finding]:
    days, last = lake.rows("select count(distinct day), max(day) from ops.retired_days")[0]
    if days:
        message = (
            f"the records of {days:,} days until {last} were deleted after their time; these days are not made again"
        )
        yield Finding("ok", "retention", message)


def _freshness(lake: Lake) -> Iterator[Finding]:
    """What is looked at every day: how long ago something new came, and until when there are figures."""
    now = datetime.now(UTC).replace(tzinfo=None)
    for source, collected_at in lake.rows(
        "select source_name, max(collected_at) from ops.landing_chunks group by all order by all"
    ):
        ago = now - collected_at
        yield Finding("ok", source, f"something new was last collected {ago / timedelta(hours=1):,.1f} hours ago")
    made = lake.value(
        "select min(newest) from (select max(window_end - 1) as newest from ops.etl_runs "
        "where window_end is not null group by asset)"
    )
    if made is None:
        return
    yesterday = now.date() - timedelta(days=1)
    behind = made < yesterday
    message = f"every table is made until {made}"
    yield Finding(
        "warn" if behind else "ok",
        "days",
        f"{message}; 'prod-lens run' makes later days that have records" if behind else message,
    )


def _contents(lake: Lake) -> Iterator[Finding]:
    yield from _freshness(lake)
    yield from _retired(lake)
    letters = int(lake.value("select count(*) from ops.dead_letters"))
    if letters:
        yield Finding("warn", "dead letters", f"{letters:,} were refused; 'prod-lens dead-letters list' shows them")
    known = total = 0
    if "core.developers" in lake.tables():
        known, total = lake.rows("select count(*) filter (where is_mapped), count(*) from core.developers")[0]
    if not total:
        yield Finding("warn", "identities", "nothing was materialised yet; run 'prod-lens run'")
        return
    unmapped = [
        row[0]
        for row in lake.rows("select identity from core.developers where not is_mapped order by records desc limit 5")
    ]
    if unmapped:
        yield Finding("warn", "identities", f"{known} of {total} are mapped; the busiest others: {', '.join(unmapped)}")
    else:
        yield Finding("ok", "identities", f"all {total} are mapped")
