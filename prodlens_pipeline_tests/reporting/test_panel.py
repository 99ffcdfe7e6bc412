"""The comparison of developers leads where there is one, says what it could have seen, and is of the window shown."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prodlens_pipeline.analysis.daily import DRIVERS, OUTCOMES
from prodlens_pipeline.analysis.panel_associations import PANEL_COLUMNS
from prodlens_pipeline.analysis.readings import read_panel
from prodlens_pipeline.reporting.data import Report
from prodlens_pipeline.reporting.headline import headline
from prodlens_pipeline.reporting.html import render_html
from prodlens_pipeline.reporting.markdown import render_markdown
from prodlens_pipeline.reporting.output import write_csv
from prodlens_pipeline.reporting.panel import TABLE, Panel, panel
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.pipeline import lake_in_memory
from prodlens_pipeline_tests.reporting.projects import Project

WINDOW = Window(date(2026, 3, 1), date(2026, 4, 1))
FOUND = {"q_value": 0.001, "p_value": 0.0001}
REFUTED = {"status": "withheld", **FOUND}


def row(driver: str = "sessions", outcome: str = "commits", lag: int = 1, **changes: Any) -> dict[str, Any]:
    figures = dict.fromkeys(PANEL_COLUMNS) | {
        "developers": 12, "developer_days": 700, "slope": 0.3, "p_value": 0.4, "q_value": 0.8, "effect": 1.0,
        "effect_low": 0.5, "effect_high": 1.5, "effect_pct": 20.0, "effect_pct_low": 10.0, "effect_pct_high": 30.0,
        "min_detectable_pct": 17.0, "status": "ok", "driver_q1": 2.0, "driver_q3": 5.5,
    }  # fmt: skip
    told = figures | {"driver": driver, "outcome": outcome, "lag": lag, "is_placebo": lag < 0} | changes
    return told | {"reading": read_panel(told)}


def made(*rows: dict[str, Any]) -> Panel:
    return Panel(pl.DataFrame(list(rows), infer_schema_length=None))


def with_panel(report: Report, *rows: dict[str, Any]) -> Report:
    assert report.figures
    return replace(report, figures=replace(report.figures, panel=made(*rows)))


def test_what_leads_was_fixed_beforehand_and_is_not_the_smallest_p() -> None:
    rows = [row(driver, outcome, **FOUND) for driver in reversed(DRIVERS) for outcome in reversed(OUTCOMES)]
    rows[0] |= {"p_value": 1e-30, "q_value": 1e-29}
    found = made(*rows)
    assert found.claims.select("driver", "outcome").row(0) == (DRIVERS[0], OUTCOMES[0])
    assert found.claims.height == len(DRIVERS) * len(OUTCOMES)


def test_placebos_and_what_a_check_refutes_are_not_claimed() -> None:
    found = made(row(lag=-1, **FOUND), row(lag=0), row(**REFUTED), row("calls"))
    assert found.claims.is_empty()
    assert (found.withheld, found.tested.height) == (1, 3)


def test_the_panel_leads_the_team(association: Report) -> None:
    first = headline(with_panel(association, row(**FOUND)))[0]
    assert first == (
        "A typical step up in a developer's AI sessions, from a quiet day (2) to a busy one (5.5), goes with 20% more "
        "commits (95% interval +10% to +30%) by that developer 1 working day later, compared with the same "
        "developer's other days and with colleagues on the same day (12 developers, 700 days of theirs, q = 0.001; an "
        "association, not a proof)."
    )


def test_a_driver_whose_usual_days_are_alike_has_no_step_in_numbers(association: Report) -> None:
    first = headline(with_panel(association, row(driver_q1=2.0, driver_q3=2.0, **FOUND)))[0]
    assert "AI sessions, from a quiet day to a busy one, goes with" in first


def test_a_panel_that_finds_nothing_says_what_it_could_have_seen_and_what_the_team_shows(association: Report) -> None:
    first = headline(with_panel(association, row(), row("calls", **REFUTED)))[0]
    assert "Among 12 developers, no association" in first
    assert "A difference of 17% or more would have shown" in first
    assert "1 pair withheld" in first
    assert "something that happened to everybody at once may explain" in first


def test_every_form_shows_it(association: Report) -> None:
    report = with_panel(association, row(**FOUND))
    assert "Developers compared with themselves" in render_html(report)
    assert "12 developers" in render_markdown(report).split("### AI use and delivery")[1]


@pytest.fixture
def lake() -> Iterator[Lake]:
    with lake_in_memory() as opened:
        rows = pl.DataFrame([row(), row("calls")], infer_schema_length=None).with_columns(
            window_start=pl.lit(WINDOW.start), window_end=pl.lit(WINDOW.days[-1])
        )
        opened.connection.register("rows", rows)
        opened.execute(f"create table {TABLE} as select * from rows")
        yield opened


def test_it_is_of_exactly_the_window_and_there(lake: Lake) -> None:
    found = panel(lake, WINDOW, {TABLE})
    assert found
    assert found.rows.height == 2
    assert panel(lake, Window(date(2026, 3, 2), date(2026, 4, 1)), {TABLE}) is None
    assert panel(lake, WINDOW, ()) is None


def test_too_few_developers_are_no_panel(lake: Lake) -> None:
    lake.execute(f"update {TABLE} set p_value = null, q_value = null, status = 'not_enough_data'")
    assert panel(lake, WINDOW, {TABLE}) is None


def test_the_csv_folder_has_it_row_for_row(rich: Project, tmp_path: Path) -> None:
    report = with_panel(rich.report(), row(**FOUND), row(lag=-1))
    with rich.lake.reading():
        write_csv(rich.lake, report, tmp_path)
    found = pl.read_csv(tmp_path / "panel_associations.csv")
    assert found.select("lag", "effect_pct", "q_value", "result").rows() == [
        (1, 20.0, 0.001, "significant"),
        (-1, 20.0, 0.8, "placebo passed"),
    ]
