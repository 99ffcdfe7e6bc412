"""The checks on analyses warn where they should, and a run of Dagster plots the scorecard's figures."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import polars as pl
import pytest

from prodlens_pipeline.analysis import assets, checks
from prodlens_pipeline.analysis.assets import SCORECARD, analysis_assets
from prodlens_pipeline.analysis.checks import calibrated, enough_coverage, enough_sample
from prodlens_pipeline.simulation.calibrate import FalseClaims
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline_tests.pipeline import lake_in_memory, settings_for

MONDAY = date(2026, 1, 5)


@pytest.fixture
def lake() -> Iterator[Lake]:
    with lake_in_memory() as opened:
        yield opened


def asked(check: dg.AssetChecksDefinition, lake: Lake) -> dg.AssetCheckResult:
    result = check(cast(Warehouse, SimpleNamespace(lake=lake)))
    assert isinstance(result, dg.AssetCheckResult)
    assert result.severity == dg.AssetCheckSeverity.WARN
    return result


@pytest.mark.parametrize(("pairs", "passed"), [([40, 31], True), ([40, 29], False), ([], True)])
def test_a_low_sample_is_a_warning(lake: Lake, pairs: list[int], passed: bool) -> None:
    lake.execute("create table analysis.associations (lag bigint, n bigint)")
    for n in pairs:
        lake.execute("insert into analysis.associations values (0, $n), (7, 3)", {"n": n})
    result = asked(enough_sample, lake)
    assert result.passed == passed
    assert result.metadata["fewest_pairs_of_days"].value == min(pairs, default=0)


@pytest.mark.parametrize(("unknown", "passed"), [(1, True), (4, False)])
def test_what_is_hardly_known_is_a_warning(lake: Lake, unknown: int, passed: bool) -> None:
    fill(lake, unknown)
    result = asked(enough_coverage, lake)
    assert result.passed == passed
    assert result.metadata["Cost known"].value == 1 - unknown / 40


def fill(lake: Lake, unpriced: int) -> None:
    """Forty calls, sessions and commits, of which some calls have no price."""
    rows = pl.DataFrame(
        {
            "day": [MONDAY + timedelta(days=n % 20) for n in range(40)],
            "cost_usd": [None if n < unpriced else 0.1 for n in range(40)],
        }
    )
    lake.connection.register("made_up", rows)
    lake.execute(
        "create table core.llm_calls as select day, cost_usd, 'ana' as developer_id, false as output_underreported, "
        "1.0 as latency_ms from made_up"
    )
    lake.execute(
        "create table core.sessions as select day, 'ana' as developer_id, 'org/app' as repo, 1 as suggestions, "
        "1 as decided_suggestions from made_up"
    )
    lake.execute(
        "create table core.commits as select day, 'ana' as author_id, 1 as additions, false as is_bot, "
        "false as is_merge from made_up"
    )


def test_the_installed_statistics_are_calibrated() -> None:
    result = calibrated()
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed
    assert result.metadata["false_claims_of_plain_pearson"].value > 0.5


def test_statistics_that_claim_too_often_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = FalseClaims("", 60, plain=1.0, ours=0.3, family=0.5, reported=0.5)
    monkeypatch.setattr("prodlens_pipeline.simulation.calibrate.false_claims", lambda *_: broken)
    result = calibrated()
    assert isinstance(result, dg.AssetCheckResult)
    assert not result.passed


def test_the_scorecard_tells_dagster_its_values(lake: Lake, tmp_path: Path) -> None:
    lake.execute(SCORECARD.create_statement())
    row: dict[str, Any] = {"metric": "error_rate", "scope": "team", "subject": "platform", "value": 0.02}
    frame = pl.DataFrame([row, row | {"metric": "unknown", "value": None}, row | {"scope": "repo", "value": 0.5}])
    lake.connection.register("made_up", frame)
    lake.execute(f"insert into {SCORECARD.table} by name select * from made_up")
    assert assets._team_values(lake) == {"error_rate": 0.02}
    names = {key.to_user_string() for asset in analysis_assets(settings_for(tmp_path)) for key in asset.keys}
    assert {check.check_key.asset_key.to_user_string() for check in checks.analysis_checks()} <= names
