from dataclasses import replace
from datetime import date

import pytest

from prodlens_pipeline.metrics.daily import daily_values
from prodlens_pipeline.metrics.evaluate import Selection, effective_metrics, scorecard
from prodlens_pipeline.metrics.registry import METRICS, Metric
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import open_lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.places import location_of

WEEK = Selection(Window(date(2026, 3, 2), date(2026, 3, 9)))


@pytest.fixture
def lake(tmp_path):
    with open_lake(location_of(tmp_path)) as opened:
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


def test_a_day_has_values_of_its_own(lake):
    rate = toy(name="per_week", value="sum(tried) / ($window_days / 7.0)", direction="show", threshold=None)

    days = daily_values(lake, [toy(), rate], WEEK, "platform", ("team", "developer", "repo"))

    values = {(row["metric"], row["scope"], row["subject"], row["day"].day): row["value"] for row in days.to_dicts()}
    assert {key: value for key, value in values.items() if key[:2] == ("toy", "team")} == {
        ("toy", "team", "platform", 2): 0.75,
        ("toy", "team", "platform", 8): 0.25,
    }
    assert values["toy", "developer", "ben", 8] == values["toy", "repo", "org/api", 8] == 0.25
    # a rate per time knows the days without rows: they are days of none
    assert [values["per_week", "developer", "ana", day] for day in range(2, 9)] == [28.0, *[0.0] * 6]


def test_answers_of_people_have_no_value_by_day(lake):
    assert daily_values(lake, [toy(table="survey.responses")], WEEK, "platform", ("team",)).is_empty()


def test_metrics_of_one_table_asked_together_are_each_metric_alone(lake):
    metrics = [
        toy(name="a"),
        toy(name="b", value="max(good)"),
        toy(name="c", where="good > 1"),
        toy(name="d", repo=None, value="$window_days"),
    ]
    scopes = ("team", "developer", "repo")
    together = scorecard(lake, metrics, WEEK, "platform", scopes).rows()
    assert together == [row for one in metrics for row in scorecard(lake, [one], WEEK, "platform", scopes).rows()]
    assert {row[0] for row in together} == {"a", "b", "c", "d"}


def test_a_regression_is_a_fall_of_more_than_ten_points_within_a_repository(lake):
    lake.execute(
        "create table marts.session_scores as select * from (values "
        "('org/app', 1, 10, 0), ('org/app', 3, 10, 0), ('org/app', 2, 8, 2), ('org/app', 4, 9, 1), "
        "('org/api', 1, 1, 9), ('org/api', 2, 1, 9), ('org/api', 3, 0, null), ('unknown', 4, 0, 9)"
        ") as t(repo, hour, tests_passed, tests_failed)"
    )
    lake.execute("alter table marts.session_scores add column started_at timestamp")
    lake.execute("alter table marts.session_scores add column day date")
    lake.execute(
        "update marts.session_scores set day = '2026-03-02', started_at = timestamp '2026-03-02' + to_hours(hour)"
    )
    (metric,) = [metric for metric in METRICS if metric.name == "test_regressions"]
    card = scorecard(lake, [replace(metric, minimum_sample=1)], WEEK, "platform", ("team", "repo"))
    found = {row["subject"]: (row["value"], row["n"], row["verdict"]) for row in card.to_dicts()}
    # 100 % to 80 % is one; 80 % to 100 % and 100 % to 90 % are none; a session without tests is none.
    assert found == {"platform": (1, 6, "fail"), "org/app": (1, 4, "fail"), "org/api": (0, 2, "pass")}


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
