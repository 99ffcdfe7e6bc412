"""The analyses of answers to surveys: each is one table over a window, read and computed.

Belongs here: which answers and which AI use an analysis looks at.
Does not: the figures (`survey_scores`, `survey_associations`), storing the tables (`experience_assets`).
"""

import polars as pl

from prodlens_pipeline.analysis.daily import DRIVERS, span
from prodlens_pipeline.analysis.survey_associations import survey_associations
from prodlens_pipeline.analysis.survey_scores import survey_scores
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

AROUND = 7
"""Days of AI use before an answer, and after it, that it is held against."""


def survey_window(lake: Lake) -> Window | None:
    """From the first to the last day on which somebody answered; None where nobody did."""
    return span(lake, "survey.responses")


def scores(lake: Lake, window: Window) -> pl.DataFrame:
    """One row for all surveys and one for each, of the answers given in `window`: `SCORE_COLUMNS` and the window."""
    responses = lake.frame(
        "select survey, respondent, answered_at, nps, satisfaction from survey.responses "
        "where day >= $window_start and day < $window_end order by answered_at, response_id",
        window.parameters,
    )
    return _dated(survey_scores(responses), window)


def answer_associations(lake: Lake, window: Window) -> pl.DataFrame:
    """One row per AI use and question, of the answers in `window`: `SURVEY_ASSOCIATION_COLUMNS` and the window."""
    return _dated(survey_associations(answers_with_use(lake, window), DRIVERS), window)


def answers_with_use(lake: Lake, window: Window) -> pl.DataFrame:
    """One row per developer and ISO week with an answer in `window` (the last one), and the AI use around its day.

    Columns: `developer_id`, `week` (its Monday), `day`, `nps`, `satisfaction`, and for every driver `<driver>_before`
    and `<driver>_after`. Use is NULL where a part of the days lies outside of what was read; a cost, also where a price
    is unknown. Anonymous answers, and names that the configuration maps to nobody, are left out.
    """
    sums = ", ".join(_use(driver, side) for driver in DRIVERS for side in ("before", "after"))
    return lake.frame(_ANSWERS.format(sums=sums), {**window.parameters, "around": AROUND})


_DAYS = {
    "before": (
        "used.day < answer.day",
        "answer.day - $around::int >= read.first_day and answer.day <= read.last_day + 1",
    ),
    "after": (
        "used.day > answer.day",
        "answer.day + $around::int <= read.last_day and answer.day >= read.first_day - 1",
    ),
}
"""On which side of an answer a day lies, and whether all days of that side were read."""


def _use(driver: str, side: str) -> str:
    lies, is_read = _DAYS[side]
    unpriced = f"count(*) filter ({lies} and used.calls > 0 and used.{driver} is null) = 0"
    return (
        f"case when any_value({is_read}) and {unpriced} "
        f"then coalesce(sum(used.{driver}) filter ({lies}), 0)::double end as {driver}_{side}"
    )


_ANSWERS = """
with read as (select min(day) as first_day, max(day) as last_day from core.llm_calls),
answer as (
    select developer_id, date_trunc('week', day)::date as week, day, nps, satisfaction
    from survey.responses
    where day >= $window_start and day < $window_end and not starts_with(developer_id, 'unknown')
    qualify row_number() over (partition by developer_id, week order by answered_at desc, response_id desc) = 1
)
select answer.developer_id, answer.week, answer.day, answer.nps, answer.satisfaction, {sums}
from answer
cross join read
left join marts.daily_developer as used
    on answer.developer_id = used.developer_id
    and not used.is_bot
    and used.day between answer.day - $around::int and answer.day + $around::int
group by all
order by answer.developer_id, answer.week
"""


def _dated(table: pl.DataFrame, window: Window) -> pl.DataFrame:
    return table.with_columns(window_start=pl.lit(window.start), window_end=pl.lit(window.days[-1]))
