"""Answers to surveys: the score and its interval, groups that must not be shown, and what goes with AI use."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from prodlens_pipeline.analysis.experience import answer_associations, answers_with_use, scores, survey_window
from prodlens_pipeline.analysis.net_promoter import net_promoter
from prodlens_pipeline.analysis.survey_associations import SURVEY_ASSOCIATION_COLUMNS, survey_associations
from prodlens_pipeline.analysis.survey_scores import SCORE_COLUMNS, survey_scores
from prodlens_pipeline.metrics.evaluate import Selection, scorecard
from prodlens_pipeline.metrics.registry import METRICS
from prodlens_pipeline_tests.pipeline import lake_in_memory, models, window

MORNING = datetime(2026, 3, 2, 10)  # noqa: DTZ001 - the lake holds UTC without a zone
MONDAY = date(2026, 3, 2)


def given(survey: str, answers: Sequence[int], first: int = 0) -> list[dict[str, object]]:
    """One answer of each of as many people, an hour apart."""
    return [
        {
            "survey": survey,
            "respondent": f"p{first + place}",
            "answered_at": MORNING + timedelta(hours=place),
            "nps": nps,
            "satisfaction": None if nps > 10 else 1 + nps // 3,
        }
        for place, nps in enumerate(answers)
    ]


def scored(*rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    table = survey_scores(pl.DataFrame([row for group in rows for row in group], infer_schema_length=None))
    assert table.columns == list(SCORE_COLUMNS)
    return {row["survey"]: row for row in table.to_dicts()}


def test_the_score_is_promoters_minus_detractors_and_the_interval_the_published_one() -> None:
    # By hand: n + 3 = 18, (10.75 - 3.75) / 18 = 0.3889, variance (14.5 / 18 - 0.3889 ** 2) / 18 = 0.03635.
    found = net_promoter(promoters=10, detractors=3, respondents=15)
    assert found.score == pytest.approx(46.667, abs=0.001)
    assert (found.low, found.high) == pytest.approx((1.52, 76.26), abs=0.01)
    unanimous = net_promoter(promoters=5, detractors=0, respondents=5)
    assert unanimous.score == 100 and unanimous.high == 100 and 10 < unanimous.low < 80


def test_the_interval_covers_the_truth_in_small_samples() -> None:
    random = np.random.default_rng(3)
    for shares in ((0.2, 0.5, 0.3), (0.05, 0.35, 0.6), (0.5, 0.2, 0.3)):
        for size in (5, 8, 20, 50):
            draws = random.multinomial(size, shares, 1500)
            found = [net_promoter(int(up), int(down), size) for down, _, up in draws]
            covered = np.mean([one.low <= 100 * (shares[2] - shares[0]) <= one.high for one in found])
            assert 0.92 <= covered <= 1, (shares, size, covered)


def test_everybody_counts_once_and_the_metrics_of_the_registry_agree() -> None:
    often = [{**row, "answered_at": MORNING + timedelta(days=1)} for row in given("b", [10, 10, 2])]
    rows = given("a", [10, 9, 7, 6, 0]) + often
    every = scored(rows)["all surveys"]
    assert (every["promoters"], every["passives"], every["detractors"], every["nps"]) == (2, 0, 3, -20)
    with lake_in_memory() as lake:
        (model,) = (one for one in models() if one.contract.full_name == "survey.responses")
        lake.execute(model.contract.create_statement())
        full = [{**row, "response_id": str(place), "day": MONDAY} for place, row in enumerate(rows)]
        lake.connection.register("made", pl.DataFrame(full))
        lake.execute(
            "insert into survey.responses by name select *, "
            "case when nps >= 9 then 1 when nps <= 6 then -1 else 0 end as nps_score from made"
        )
        of_surveys = [metric for metric in METRICS if metric.table == "survey.responses"]
        card = scorecard(lake, of_surveys, Selection(window("2026-03-01", "2026-03-09")), "t", ("team", "developer"))
        shown = {row["metric"]: (row["value"], row["n"]) for row in card.to_dicts()}
        assert shown == {"nps": (-20, 5), "satisfaction": (every["satisfaction"], 5)}
        assert set(card["scope"]) == {"team"}
        (table,) = [
            row for row in scores(lake, window("2026-03-01", "2026-03-09")).to_dicts() if row["scope"] != "survey"
        ]
        assert table["nps"] == -20 and table["window_end"] == date(2026, 3, 9)


def test_a_group_of_fewer_than_five_is_not_shown_even_by_subtraction() -> None:
    large, other, small = given("large", [9] * 9), given("other", [3] * 7, 20), given("small", [1] * 4, 40)
    found = scored(large, other, small)
    assert found["small"]["status"] == "too few respondents" and found["small"]["nps"] is None
    assert "small" not in str(found["small"]["reading"])
    # Hidden alone, the four could be told from the sum: the next smallest goes with them.
    assert found["other"]["nps"] is None and found["large"]["nps"] == 100
    assert found["all surveys"]["nps_respondents"] == 20
    assert scored(given("a", [9] * 4))["all surveys"]["nps"] is None
    assert scored(large, given("x", [1] * 3, 40), given("y", [1] * 3, 50))["large"]["nps"] == 100


def test_nothing_answered_is_an_empty_table() -> None:
    schema = {"survey": pl.String, "respondent": pl.String, "answered_at": pl.Datetime, "nps": pl.Int64}
    assert survey_scores(pl.DataFrame(schema=schema | {"satisfaction": pl.Int64})).is_empty()


def weekly(
    seed: int, *, before: float = 0.0, after: float = 0.0, developers: int = 12, weeks: int = 10
) -> pl.DataFrame:
    """People who differ in what they use and in what they answer; an answer follows use as given."""
    random = np.random.default_rng(seed)
    rows = []
    for who in range(developers):
        likes = random.normal(7, 1.5)
        uses = np.exp(3 + 0.3 * (likes - 7) + random.normal(0, 0.4, weeks + 1))
        for week in np.flatnonzero(random.random(weeks) < 0.8):
            drawn = random.poisson(uses[week : week + 2])
            felt = likes + before * np.log(uses[week]) + after * np.log(uses[week + 1]) + random.normal(0, 0.7)
            rows.append((f"d{who}", MONDAY + timedelta(weeks=int(week)), round(felt), 3, *map(float, drawn)))
    names = ("developer_id", "week", "nps", "satisfaction", "sessions_before", "sessions_after")
    return pl.DataFrame(rows, schema=names, orient="row")


def associated(answers: pl.DataFrame) -> dict[tuple[str, bool], dict[str, object]]:
    table = survey_associations(answers, ("sessions",))
    assert table.columns == list(SURVEY_ASSOCIATION_COLUMNS)
    return {(row["outcome"], row["is_placebo"]): row for row in table.to_dicts()}


def test_an_answer_that_follows_use_is_found_with_its_size() -> None:
    found = associated(weekly(1, before=2.0))
    row = found["nps", False]
    assert row["q_value"] < 0.05 and row["effect_low"] < row["effect"] < row["effect_high"] and row["effect"] > 0
    assert row["status"] == "ok" and "points higher" in str(row["reading"])
    assert "Placebo passed" in str(found["nps", True]["reading"])
    assert found["satisfaction", False]["status"] == "no_variation"


def test_people_who_like_it_and_use_it_are_no_association_and_false_alarms_are_rare() -> None:
    alarms = sum(associated(weekly(seed))["nps", False]["p_value"] < 0.05 for seed in range(120))
    assert alarms <= 12  # 6 are expected


def test_what_goes_with_later_use_too_is_withheld() -> None:
    found = associated(weekly(2, before=2.0, after=2.0, developers=30))
    assert found["nps", False]["status"] == "withheld" and "Withheld" in str(found["nps", False]["reading"])


@pytest.mark.parametrize("answers", [weekly(1, developers=4), weekly(1, weeks=1), weekly(1).clear()])
def test_too_few_to_be_compared_with_themselves_are_not_compared(answers: pl.DataFrame) -> None:
    row = associated(answers)["nps", False]
    assert row["status"] == "not_enough_data" and row["p_value"] is None and "Not enough data" in str(row["reading"])


def test_use_around_an_answer_is_known_only_where_all_of_its_days_were_read() -> None:
    with lake_in_memory() as lake:
        for name in ("survey.responses", "marts.daily_developer"):
            (model,) = (one for one in models() if one.contract.full_name == name)
            lake.execute(model.contract.create_statement())
        lake.execute("create table core.llm_calls as select unnest([date '2026-03-01', date '2026-03-31']) as day")
        days = pl.DataFrame({"day": [date(2026, 3, day) for day in range(1, 32)]})
        lake.connection.register("days", days)
        lake.execute(
            "insert into marts.daily_developer by name select day, 'ana' as developer_id, false as is_bot, "
            "1 as sessions, 2 as calls, case when day <> '2026-03-20' then 0.5 end as cost_usd from days"
        )
        answered = [
            ("a", "ana", 4),
            ("b", "ana", 10),
            ("c", "ana", 11),
            ("d", "ana", 18),
            ("e", "ben", 18),
            ("f", "unknown", 18),
        ]
        for name, who, day in answered:
            lake.execute(
                "insert into survey.responses by name select $name as response_id, $who as developer_id, "
                "$who as respondent, 's' as survey, $at as answered_at, $at::date as day, 7 as nps",
                {"name": name, "who": who, "at": datetime(2026, 3, day, 9)},  # noqa: DTZ001 - UTC
            )
        span = survey_window(lake)
        assert span == window("2026-03-04", "2026-03-18")
        rows = answers_with_use(lake, span).select(
            "developer_id", "day", "sessions_before", "sessions_after", "cost_usd_after"
        )
        assert rows.rows() == [
            ("ana", date(2026, 3, 4), None, 7, 3.5),  # its week before began before what was read
            ("ana", date(2026, 3, 11), 7, 7, 3.5),  # the last answer of the week
            ("ana", date(2026, 3, 18), 7, 7, None),  # one price is unknown
            ("ben", date(2026, 3, 18), 0, 0, 0),
        ]
        assert set(answer_associations(lake, span)["status"]) == {"not_enough_data"}
