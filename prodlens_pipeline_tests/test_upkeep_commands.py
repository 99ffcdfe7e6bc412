import ast
from datetime import date
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from prodlens_pipeline.cli import app
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.maintenance import note_retired
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.pipeline import models, settings_for
from prodlens_pipeline_tests.places import write_config


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one table, in the working directory."""
    write_config(tmp_path, "retention: {detail_days: 10}\n")
    monkeypatch.chdir(tmp_path)
    with open_lake(Location.of(settings_for(tmp_path))) as lake:
        migrate(lake)
        with lake.transaction():
            lake.execute("create table core.llm_calls as select 'ana' as developer_id, 'session-1' as session_id")
    return tmp_path


def prod_lens(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.embedded("a catalog on PostgreSQL is backed up by pg_dump")
def test_a_project_is_maintained_saved_brought_back_exported_and_watched(project, monkeypatch):
    assert "in all" in prod_lens("maintain")
    assert "snapshot" in prod_lens("backup", "saved")
    assert "1 tables, 1 rows" in prod_lens("export", "figures.duckdb")
    assert 'prodlens_table_rows{table="core.llm_calls"} 1' in prod_lens("metrics")
    monkeypatch.setenv("PRODLENS_HOME", str(project / "elsewhere"))
    assert "prod-lens run" in prod_lens("restore", "saved")
    assert "1 rows deleted" in prod_lens("forget", "ana", "--yes")
    assert 'prodlens_table_rows{table="core.llm_calls"} 0' in prod_lens("metrics")


@pytest.mark.usefixtures("project")
def test_nobody_is_forgotten_by_mistake():
    done = CliRunner().invoke(app, ["forget", "ana"], input="n\n")
    assert done.exit_code == 1
    assert 'prodlens_table_rows{table="core.llm_calls"} 1' in prod_lens("metrics")


def test_without_a_warehouse_it_is_said_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["backup", "saved"], ["export", "figures.duckdb"], ["metrics"]):
        with pytest.raises(WarehouseError, match="prod-lens run"):
            CliRunner().invoke(app, command, catch_exceptions=False)


def test_the_page_of_models_names_every_table_column_and_source(tmp_path):
    assert "core.llm_calls" in prod_lens("models").replace("\n", "")
    prod_lens("models", "--docs", str(tmp_path / "docs"))
    page = (tmp_path / "docs" / "models.md").read_text()
    for model in models():
        assert f"## {model.contract.full_name}\n" in page
        for column in model.contract.columns:
            assert f"| {column.name} | {column.type} |" in page


def test_the_doctor_tells_of_deleted_days_and_of_alerts_without_their_address(project, monkeypatch):
    with open_lake(Location.of(settings_for(project))) as lake, lake.transaction():
        note_retired(lake, "landing.litellm", [date(2026, 3, 2), date(2026, 3, 3)])

    def said() -> str:
        return CliRunner().invoke(app, ["doctor"], catch_exceptions=False).output.replace("\n", "")

    monkeypatch.delenv("PRODLENS_SLACK_WEBHOOK", raising=False)
    assert "records of 2 days until 2026-03-03" in said()
    assert "PRODLENS_SLACK_WEBHOOK is not set" in said()
    monkeypatch.setenv("PRODLENS_SLACK_WEBHOOK", "https://hooks.slack.com/services/T0/B0/hidden")
    assert "PRODLENS_SLACK_WEBHOOK is set" in said() and "hidden" not in said()
    monkeypatch.setenv("PRODLENS_SLACK_WEBHOOK", "hooks.slack.com/services/T0/B0/hidden")
    assert "FAIL  alerts: the value of PRODLENS_SLACK_WEBHOOK is no https URL" in said() and "hidden" not in said()


def test_the_views_of_traces_are_filters_that_phoenix_reads():
    path = Path(__file__).parents[1] / "docs" / "dashboards" / "trace-views.yaml"
    views = yaml.safe_load(path.read_text())["views"]
    assert len({view["name"] for view in views}) == len(views) > 5
    for view in views:
        assert view["question"].endswith("?") and view["arize"] and view["sort"]
        expression = ast.parse(view["phoenix"], mode="eval")  # Phoenix reads its filters as Python
        asked = {ast.unparse(node) for node in ast.walk(expression) if isinstance(node, ast.Attribute | ast.Name)}
        assert asked & {"span_kind", "session.id"}, view["name"]
