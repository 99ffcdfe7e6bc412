import dagster as dg
import duckdb
import polars as pl
import pytest

from prodlens_pipeline.warehouse import retries
from prodlens_pipeline.warehouse.assets import table_asset
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline_tests.warehouse.conftest import PLAIN

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
GOOD = pl.DataFrame({"name": ["ana"], "size": [170]})
TWICE = pl.DataFrame({"name": ["ana", "ana"], "size": [170, 171]})


class Source:
    """Fails with `errors` one after the other, then gives `rows`."""

    def __init__(self, errors: list[Exception], rows: pl.DataFrame = GOOD) -> None:
        self.errors, self.rows, self.asked = errors, rows, 0

    def __call__(self, *_: object) -> pl.DataFrame:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.rows


def materialise(location, source: Source) -> bool:
    asset = table_asset(PLAIN, source, group="core", kinds={"python"}, partitions=None, code_version="1")
    warehouse = Warehouse(home=str(location.home), catalog=location.catalog, data=str(location.data), config_hash="x")
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [asset], instance=instance, resources={"warehouse": warehouse}, raise_on_error=False, run_config=QUIET
        )
    return done.success


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0)


def test_what_may_pass_is_tried_again(location):
    source = Source([ConnectionError("away"), duckdb.HTTPException("503")])
    assert materialise(location, source)
    assert source.asked == 3


def test_what_does_not_pass_is_given_up(location):
    source = Source([TimeoutError("slow")] * 9)
    assert not materialise(location, source)
    assert source.asked == 1 + retries.MAX_RETRIES


@pytest.mark.parametrize("source", [Source([], TWICE), Source([KeyError("name")]), Source([OSError(28, "disk full")])])
def test_what_is_wrong_is_not_tried_again(location, source):
    assert not materialise(location, source)
    assert source.asked == 1
