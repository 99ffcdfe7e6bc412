"""`prod-lens survey`: one answer, with options or on a terminal, through the landing zone."""

import os
import pty
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from prodlens_pipeline.cli import app
from prodlens_pipeline.settings import load_settings
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.experience.surveys import make_responses
from prodlens_pipeline_tests.places import write_config


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["survey", *arguments], env={"COLUMNS": "300"})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PRODLENS_HOME", raising=False)
    monkeypatch.setenv("PRODLENS_CONFIG", str(tmp_path / "prodlens.yaml"))
    write_config(tmp_path, "identities: {ana: ana@example.com}\n")
    return tmp_path


def test_an_answer_is_landed_like_any_other_record(project: Path) -> None:
    assert project.exists()
    assert run().exit_code == 2
    assert "nothing is answered" in run("--comment", "only words").output
    assert run("--nps", "11").exit_code == 2

    done = run("--nps", "0", "--satisfaction", "5", "--developer", "ana@example.com", "--comment", "not kept")
    assert done.exit_code == 0 and "comment is not kept" in done.output
    refused = run("--nps", "3", "--developer", "x" * 300)
    assert refused.exit_code == 1 and "dead-letters" in refused.output

    settings = load_settings()
    with open_lake(Location.of(settings)) as lake:
        make_responses(lake, settings)
        rows = lake.rows(
            "select developer_id, nps, satisfaction, comment, survey, answered_at is not null from survey.responses"
        )
        assert rows == [("ana", 0, 5, None, "pulse", True)]
        assert lake.rows("select lines, accepted, rejected from ops.landing_chunks order by line_end") == [
            (1, 1, 0),
            (1, 0, 1),
        ]
        ((reason, line),) = lake.rows("select reason, line from ops.dead_letters")
        assert reason.startswith("developer:") and line == 2


def test_on_a_terminal_the_questions_are_asked_until_they_are_answered(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(project, "survey: {capture: text}\n")
    ours, theirs = pty.openpty()
    os.write(ours, b"eleven\n7\n\nslow today\n\n")
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        app(["survey", "--name", "spring"], standalone_mode=False)
    os.close(ours)
    shown = capsys.readouterr()
    assert "a whole number from 0 to 10, or nothing" in shown.out + shown.err
    settings = load_settings()
    with open_lake(Location.of(settings)) as lake:
        make_responses(lake, settings)
        rows = lake.rows(
            "select respondent like 'anonymous:%', nps, satisfaction, comment, survey from survey.responses"
        )
        assert rows == [(True, 7, None, "slow today", "spring")]
