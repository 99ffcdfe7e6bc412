"""What a simulated team answers to a short survey every second Friday, as a CSV file.

Belongs here: who answers what and when, and the file. Does not: anything that an analysis makes of it.

Whether somebody would recommend the assistants is a trait of theirs, with a mood of the week that the whole team shares
and one of their own. **It does not depend on how much they used them**: an association with AI use is a false alarm.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from prodlens_pipeline.simulation.team import Plan

EVERY_DAYS = 14
FRIDAY = 4
ANSWER_SHARE = 0.85
ENDS_S = 17 * 3600
"""Answers come in the three hours before."""
COMMENTS = ("", "", "", "Good at tests.", "Too slow today.", "It keeps forgetting our conventions.")
COLUMNS = ("answered_at", "survey", "developer", "nps", "satisfaction", "comment")


@dataclass(frozen=True, slots=True)
class Answer:
    """One developer's answers to one round."""

    answered_at: datetime
    survey: str
    developer: str
    nps: int
    satisfaction: int
    comment: str


def ask(plan: Plan) -> list[Answer]:
    """All answers, in the order of their times."""
    rng = np.random.default_rng((plan.team.seed, 9))
    names = plan.team.developer_names
    trait = rng.normal(8.0, 1.3, len(names))
    answers = []
    for place, day in enumerate(plan.team.dates):
        if day.weekday() != FRIDAY or (place // 7) * 7 % EVERY_DAYS:
            continue
        liked = trait + rng.normal(0, 0.5) + rng.normal(0, 0.8, len(names))
        willing = (rng.random(len(names)) < ANSWER_SHARE) & plan.present[place] & plan.working[place]
        seconds = ENDS_S - rng.integers(0, 3 * 3600, len(names))
        words = rng.integers(0, len(COMMENTS), len(names))
        answers += [
            Answer(
                datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=int(seconds[who])),
                f"pulse {day}",
                names[who],
                int(np.clip(round(liked[who]), 0, 10)),
                int(np.clip(round(liked[who] / 2), 1, 5)),
                COMMENTS[words[who]],
            )
            for who in np.flatnonzero(willing)
        ]
    return sorted(answers, key=lambda answer: (answer.answered_at, answer.developer))


def net_promoter_score(answers: list[Answer]) -> float | None:
    """Promoters minus detractors in points, of the last answer of each developer; None where nobody answered."""
    last = {answer.developer: answer.nps for answer in answers}
    if not last:
        return None
    return 100 * sum((nps >= 9) - (nps <= 6) for nps in last.values()) / len(last)


def write_answers(answers: list[Answer], path: Path) -> None:
    """Write the file, also where nobody answered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for answer in answers:
            writer.writerow(
                answer.answered_at.isoformat() if name == "answered_at" else getattr(answer, name) for name in COLUMNS
            )
