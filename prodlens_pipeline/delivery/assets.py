"""Delivery sources as assets: collecting repositories and the raw table of their commits."""

import dagster as dg
import polars as pl

from prodlens_pipeline.delivery.commits import RAW, commit_rows
from prodlens_pipeline.delivery.git import GitError
from prodlens_pipeline.delivery.git_records import SOURCE
from prodlens_pipeline.delivery.git_tables import GIT_TABLES
from prodlens_pipeline.delivery.github.collect import collect_github
from prodlens_pipeline.delivery.github.journal import SOURCE as GITHUB
from prodlens_pipeline.delivery.github.tables import TABLES as GITHUB_TABLES
from prodlens_pipeline.delivery.landed_edits import LANDED_EDITS, landed_edit_rows
from prodlens_pipeline.delivery.landing import collect_repository
from prodlens_pipeline.landing.assets import Landing, landing_asset
from prodlens_pipeline.settings import GitRepository, Settings
from prodlens_pipeline.warehouse.assets import asset_key, table_asset
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

GROUP = "delivery"
GITHUB_POOL = "github"
"""One collection at a time, as GitHub asks for; it is not in the way of those who write tables meanwhile."""


def collect_repositories(lake: Lake, settings: Settings) -> Landing:
    """Land what is new in every configured clone; one that cannot be read hinders no other."""
    landing = Landing({}, [])
    for repository in settings.repositories:
        if not isinstance(repository, GitRepository):
            continue
        try:
            path = settings.resolve(repository.path)
            landing.collected[repository.name] = collect_repository(lake, settings.landing, repository.name, path)
        except GitError as error:
            landing.problems.append(f"repository {repository.name}: {error}")
    return landing


def delivery_assets(settings: Settings, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """All assets of this room."""

    def compute(lake: Lake, window: Window | None) -> pl.DataFrame:
        assert window is not None  # noqa: S101 - raw tables are partitioned
        return commit_rows(lake, settings.landing, window)

    return [
        landing_asset(
            SOURCE,
            lambda lake: collect_repositories(lake, settings),
            description="Commits of local git clones, landed.",
            kinds={"git"},
            owner="team:delivery",
        ),
        table_asset(
            RAW,
            compute,
            group=GROUP,
            kinds={"ducklake", "git"},
            partitions=partitions,
            # Commits of repositories without a clone come from GitHub.
            deps=[dg.AssetKey(["landing", SOURCE]), dg.AssetKey(["landing", GITHUB])],
            code_version="3",
            tags={"layer": "raw"},
        ),
        *_history_assets(settings),
        _landed_edits_asset(settings),
        landing_asset(
            GITHUB,
            lambda lake: collect_github(lake, settings),
            description="Pull requests, releases, deployments and workflow runs of GitHub repositories, and their "
            "commits where there is no clone, landed.",
            kinds={"github"},
            owner="team:delivery",
            pool=GITHUB_POOL,
        ),
        *(
            table_asset(
                contract,
                lambda lake, window, rows=rows: rows(lake, settings.landing),  # type: ignore[misc]  # noqa: ARG005
                group=GROUP,
                kinds={"ducklake", "github"},
                partitions=None,
                deps=[dg.AssetKey(["landing", GITHUB])],
                code_version="2",
                tags={"layer": "raw"},
            )
            for contract, rows in GITHUB_TABLES
        ),
    ]


def _landed_edits_asset(settings: Settings) -> dg.AssetsDefinition:
    def compute(lake: Lake, window: Window | None) -> pl.DataFrame:
        del window
        return landed_edit_rows(lake, settings)

    return table_asset(
        LANDED_EDITS,
        compute,
        group=GROUP,
        kinds={"ducklake", "git"},
        partitions=None,
        deps=[asset_key(name) for name in ("core.code_suggestions", "core.sessions", "core.commits")],
        code_version="1",
        tags={"layer": "core"},
    )


def _history_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """What only the whole history of a clone tells."""
    return [
        table_asset(
            contract,
            lambda lake, window, rows=rows: rows(lake, settings.landing),  # type: ignore[misc]  # noqa: ARG005
            group=GROUP,
            kinds={"ducklake", "git"},
            partitions=None,
            deps=[asset_key(read.full_name) for read in reads] or [dg.AssetKey(["landing", SOURCE])],
            code_version="1",
            tags={"layer": "raw"},
        )
        for contract, rows, reads in GIT_TABLES
    ]
