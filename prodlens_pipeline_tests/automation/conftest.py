"""A small project and a Dagster instance, both on the disk."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from prodlens_pipeline_tests.automation.small import Project, ago
from prodlens_pipeline_tests.pipeline import settings_for


@pytest.fixture(scope="session")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of DuckDB's extensions for all lakes."""
    return tmp_path_factory.mktemp("extensions")


@pytest.fixture
def project(tmp_path: Path, extensions: Path) -> Project:
    """A project that never collected anything."""
    home = tmp_path / ".prod-lens"
    home.mkdir()
    (home / "extensions").symlink_to(extensions)
    return Project(settings_for(tmp_path, start_date=ago(60), catch_up_days=20))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster, without anything that ever ran."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened
