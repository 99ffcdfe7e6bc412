"""What the tests of this source do with a project: read from the fake server, and look at the tables."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from prodlens_pipeline.delivery.commits import commit_rows
from prodlens_pipeline.delivery.github.client import Patience
from prodlens_pipeline.delivery.github.collect import collect_github
from prodlens_pipeline.delivery.github.tables import TABLES
from prodlens_pipeline.landing.assets import Landing
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import START, Hub, Repo
from prodlens_pipeline_tests.pipeline import (
    landed_window,
    materialise,
    materialise_models,
    materialise_raw,
    settings_for,
    table_rows,
)

NAME = "org/app"
HASTE = Patience(attempts=8, backoff=0.001, longest_wait=20)


def settings_of(root: Path, hub: Hub, *names: str, **more: Any) -> Settings:
    repositories = [{"type": "github", "name": name, "api_url": hub.url} for name in names or (NAME,)]
    return settings_for(root, repositories=[*repositories, *more.pop("clones", [])], **more)


def collect(lake: Lake, settings: Settings, patience: Patience = HASTE) -> Landing:
    return collect_github(lake, settings, patience)


def collected(lake: Lake, settings: Settings) -> None:
    """Collect without a problem."""
    landing = collect(lake, settings)
    assert not landing.problems, landing.problems


def build(lake: Lake, settings: Settings) -> None:
    """Write every table from what is landed."""
    materialise(lake, settings, landed_window(lake))


def modelled(lake: Lake, settings: Settings, *names: str) -> None:
    """Write the raw tables and of the models those of these names, which read nothing else."""
    window = landed_window(lake)
    materialise_raw(lake, settings, [window])
    materialise_models(lake, names, window)


def commits(lake: Lake, settings: Settings) -> pl.DataFrame:
    """The rows that the raw table of commits would have."""
    return commit_rows(lake, settings.landing, landed_window(lake))


def raw_rows(lake: Lake, settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that the raw tables would have."""
    return {contract.name: sorted(rows(lake, settings.landing).rows(), key=repr) for contract, rows in TABLES}


def rows(lake: Lake, table: str) -> list[tuple[Any, ...]]:
    return table_rows(lake, table)


def several(repo: Repo, numbers: Iterable[int]) -> None:
    """Pull requests of all kinds, an hour apart, in a pattern that repeats every twelve, with what belongs to them:
    releases, deployments, workflow runs, and a first commit."""
    if not repo.history:
        repo.push(1)
    for number in numbers:
        at = START + timedelta(hours=number)
        author = (None, "bo", "ana", "dependabot[bot]")[number % 4]
        repo.open(number, at, author, draft=number % 12 == 5)
        if number % 2 == 0:
            repo.review(number, at + timedelta(minutes=10), "cy", "CHANGES_REQUESTED", comments=number % 3)
            repo.review(number, at + timedelta(minutes=20), "linter[bot]", "APPROVED")
            repo.review(number, at + timedelta(minutes=30), "cy", "APPROVED")
        if number % 3 == 0:
            repo.comment(number, at + timedelta(minutes=5), None)
            repo.event(number, "head_ref_force_pushed", at + timedelta(minutes=6), author)
        if number % 5 == 0:
            repo.event(number, "closed", at + timedelta(minutes=7))
            repo.event(number, "reopened", at + timedelta(minutes=8))
        repo.event(number, "labeled", at + timedelta(minutes=8))
        repo.check(number, "failure" if number % 6 == 0 else "success", at)
        if number % 7 == 0:
            repo.status(number, "failure" if number % 2 else "success", at)
        repo.run(number, number, "failure" if number % 6 == 0 else "success", at)
        if number % 10 == 0:
            repo.release(number, at)
            repo.deploy(number, at, "in_progress", "failure" if number % 20 else "success")
        if number % 4 != 3:
            repo.close(number, at + timedelta(hours=5), merged=number % 4 != 1)
