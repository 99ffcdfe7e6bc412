"""What answers to surveys amount to, as assets. No row of these tables shows a group that is too small."""

import dagster as dg

from prodlens_pipeline.analysis.assets import analysis_asset
from prodlens_pipeline.analysis.experience import answer_associations, scores, survey_window
from prodlens_pipeline.warehouse.contracts import Column, Contract

SURVEY_SCORES = Contract(
    schema="analysis",
    name="survey_scores",
    description="One row for all surveys and one for each: would developers recommend the assistants?",
    key=("scope", "survey"),
    partitioned=False,
    owner="team:experience",
    columns=(
        Column("scope", "VARCHAR", "all surveys, or survey"),
        Column("survey", "VARCHAR", "which one"),
        Column("status", "VARCHAR", "ok, or too few respondents: then nothing is shown"),
        Column("nps_respondents", "BIGINT", "who answered the question; the last answer of each counts", "respondents"),
        Column("promoters", "BIGINT", "of these answered 9 or 10", "respondents"),
        Column("passives", "BIGINT", "of these answered 7 or 8", "respondents"),
        Column("detractors", "BIGINT", "of these answered 0 to 6", "respondents"),
        Column("nps", "DOUBLE", "promoters minus detractors", "points"),
        Column("nps_low", "DOUBLE", "95% interval of nps (adjusted Wald, Rocks 2016)", "points"),
        Column("nps_high", "DOUBLE", "95% interval of nps (adjusted Wald, Rocks 2016)", "points"),
        Column("satisfaction_respondents", "BIGINT", "who answered the other question", "respondents"),
        Column("satisfied", "BIGINT", "of these answered 4 or 5", "respondents"),
        Column("satisfaction", "DOUBLE", "satisfied / respondents", "share"),
        Column("satisfaction_low", "DOUBLE", "95% interval (Wilson)", "share"),
        Column("satisfaction_high", "DOUBLE", "95% interval (Wilson)", "share"),
        Column("first_day", "DATE", "UTC day of the first answer"),
        Column("last_day", "DATE", "UTC day of the last answer"),
        Column("reading", "VARCHAR", "the row in a sentence or two"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
    ),
)
SURVEY_ASSOCIATIONS = Contract(
    schema="analysis",
    name="survey_associations",
    description="One row per AI use, question and side: do developers answer otherwise after they used more AI?",
    key=("driver", "outcome", "is_placebo"),
    partitioned=False,
    owner="team:experience",
    columns=(
        Column("driver", "VARCHAR", "what a developer did with AI in seven days"),
        Column("outcome", "VARCHAR", "the question: nps or satisfaction"),
        Column("is_placebo", "BOOLEAN", "the seven days lie after the answer: nothing can show here"),
        Column("developers", "BIGINT", "developers who answered in two or more weeks", "developers"),
        Column("answers", "BIGINT", "their answers, one a week", "answers"),
        Column("slope", "DOUBLE", "points of the answer per unit of the driver, on its scale of comparison"),
        Column("p_value", "DOUBLE", "probability of such a slope without any association, clustered by developer"),
        Column("q_value", "DOUBLE", "p adjusted for all claims, or all placebos, of the table (Benjamini-Hochberg)"),
        Column("effect", "DOUBLE", "change of the answer for a typical step of the driver", "points"),
        Column("effect_low", "DOUBLE", "95% interval of effect", "points"),
        Column("effect_high", "DOUBLE", "95% interval of effect", "points"),
        Column("min_detectable", "DOUBLE", "smallest effect that these answers show with 80% power", "points"),
        Column("status", "VARCHAR", "what the row supports"),
        Column("reading", "VARCHAR", "the row in one sentence"),
        Column("window_start", "DATE", "first UTC day"),
        Column("window_end", "DATE", "last UTC day"),
    ),
)


def survey_assets() -> list[dg.AssetsDefinition]:
    """Both tables, over all days on which somebody answered."""
    answers = "survey.responses"
    with_use = (answers, "marts.daily_developer", "core.llm_calls")
    return [
        analysis_asset(SURVEY_SCORES, survey_window, scores, (answers,)),
        analysis_asset(SURVEY_ASSOCIATIONS, survey_window, answer_associations, with_use),
    ]
