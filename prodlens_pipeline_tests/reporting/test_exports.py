"""The folder of CSV files."""

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlens_pipeline.reporting.csv_folder import as_csv
from prodlens_pipeline.reporting.exports import NAMES
from prodlens_pipeline.reporting.output import write_csv, write_tables
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline_tests.reporting.projects import START, Project, Work, add_tables, fill, opened

MORNING = datetime.combine(START, datetime.min.time()) + timedelta(hours=8)


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def export(project: Project, folder: Path) -> Path:
    report = project.report()
    with project.lake.reading():
        write_csv(project.lake, report, folder)
        write_tables(project.lake, report, folder)
    return folder


@pytest.fixture(scope="module")
def folder(models: dict[str, SqlModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is handed out of a team whose first session went: edit, failing tests twice, edit, failing command, edit."""
    base = tmp_path_factory.mktemp("exports")
    with opened(base) as project:
        fill(project.lake, models, Work([1] * 14, [1] * 14, pull_requests=8))
        steps = [("Edit", 1), ("pytest", 2), ("pytest", 2), ("Edit", 1), ("make", 0), ("Edit", 1), ("pytest", 2)]
        called = [
            {
                "tool_use_id": f"t{n}", "source": "litellm", "session_id": "s0", "day": START,
                "called_at": MORNING + timedelta(minutes=n), "tool": "Edit" if name == "Edit" else "Bash",
                "program": None if name == "Edit" else name, "is_edit": name == "Edit", "is_sidechain": False,
                "outcome": "error" if name == "make" else "ok", "exit_code": 2 if name == "make" else None,
            }
            for n, (name, _) in enumerate(steps)
        ]  # fmt: skip
        runs = [
            {
                "tool_use_id": call["tool_use_id"], "source": "litellm", "session_id": "s0", "day": START,
                "finished_at": call["called_at"], "framework": "pytest", "succeeded": False, "failed": 1,
            }
            for call in called
            if call["program"] == "pytest"
        ]  # fmt: skip
        worked = {
            "session_id": "s0", "started_at": MORNING, "day": START, "developer_id": "ana",
            "repo": "org/app", "number": 0,
            "basis": "link", "confidence": 1.0, "share": 0.5, "cost_usd": 0.005,
        }  # fmt: skip
        scored = {"repo": "org/app", "number": 0, "sessions": 1, "cost_usd": 0.005, "complexity": 12.5}
        made = {"core.tool_calls": called, "core.test_runs": runs, "core.retries": []}
        made |= {"core.session_pull_requests": [worked], "marts.pull_request_scores": [scored]}
        add_tables(project.lake, models, made)
        (base / "out").mkdir()
        for ending in ("csv", "json"):
            (base / "out" / f"source_quality.{ending}").write_text("of an earlier export")
        (base / "out" / "mine.txt").write_text("mine")
        return export(project, base / "out")


def test_every_table_is_there_or_said_not_to_be(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    written = {path.stem for path in folder.glob("*.csv")}
    missing = {name for name in NAMES if f"## {name}.csv: not there" in readme}
    assert written | missing == set(NAMES)
    assert written & missing == set()
    assert missing == {
        *("panel_associations", "comparison", "source_quality", "run_scores", "survey_scores", "survey_associations")
    }
    assert "the warehouse has no table marts.source_quality yet" in readme


def test_every_column_is_explained(folder: Path) -> None:
    sections = (folder / "README.md").read_text().split("\n## ")
    for path in folder.glob("*.csv"):
        (section,) = [text for text in sections if text.startswith(f"{path.name}\n")]
        words = dict(line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("| `"))
        with path.open(newline="") as file:
            assert [f"`{name}`" for name in next(csv.reader(file))] == list(words), path.name
        assert all(len(meaning) > 3 for meaning in words.values()), path.name


def test_a_debugging_cycle_is_edit_failure_edit(folder: Path) -> None:
    found = [
        (row["cycle"], row["failures"], row["program"], row["minutes"]) for row in rows(folder, "debugging_cycles")
    ]
    assert found == [("1", "2", "pytest", "2.0"), ("2", "1", "make", "1.0")]


def test_tools_pipelines_agents_and_errors_are_counted(folder: Path) -> None:
    tools = {row["tool"]: (row["calls"], row["failed"]) for row in rows(folder, "tool_usage")}
    assert tools == {"Bash": ("4", "1"), "Edit": ("3", "0")}
    assert [row["attempt"] for row in rows(folder, "pipelines")] == ["1", "2", "3"]
    assert [(row["kind"], row["error"]) for row in rows(folder, "errors")] == [("tool_call", "make exit status 2")]
    agents = rows(folder, "agents")
    assert len(agents) == len(rows(folder, "runs")) == 14
    assert {row["agent"] for row in agents} == {"main"}


def test_issues_are_the_pull_requests_that_ended(folder: Path) -> None:
    issues = rows(folder, "issues")
    assert [(row["number"], row["state"], row["hours_open"]) for row in issues[:3]] == [
        ("0", "merged", "6.0"),
        ("1", "merged", "6.0"),
        ("2", "closed", "6.0"),
    ]
    assert all(row["reworked_21d"] == "" for row in issues)
    spent = ("sessions", "input_tokens", "output_tokens", "cost_usd", "complexity")
    assert [issues[0][name] for name in spent] == ["1", "50", "25", "0.00500000", "12.5"]
    assert [issues[1][name] for name in spent] == [""] * 5


def test_the_same_tables_are_handed_out_as_json_with_their_words(folder: Path) -> None:
    assert {path.stem for path in folder.glob("*.json")} == {path.stem for path in folder.glob("*.csv")}
    tools = json.loads((folder / "tool_usage.json").read_text())
    assert tools["columns"].keys() == tools["rows"][0].keys()
    assert [(row["tool"], row["calls"], row["day"]) for row in tools["rows"]] == [
        ("Bash", 4, "2026-01-05"),
        ("Edit", 3, "2026-01-05"),
    ]
    issue = json.loads((folder / "issues.json").read_text())["rows"][0]
    assert (issue["cost_usd"], issue["reworked_21d"], issue["finished_at"]) == (0.005, None, "2026-01-05T15:00:00Z")


def test_what_is_unknown_is_empty_and_times_are_utc(folder: Path) -> None:
    run = rows(folder, "runs")[0]
    assert (run["ttft_ms"], run["started_at"][:10], run["started_at"][-1]) == ("", "2026-01-05", "Z")


def test_a_title_is_no_formula(folder: Path) -> None:
    assert {row["title"] for row in rows(folder, "pull_requests")} == {"'=1+1"}


@given(st.text(), st.integers(), st.lists(st.text(), max_size=3))
def test_no_text_is_a_formula_and_numbers_stay_numbers(text: str, number: int, texts: list[str]) -> None:
    schema = {"text": pl.String, "number": pl.Int64, "texts": pl.List(pl.String)}
    frame = pl.DataFrame({"text": [text], "number": [max(min(number, 2**62), -(2**62))], "texts": [texts]}, schema)
    _, (first, second, third) = csv.reader(io.StringIO(as_csv(frame), newline=""))
    assert int(second) == frame["number"][0]
    assert first in (text, f"'{text}")
    assert third.removeprefix("'") == "; ".join(texts).removeprefix("'")
    assert not first.lstrip(" \t\r\n").startswith(("=", "+", "-", "@"))
    assert not third.lstrip(" \t\r\n").startswith(("=", "+", "-", "@"))


def test_a_table_that_is_missing_leaves_no_file_of_an_earlier_export(folder: Path) -> None:
    assert not (folder / "source_quality.csv").exists()
    assert (folder / "mine.txt").read_text() == "mine"
