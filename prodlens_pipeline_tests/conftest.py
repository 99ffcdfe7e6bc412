"""Fixtures and options that every room's tests share."""

from pathlib import Path

import pytest

from prodlens_pipeline_tests import places

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where lakes live, for every test that does not say so itself."""
    parser.addoption(
        "--warehouse",
        choices=("laptop", "cluster"),
        default="laptop",
        help="where the lakes of tests live: SQLite and a folder (laptop), or PostgreSQL and S3 (cluster)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start servers where they are asked for."""
    config.addinivalue_line("markers", "embedded(why): about SQLite or the folder; skipped with --warehouse cluster")
    if config.option.warehouse == "cluster":
        config.pluginmanager.register(places, "places")


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real captures that lies beside the project; tests that need it skip where it is missing."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"no real captures at ../shared/data (looked in {folder})")
    return folder
