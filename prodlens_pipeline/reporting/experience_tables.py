"""The tables of a report about surveys as text, the same for the console and for HTML.

Belongs here: which columns a reader sees, in which words. Does not: layout.
"""

from typing import Any

import polars as pl

from prodlens_pipeline.reporting.experience import Experience
from prodlens_pipeline.reporting.tables import Row, Table
from prodlens_pipeline.reporting.words import NONE, estimate, percent, probability, titled, whole

_QUESTIONS = {"nps": "would recommend", "satisfaction": "satisfied"}
_WORDS = {
    "ok": "none seen",
    "low_sample": "none seen (few developers)",
    "not_enough_data": "not enough data",
    "no_variation": "nothing to compare",
    "withheld": "withheld",
}


def score_table(experience: Experience) -> Table:
    """All surveys and then each, where enough people answered."""
    head = (
        *("Survey", "Last answer", "Net promoter score [95%]", "Promoters", "Passives", "Detractors"),
        *("Satisfied [95%]", "Satisfied (n)"),
    )
    rows = tuple(Row(_score(one)) for one in experience.shown.iter_rows(named=True))
    return Table("What developers say", head, rows, frozenset(head[2:]))


def _score(one: dict[str, Any]) -> tuple[str, ...]:
    counts = (NONE if one[name] is None else whole(one[name]) for name in ("promoters", "passives", "detractors"))
    satisfied, asked = one["satisfied"], one["satisfaction_respondents"]
    return (
        *(titled(one["survey"]), str(one["last_day"])),
        *(estimate(one["nps"], one["nps_low"], one["nps_high"], digits=0), *counts),
        _share(one["satisfaction"], one["satisfaction_low"], one["satisfaction_high"]),
        NONE if asked is None else f"{whole(satisfied)} of {whole(asked)}",
    )


def _share(value: float | None, low: float | None, high: float | None) -> str:
    return NONE if value is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def association_table(experience: Experience) -> Table:
    """One row per AI use and question: the week before an answer."""
    head = ("AI use of the week before", "Answer", "Step up goes with [95%]", "q", "Developers", "Answers", "Result")
    claims = experience.associations.filter(~pl.col("is_placebo"))
    rows = tuple(Row(_association(one)) for one in claims.iter_rows(named=True))
    return Table("AI use and answers", head, rows, frozenset(head[2:6]))


def _association(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        *(titled(one["driver"]), _QUESTIONS[one["outcome"]]),
        estimate(one["effect"], one["effect_low"], one["effect_high"], digits=1, unit=" points"),
        *(probability(one["q_value"]), whole(one["developers"]), whole(one["answers"])),
        result(one),
    )


def result(one: dict[str, Any]) -> str:
    """The status of an association of answers in a word or two."""
    found = one["q_value"] is not None and one["q_value"] < 0.05
    if one["is_placebo"]:
        return "placebo failed" if found else "placebo passed"
    if found and one["status"] != "withheld":
        return "significant (few developers)" if one["status"] == "low_sample" else "significant"
    return _WORDS[one["status"]]
