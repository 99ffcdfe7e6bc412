"""Would developers recommend the assistants, and are they satisfied? One row for all surveys, and one for each.

Belongs here: whose answers count, which groups are too small to be shown, the figures.
Does not: the interval's formula (`net_promoter`), the wording (`survey_readings`), reading or storing tables.
"""

from collections.abc import Mapping

import polars as pl

from prodlens_pipeline.analysis.model_comparison import wilson
from prodlens_pipeline.analysis.net_promoter import net_promoter
from prodlens_pipeline.analysis.survey_readings import SurveyStatus, read_score
from prodlens_pipeline.metrics.registry import FEWEST_RESPONDENTS

ALL = "all surveys"
ONE = "survey"
SATISFIED = 4
"""From this answer on, of 1 to 5, somebody is satisfied."""
_SCHEMA = {
    "scope": pl.String, "survey": pl.String, "status": pl.String,
    "nps_respondents": pl.Int64, "promoters": pl.Int64, "passives": pl.Int64, "detractors": pl.Int64,
    "nps": pl.Float64, "nps_low": pl.Float64, "nps_high": pl.Float64,
    "satisfaction_respondents": pl.Int64, "satisfied": pl.Int64,
    "satisfaction": pl.Float64, "satisfaction_low": pl.Float64, "satisfaction_high": pl.Float64,
    "first_day": pl.Date, "last_day": pl.Date, "reading": pl.String,
}  # fmt: skip
SCORE_COLUMNS = tuple(_SCHEMA)


def survey_scores(responses: pl.DataFrame) -> pl.DataFrame:
    """Rows of `SCORE_COLUMNS`: all surveys together, then each by its last day.

    `responses` has one row per answer: `survey`, `respondent`, `answered_at`, `nps`, `satisfaction`. Within a row the
    last answer of every respondent counts, so respondents are independent draws. A question that fewer than
    `FEWEST_RESPONDENTS` people answered has no figures there, nor has one that the others and the sum would give away.
    """
    if responses.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    names = responses.group_by("survey").agg(pl.col("answered_at").max()).sort("answered_at", "survey")["survey"]
    groups = {name: responses.filter(pl.col("survey") == name) for name in names}
    shown = {question: _large_enough(groups, question) for question in ("nps", "satisfaction")}
    rows = [_row(ALL, ALL, responses, dict.fromkeys(shown, True))]
    rows += [_row(ONE, name, group, {q: name in shown[q] for q in shown}) for name, group in groups.items()]
    table = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return table.with_columns(pl.Series("reading", [read_score(row) for row in table.iter_rows(named=True)], pl.String))


def last_answers(responses: pl.DataFrame, question: str) -> pl.Series:
    """The last answer of every respondent to one question."""
    given = responses.filter(pl.col(question).is_not_null()).sort("answered_at", maintain_order=True)
    return given.unique("respondent", keep="last", maintain_order=True)[question]


def _large_enough(groups: Mapping[str, pl.DataFrame], question: str) -> set[str]:
    """The surveys whose figures may be shown.

    If those that are hidden had too few respondents in all, subtracting the others from the sum would reveal them: the
    smallest of the others goes too.
    """
    sizes = {name: len(last_answers(group, question)) for name, group in groups.items()}
    hidden = {name for name, size in sizes.items() if size < FEWEST_RESPONDENTS}
    smallest_first = sorted(sizes.keys() - hidden, key=lambda name: (sizes[name], name))
    for name in smallest_first:
        if not 0 < sum(sizes[one] for one in hidden) < FEWEST_RESPONDENTS:
            break
        hidden.add(name)
    return sizes.keys() - hidden


def _row(scope: str, survey: str, group: pl.DataFrame, allowed: Mapping[str, bool]) -> tuple[object, ...]:
    recommended = _recommended(last_answers(group, "nps")) if allowed["nps"] else None
    satisfied = _satisfied(last_answers(group, "satisfaction")) if allowed["satisfaction"] else None
    status = SurveyStatus.OK if recommended or satisfied else SurveyStatus.TOO_FEW
    days = group["answered_at"].dt.date()
    return (
        *(scope, survey, status.value),
        *(recommended or (None,) * 7),
        *(satisfied or (None,) * 5),
        *(days.min(), days.max(), None),
    )


def _recommended(answers: pl.Series) -> tuple[object, ...] | None:
    if len(answers) < FEWEST_RESPONDENTS:
        return None
    promoters, detractors = int((answers >= 9).sum()), int((answers <= 6).sum())
    found = net_promoter(promoters, detractors, len(answers))
    passives = len(answers) - promoters - detractors
    return len(answers), promoters, passives, detractors, found.score, found.low, found.high


def _satisfied(answers: pl.Series) -> tuple[object, ...] | None:
    if len(answers) < FEWEST_RESPONDENTS:
        return None
    satisfied = int((answers >= SATISFIED).sum())
    share = satisfied / len(answers)
    return len(answers), satisfied, share, *wilson(share, len(answers))
