"""The JSON report: its schema is a promise."""

import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from prodlens_pipeline.reporting.data import Report
from prodlens_pipeline.reporting.document import json_schema, render_json
from prodlens_pipeline_tests.reporting.projects import Project

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"


def test_the_published_schema_is_that_of_the_document() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema(), "the document changed: raise SCHEMA_VERSION, write the file"


def test_the_document_keeps_its_schema_and_holds_all_parts(rich: Project) -> None:
    document = json.loads(render_json(rich.report(since=date(2026, 2, 16), compared="previous")))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(json_schema(), format_checker=checker).validate(document)
    empty = [key for key, value in document.items() if not value]
    assert empty == ["panel_associations", "experience", "sources", "dead_letters"]
    assert document["schema_version"] == "1.1"
    assert document["metadata"]["window"] == {"first_day": "2026-02-16", "last_day": "2026-03-27"}
    assert document["metadata"]["snapshot_at"].endswith("Z")
    assert document["metadata"]["newest_runs"][0]["run_id"] == "run-1"
    assert len(document["trends"]) == 40


def test_the_quality_of_a_source_is_summed_over_the_window(rich: Project) -> None:
    document = json.loads(render_json(rich.report()))
    (source,) = document["source_quality"]
    assert (source["calls"], source["skewed_calls"]) == (100, 14)
    assert source["coverage"] == pytest.approx(100 / 120)
    (overlap,) = document["source_overlap"]
    assert (overlap["seen_in"], overlap["calls"], overlap["cost_usd"]) == (["claude_code", "litellm"], 8, 1.0)


def test_the_way_of_pull_requests_counts_what_is_known(rich: Project) -> None:
    document = json.loads(render_json(rich.report()))
    funnel = {row["stage"]: row["pull_requests"] for row in document["pull_request_funnel"]}
    assert funnel == {"opened": 82, "reviewed": 21, "approved": 21, "merged": 42, "closed": 20, "open": 20}
    parts = {row["part"]: (row["n"], row["median_h"]) for row in document["lead_time"]}
    assert parts == {"coding": (42, 3), "pickup": (21, 1), "review": (21, 3), "merge": (21, 2), "total": (42, 6)}


def test_without_figures_the_document_says_why(empty: Report) -> None:
    document = json.loads(render_json(empty))
    jsonschema.validate(document, json_schema())
    assert document["metadata"]["window"] is None
    assert "Run 'prod-lens run' first" in document["headline"][0]


def test_a_table_that_is_not_there_is_a_note(association: Report) -> None:
    document = json.loads(render_json(association))
    assert document["source_quality"] is None
    notes = [note for note in document["notes"] if "left out: the warehouse has no table" in note]
    assert len(notes) == len(association.figures.absent if association.figures else ())
