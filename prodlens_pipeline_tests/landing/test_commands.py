"""Dead letters and contracts on the command line, and what the landing asset says of a collection."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from prodlens_pipeline.cli import app
from prodlens_pipeline.landing.assets import Landing, landing_asset
from prodlens_pipeline.settings import load_settings
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline_tests.landing.notes import SOURCE, land, note, text_of
from prodlens_pipeline_tests.pipeline import collect_all, gateway_line, settings_for, write_lines
from prodlens_pipeline_tests.places import write_config


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose gateway log has a record that the contract refuses."""
    monkeypatch.delenv("PRODLENS_HOME", raising=False)
    monkeypatch.setenv("PRODLENS_CONFIG", str(tmp_path / "prodlens.yaml"))
    write_config(tmp_path, "sources: [{type: litellm, path: log.jsonl}]\n")
    bad = gateway_line("2026-03-02 10:00", prompt_tokens=-1)
    write_lines(tmp_path / "log.jsonl", [gateway_line("2026-03-02 10:00"), bad])
    settings = load_settings()
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        collect_all(lake, settings)
    return tmp_path


def test_letters_are_listed_shown_and_replayed(project: Path) -> None:
    listed = run("dead-letters", "list", "--source", "litellm", "--reason", "prompt_tokens")
    assert listed.exit_code == 0 and "rejected" in listed.output
    letter_id = next(word for word in listed.output.split() if len(word) == 12 and word.isalnum())
    assert "prompt_tokens" not in run("dead-letters", "list", "--source", "phoenix").output

    shown = run("dead-letters", "show", letter_id)
    assert shown.exit_code == 0 and "log.jsonl" in shown.output and "prompt_tokens" in shown.output

    again = run("dead-letters", "replay", letter_id)
    assert again.exit_code == 0 and "0 landed, 1 refused again" in again.output

    (project / "log.jsonl").unlink()
    gone = run("dead-letters", "replay", "--all")
    assert gone.exit_code == 1 and "No such file" in gone.output


@pytest.mark.parametrize("arguments", [["show", "nowhere"], ["replay"], ["replay", "x", "--all"]])
def test_wrong_use_is_named(project: Path, arguments: list[str]) -> None:
    assert project.exists()
    assert run("dead-letters", *arguments).exit_code == 2


def test_a_contract_is_printed_as_a_json_schema() -> None:
    schema = json.loads(run("contracts", "litellm").output)
    assert schema["type"] == "object" and "startTime" in schema["required"]
    wrong = run("contracts", "nothing")
    assert wrong.exit_code == 2 and "litellm" in wrong.output


def test_the_landing_asset_warns_of_a_format_that_changed_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"

    def collect(lake: Lake) -> Landing:
        return Landing({SOURCE: land(lake, tmp_path, file)}, [])

    asset = landing_asset("notes", collect, description="Notes.", kinds={"file"}, owner="team:traces")
    warehouse = Warehouse.of(settings_for(tmp_path))

    def checks() -> dict[str, dg.AssetCheckEvaluation]:
        done = dg.materialize([asset], resources={"warehouse": warehouse})
        assert done.success
        return {check.check_name: check for check in done.get_asset_check_evaluations()}

    file.write_bytes(text_of([note("a")]))
    assert all(check.passed for check in checks().values())
    file.write_bytes(file.read_bytes() + text_of([note("b", extra=1), b"broken"]))
    found = checks()
    assert found["every_line_is_accounted_for"].passed
    known = found["format_is_as_known"]
    assert (known.passed, known.severity, known.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert known.metadata["new_fields"].value == ["notes:log: extra"]
