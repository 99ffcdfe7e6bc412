"""What developers say in surveys, as a part of a report: never one person, and no group that is too small.

Belongs here: reading it for the report's window, and what may be said of it.
Does not: the figures and readings (`analysis/`), tables of it (`experience_tables`), layout.
"""

from collections.abc import Container
from dataclasses import dataclass

import polars as pl

from prodlens_pipeline.analysis.experience import answer_associations, scores
from prodlens_pipeline.analysis.readings import SIGNIFICANT, Status
from prodlens_pipeline.analysis.survey_readings import SurveyStatus, read_survey_association
from prodlens_pipeline.metrics.registry import FEWEST_RESPONDENTS
from prodlens_pipeline.reporting.words import counted, label
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

RESPONSES = "survey.responses"


@dataclass(frozen=True)
class Experience:
    """What was answered in a window. `scores` has the columns of `survey_scores`, with a row for all surveys first;
    `associations` those of `survey_associations`.
    """

    scores: pl.DataFrame
    associations: pl.DataFrame

    @property
    def shown(self) -> pl.DataFrame:
        """The rows of `scores` that have a figure."""
        return self.scores.filter(pl.col("status") == SurveyStatus.OK)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What all surveys say, what goes with AI use, and what is left out."""
        return (self.scores["reading"][0], *self._associated(), *self._hidden())

    def _associated(self) -> tuple[str, ...]:
        claims = self.associations.filter(~pl.col("is_placebo") & (pl.col("status") != Status.NOT_ENOUGH_DATA))
        if claims.is_empty():
            return (
                f"Whether answers go with AI use is not known: {FEWEST_RESPONDENTS} developers must answer in two or "
                "more weeks, so that each can be compared with their own other answers.",
            )
        found = claims.filter((pl.col("q_value") < SIGNIFICANT) & (pl.col("status") != Status.WITHHELD))
        if found.is_empty():
            largest = claims.sort("answers").row(-1, named=True)
            return (
                "No association of answers with the AI use of the week before is seen: "
                f"{counted(largest['developers'], 'developer')}, {counted(largest['answers'], 'answer')}, "
                f"{counted(claims.height, 'comparison')} within developers.",
            )
        rows = found.sort("q_value", maintain_order=True).iter_rows(named=True)
        return tuple(read_survey_association({**row, "driver": label(row["driver"])}) for row in rows)

    def _hidden(self) -> tuple[str, ...]:
        hidden = self.scores.height - self.shown.height
        if not hidden or self.shown.is_empty():
            return ()
        return (
            f"{counted(hidden, 'survey')} left out: fewer than {FEWEST_RESPONDENTS} people answered, or other figures "
            "would give away what so few said.",
        )


def experience(lake: Lake, window: Window, tables: Container[str]) -> Experience | None:
    """What was answered in `window`; None where nobody answered, or the lake has no such table."""
    if RESPONSES not in tables:
        return None
    answered = scores(lake, window)
    return None if answered.is_empty() else Experience(answered, answer_associations(lake, window))
