"""What figures about surveys are worth, as a word and as a sentence for people who do not read statistics.

Belongs here: statuses and wording of `survey_scores` and `survey_associations`. Does not: any figure.
"""

from enum import StrEnum
from typing import Any

from prodlens_pipeline.analysis.readings import SIGNIFICANT, Status

_WIDTHS = {"nps": 10, "satisfaction": 4}
"""From the lowest to the highest answer."""
WEAK_SIGHT_SHARE = 0.25
"""Data that could only have shown a difference of more than this share of the scale say little by showing nothing."""


class SurveyStatus(StrEnum):
    """What a row of survey scores is worth."""

    OK = "ok"
    TOO_FEW = "too few respondents"
    """No figure is shown: with so few people, or beside the other figures, single answers could be told."""


def read_score(row: dict[str, Any]) -> str:
    """One or two plain sentences about a row of `survey_scores`, given as a dict of its columns."""
    if row["status"] == SurveyStatus.TOO_FEW:
        return "Too few people answered to show anything without showing who answered what."
    said = []
    if row["nps"] is not None:
        said.append(
            f"Of {row['nps_respondents']} people, {row['promoters']} would recommend the assistants and "
            f"{row['detractors']} would not: a net promoter score of {row['nps']:+.0f} points "
            f"(95 % interval {row['nps_low']:+.0f} to {row['nps_high']:+.0f})."
        )
    if row["satisfaction"] is not None:
        said.append(
            f"{row['satisfied']} of {row['satisfaction_respondents']} are satisfied: {100 * row['satisfaction']:.0f} % "
            f"(95 % interval {100 * row['satisfaction_low']:.0f} % to {100 * row['satisfaction_high']:.0f} %)."
        )
    return " ".join(said)


def read_survey_association(row: dict[str, Any]) -> str:
    """One plain sentence about a row of `survey_associations`, given as a dict of its columns."""
    driver, outcome = row["driver"], row["outcome"]
    match row["status"]:
        case Status.NOT_ENOUGH_DATA:
            return (
                f"Not enough data: {row['developers']} developers answered in two or more weeks of known AI use, and "
                "5 are needed to compare them with themselves."
            )
        case Status.NO_VARIATION:
            return f"Nothing to compare: {driver} or the answers about {outcome} do not differ within developers."
        case Status.WITHHELD:
            return (
                f"Withheld: answers about {outcome} go with {driver} of the week after them as well, so satisfied "
                "people may simply use more, or something else drives both."
            )
    flag = f"Few developers ({row['developers']}): " if row["status"] == Status.LOW_SAMPLE else ""
    when = "after their answer" if row["is_placebo"] else "before their answer"
    found = row["q_value"] is not None and row["q_value"] < SIGNIFICANT
    if row["is_placebo"]:
        word = "failed" if found else "passed"
        verb = "go" if found else "do not visibly go"
        return f"{flag}Placebo {word}: answers about {outcome} {verb} with {driver} of the week {when}."
    if not found:
        return f"{flag}No association of {outcome} with {driver} of the week {when} seen{_sight(row)}"
    more = "higher" if row["slope"] > 0 else "lower"
    size = "" if row["effect"] is None else f"{abs(row['effect']):.1f} points "
    return (
        f"{flag}After a week in which a developer is a typical step up in {driver}, the answer about {outcome} is "
        f"{size}{more}{_interval(row)}, compared with the same developer's other answers and colleagues' of that week."
    )


def _interval(row: dict[str, Any]) -> str:
    low, high = row["effect_low"], row["effect_high"]
    return "" if low is None or high is None else f" (95 % interval {low:+.1f} to {high:+.1f})"


def _sight(row: dict[str, Any]) -> str:
    detectable = row["min_detectable"]
    if detectable is None:
        return "."
    if detectable > WEAK_SIGHT_SHARE * _WIDTHS[row["outcome"]]:
        return f", but we could hardly have seen one: only {detectable:.1f} points or more would have shown."
    return f"; {detectable:.1f} points or more would have shown in four samples of five."
