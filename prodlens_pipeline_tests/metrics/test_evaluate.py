from datetime import date

import pytest

from prodlens_pipeline.metrics.evaluate import Selection, effective_metrics, scorecard
from prodlens_pipeline.metrics.registry import METRICS, Metric
from prodlens_pipeline.warehouse.lake import Location, open_lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.windows import Window

WEEK = Selection(Window(date(2026, 3, 2), date(2026, 3, 9)))


@pytest.fixture
def lake(tmp_path):
    with open_lake(Location(tmp_path, "sqlite", tmp_path / "lake")) as opened:
        migrate(opened)
        opened.execute(
            "create table marts.toy (day date, developer_id varchar, repo varchar, good bigint, tried bigint)"
        )
        opened.execute(
            "insert into marts.toy values ('2026-03-02', 'ana', 'org/app', 3, 4), "
            "('2026-03-08', 'ben', 'org/api', 1, 4), ('2026-03-09', 'ana', 'org/app', 9, 9)"
        )
        yield opened


def toy(**changes) -> Metric:
    values = {
        "name": "toy",
        "title": "Toy",
        "formula": "good / tried",
        "table": "marts.toy",
        "value": "sum(good) / nullif(sum(tried), 0)",
        "sample": "sum(tried)",
        "sample_unit": "tries",
        "unit": "share",
        "direction": "above",
        "threshold": 0.4,
        "source": "test",
        "repo": "repo",
    }
    return Metric(**(values | changes))


def test_a_new_metric_is_one_entry(lake):
    card = scorecard(lake, [toy()], WEEK, "platform", ("team", "developer", "repo"))

    figures = {(row["scope"], row["subject"]): (row["value"], row["n"], row["verdict"]) for row in card.to_dicts()}
    assert figures == {
        ("team", "platform"): (0.5, 8, "pass"),
        ("developer", "ana"): (0.75, 4, "pass"),
        ("developer", "ben"): (0.25, 4, "fail"),
        ("repo", "org/app"): (0.75, 4, "pass"),
        ("repo", "org/api"): (0.25, 4, "fail"),
    }


def test_below_its_minimum_sample_a_metric_has_no_value(lake):
    (row,) = scorecard(lake, [toy(minimum_sample=9)], WEEK, "platform", ("team",)).to_dicts()
    assert (row["value"], row["n"], row["verdict"]) == (None, 8, "not enough data")


def test_no_rows_are_not_enough_data_rather_than_nothing(lake):
    empty = Selection(Window(date(2025, 1, 1), date(2025, 1, 2)))
    (row,) = scorecard(lake, [toy()], empty, "platform", ("team",)).to_dicts()
    assert (row["value"], row["n"], row["verdict"]) == (None, 0, "not enough data")


@pytest.mark.parametrize(
    ("direction", "threshold", "verdict"),
    [("above", 0.5, "fail"), ("below", 0.5, "fail"), ("below", 0.51, "pass"), ("show", None, "shown")],
)
def test_a_threshold_must_be_passed_not_met(lake, direction, threshold, verdict):
    (row,) = scorecard(lake, [toy(direction=direction, threshold=threshold)], WEEK, "platform", ("team",)).to_dicts()
    assert row["verdict"] == verdict


def test_a_repository_narrows_the_metrics_that_know_repositories(lake):
    narrowed = Selection(WEEK.window, repo="org/api")
    known, unknown = scorecard(lake, [toy(), toy(name="other", repo=None)], narrowed, "platform", ("team",)).to_dicts()
    assert (known["value"], unknown["value"]) == (0.25, 0.5)


def test_thresholds_of_the_configuration_replace_those_of_the_registry():
    changed = {metric.name: metric.threshold for metric in effective_metrics({"acceptance_rate": 0.5})}
    unchanged = {metric.name: metric.threshold for metric in METRICS}
    assert changed == unchanged | {"acceptance_rate": 0.5}


def test_a_threshold_for_no_metric_is_refused_by_name():
    with pytest.raises(ValueError, match=r"thresholds\.acceptance: no metric of this name"):
        effective_metrics({"acceptance": 0.5})


def test_names_are_unique_and_every_entry_is_documented():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.formula and metric.source and metric.sample_unit and metric.unit
        assert (metric.threshold is None) == (metric.direction == "show")
