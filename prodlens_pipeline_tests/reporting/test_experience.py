"""What developers say, in every form of a report: figures of groups, never a person, a comment or a small group."""

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from prodlens_pipeline.reporting.console import print_report
from prodlens_pipeline.reporting.data import Report
from prodlens_pipeline.reporting.document import json_schema
from prodlens_pipeline.reporting.output import render, write_csv
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline_tests.reporting.projects import START, Project, add_tables, fill, opened, working

PEOPLE = ("Quimby", "Rosalind", "Sigismund", "Tamsin", "Ulrika", "Valentina")
COMMENT = "the walrus was here"


def response(who: str, day: int, nps: int, survey: str) -> dict[str, object]:
    at = datetime.combine(START + timedelta(days=day), time(15))
    return {
        "response_id": f"{who}-{day}", "survey": survey, "respondent": who, "developer_id": who, "answered_at": at,
        "day": at.date(), "nps": nps, "nps_score": 1 if nps >= 9 else -1 if nps <= 6 else 0,
        "satisfaction": 4 if nps > 5 else 2, "comment": COMMENT,
    }  # fmt: skip


@pytest.fixture(scope="module")
def project(models: dict[str, SqlModel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Six people who answered in spring and two rounds of summer, four of them also in a small survey."""
    with opened(tmp_path_factory.mktemp("surveyed")) as project:
        fill(project.lake, models, working(effect=False))
        answers = [
            response(who, 20 + 14 * n, 5 + (place + n) % 6, f"round {n}")
            for n in range(3)
            for place, who in enumerate(PEOPLE)
        ]
        answers += [response(who, 55, 1, "too small") for who in PEOPLE[:4]]
        add_tables(project.lake, models, {"survey.responses": answers})
        yield project


@pytest.fixture(scope="module")
def report(project: Project) -> Report:
    return project.report()


def on_console(report: Report) -> str:
    shown = StringIO()
    print_report(report, Console(file=shown, width=160))
    return shown.getvalue()


def test_every_form_says_the_score_with_its_interval_and_names_nobody(
    report: Report, project: Project, tmp_path: Path
) -> None:
    with project.lake.reading():
        write_csv(project.lake, report, tmp_path)
    files = "".join(path.read_text() for path in tmp_path.iterdir())
    forms = {"console": on_console(report), "csv": files} | {
        form: render(report, form)
        for form in ("html", "markdown", "json")  # type: ignore[arg-type]
    }
    for form, text in forms.items():
        assert "net promoter score of" in " ".join(text.replace("\\", "").split()), form
        assert "95 % interval" in " ".join(text.split()), form
        assert not [name for name in (*PEOPLE, COMMENT) if name in text], form


def test_a_group_that_is_too_small_has_no_figure_anywhere(report: Report) -> None:
    whole = json.loads(render(report, "json"))
    jsonschema.Draft202012Validator(json_schema()).validate(whole)
    document = whole["experience"]
    by_name = {row["survey"]: row for row in document["scores"]}
    assert by_name["too small"]["status"] == "too few respondents"
    assert {by_name["too small"][key] for key in ("nps", "promoters", "satisfied", "nps_respondents")} == {None}
    assert "Too small" not in on_console(report)
    assert by_name["all surveys"]["nps_respondents"] == 6
    scorecard = {row["metric"]: row["value"] for row in whole["scorecard"]}
    assert scorecard["nps"] == by_name["all surveys"]["nps"]
    assert not {"nps", "satisfaction"} & {row["metric"] for row in whole["scorecard_by_developer"]}


def test_answers_are_held_against_use_and_the_report_says_how_many(report: Report) -> None:
    rows = json.loads(render(report, "json"))["experience"]["associations"]
    assert len(rows) == 24 and {row["developers"] for row in rows} == {6}
    assert "within developers" in " ".join(on_console(report).split())


def test_without_answers_there_is_no_section(project: Project) -> None:
    early = project.report(since=START + timedelta(days=57))
    assert early.figures is not None and early.figures.experience is None
    assert "What developers say" not in on_console(early)
    assert json.loads(render(early, "json"))["experience"] is None
