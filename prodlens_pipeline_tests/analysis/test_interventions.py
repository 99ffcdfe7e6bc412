"""Interventions: the right developers, on the right day, and only where the days before are known."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from prodlens_pipeline.analysis.interventions import Kind, adoptions, interventions, model_switches
from prodlens_pipeline.settings import Intervention as Configured
from prodlens_pipeline.settings import SettingsError, load_settings
from prodlens_pipeline.warehouse.config_history import record_configuration
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.pipeline import lake_in_memory

MONDAY = date(2026, 1, 5)
MORNING = datetime(2026, 1, 5, 9)  # noqa: DTZ001 - the lake holds UTC without a zone


def on(day: int) -> date:
    return MONDAY + timedelta(days=day)


def calls(*spans: tuple[str, str, int, int]) -> pl.DataFrame:
    """Two calls a day of (developer, model) from a first to a last day."""
    rows = [(who, model, on(day), 2) for who, model, first, last in spans for day in range(first, last + 1)]
    return pl.DataFrame(rows, schema=["developer_id", "model", "day", "calls"], orient="row")


def test_adopters_are_those_whose_first_call_has_four_weeks_before_it() -> None:
    (found,) = adoptions(calls(("ana", "m", 0, 9), ("ben", "m", 27, 40), ("cleo", "m", 28, 40)), MONDAY)
    assert found.dates == {"cleo": on(28)}
    assert found.excluded == {"ana", "ben"}


def test_where_all_were_there_from_the_start_nobody_adopted() -> None:
    assert adoptions(calls(("ana", "m", 0, 9)), MONDAY) == []
    assert adoptions(calls(), None) == []


def test_a_switch_is_the_first_day_of_the_new_majority() -> None:
    made = calls(("ana", "old", 0, 39), ("ana", "new", 40, 80), ("ben", "new", 0, 80), ("cleo", "old", 0, 80))
    (found,) = model_switches(made)
    assert (found.name, found.kind) == ("switch to new", Kind.MODEL)
    assert set(found.dates) == {"ana"}
    assert abs((found.dates["ana"] - on(40)).days) <= 1
    assert found.excluded == {"ben"}


def test_trying_a_model_out_is_no_switch() -> None:
    assert model_switches(calls(("ana", "old", 0, 80), ("ana", "new", 40, 44))) == []


def test_back_and_forth_are_two_switches() -> None:
    made = calls(("ana", "old", 0, 39), ("ana", "new", 40, 79), ("ana", "old", 80, 120))
    assert [one.name for one in model_switches(made)] == ["switch to new", "switch to old"]


@pytest.fixture
def lake() -> Iterator[Lake]:
    with lake_in_memory() as opened:
        opened.execute("create table core.llm_calls (developer_id varchar, model varchar, day date)")
        rows = calls(("ana", "old", 0, 90), ("ben", "old", 50, 90), ("unknown:1", "old", 30, 90))
        opened.connection.register("made", rows)
        opened.execute("insert into core.llm_calls select developer_id, model, day from made, range(2)")
        yield opened


def ran(lake: Lake, day: int, **digests: str) -> None:
    """A run with a configuration, on a day."""
    config_hash = "".join(digests.values()).ljust(16, "0")
    record_configuration(lake, config_hash, digests, "run")
    lake.execute(
        "update ops.config_history set first_seen_at = $at where config_hash = $hash and first_seen_at > $later",
        {"hash": config_hash, "at": MORNING + timedelta(days=day), "later": MORNING + timedelta(days=180)},
    )


def test_a_warehouse_tells_adoptions_settings_and_changes_of_the_configuration(lake: Lake) -> None:
    ran(lake, 3, model_policy="a")
    ran(lake, 30, model_policy="a")
    ran(lake, 50, model_policy="a", thresholds="x", interventions="y")
    ran(lake, 60, model_policy="b", thresholds="x", interventions="y")
    ran(lake, 70, model_policy="a", thresholds="x", interventions="y", sources="s")
    configured = [
        Configured.model_validate({"name": "pairing", "date": on(45).isoformat(), "developers": ["ben"]}),
        Configured.model_validate({"name": "new office", "date": on(20).isoformat()}),
        Configured.model_validate({"name": "long ago", "date": "2020-01-01"}),
    ]
    found = interventions(lake, Window(MONDAY, on(91)), ["ana", "ben"], configured)
    assert [(one.name, one.kind.value, dict(one.dates)) for one in found] == [
        ("AI adoption", "adoption", {"ben": on(50)}),
        ("pairing", "configured", {"ben": on(45)}),
        ("new office", "configured", {"ana": on(20), "ben": on(20)}),
        ("configuration bxy00000 (model_policy)", "configuration change", {"ana": on(60), "ben": on(60)}),
        (
            "configuration axys0000 (model_policy, sources; it changes what is measured)",
            "configuration change",
            {"ana": on(70), "ben": on(70)},
        ),
    ]


def test_interventions_are_configured_by_name_date_and_developers(tmp_path: Path) -> None:
    (tmp_path / "prodlens.yaml").write_text(
        "identities: {ben: ben@example.com}\n"
        "interventions: [{name: pairing, date: 2026-03-02, developers: [ben]}, {name: office, date: 2026-04-01}]\n"
    )
    first, second = load_settings(tmp_path / "prodlens.yaml").interventions
    assert (first.name, first.day, first.developers) == ("pairing", date(2026, 3, 2), ("ben",))
    assert second.developers is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{name: x, date: soon}]", r"interventions\.0\.date"),
        ("[{name: x}]", r"interventions\.0\.date"),
        ("[{name: x, date: 2026-03-02, developers: []}]", r"interventions\.0\.developers"),
        ("[{name: x, date: 2026-03-02, developers: [bne]}]", "'x' names 'bne', who is no developer of identities"),
        ("[{name: x, date: 2026-03-02}, {name: x, date: 2026-04-02}]", "two interventions are named 'x'"),
    ],
    ids=["no date", "without date", "nobody", "unknown developer", "twice"],
)
def test_a_wrong_intervention_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "prodlens.yaml").write_text(f"identities: {{ben: ben@example.com}}\ninterventions: {text}\n")
    with pytest.raises(SettingsError, match=message):
        load_settings(tmp_path / "prodlens.yaml")
