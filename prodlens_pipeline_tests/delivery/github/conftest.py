"""A served GitHub, and a project that reads from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import TOKEN, Hub, serving
from prodlens_pipeline_tests.pipeline import lake_in_memory


@contextmanager
def served(hub: Hub) -> Iterator[Hub]:
    """Serve `hub`; the environment has the token for it, and nothing else."""
    with pytest.MonkeyPatch.context() as patch, serving(hub):
        for name in ("GITHUB_APP_ID", "GITHUB_APP_INSTALLATION_ID", "GITHUB_APP_PRIVATE_KEY"):
            patch.delenv(name, raising=False)
        patch.setenv("GITHUB_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty server."""
    with served(Hub()) as empty:
        yield empty


@pytest.fixture
def lake() -> Iterator[Lake]:
    with lake_in_memory() as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project's folder."""
    return tmp_path / "project"
