"""Do developers answer otherwise after a week in which they used more AI? One row per AI use and question.

Belongs here: developers' answers by week as arrays, the family of hypotheses, placebos, statuses, effects.
Does not: the formulas (`panel`), the wording (`survey_readings`), reading or storing tables.

Answers are few, and people differ: whoever likes the assistants may use them more and say so, which tells nothing of
what use does to anybody. So only those who answered in at least two weeks count, each compared with their own other
answers, and with colleagues' of the same week: the model and the errors of the panel, with weeks for days. Between
an answer and the use of the week *after* it there is the same comparison as a placebo.
How it was checked is in `docs/sources/survey.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prodlens_pipeline.analysis.multiplicity import q_values
from prodlens_pipeline.analysis.panel import LEVEL, Reals, slopes
from prodlens_pipeline.analysis.panel_associations import LOW_SAMPLE_DEVELOPERS, MINIMUM_DEVELOPERS
from prodlens_pipeline.analysis.readings import Status
from prodlens_pipeline.analysis.scales import Scale, quartiles
from prodlens_pipeline.analysis.survey_readings import read_survey_association

QUESTIONS = ("nps", "satisfaction")
MINIMUM_ANSWERS = 2
"""Weeks in which a developer must have answered to be compared with themselves."""
_SIDES = {"before": False, "after": True}
"""The week before the answer is the claim, that after it the placebo."""
_SCHEMA = {
    "driver": pl.String, "outcome": pl.String, "is_placebo": pl.Boolean,
    "developers": pl.Int64, "answers": pl.Int64, "slope": pl.Float64, "p_value": pl.Float64, "q_value": pl.Float64,
    "effect": pl.Float64, "effect_low": pl.Float64, "effect_high": pl.Float64, "min_detectable": pl.Float64,
    "status": pl.String, "reading": pl.String,
}  # fmt: skip
SURVEY_ASSOCIATION_COLUMNS = tuple(_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Found:
    """One comparison; NaN where there is nothing to compare. Effects are in points of the answer."""

    developers: int
    answers: int
    slope: float = float("nan")
    p_value: float = float("nan")
    effect: float = float("nan")
    half_width: float = float("nan")
    detectable: float = float("nan")


def survey_associations(answers: pl.DataFrame, drivers: Sequence[str]) -> pl.DataFrame:
    """Slope of every question's answers on every driver: rows of `SURVEY_ASSOCIATION_COLUMNS`.

    `answers` has at most one row per `developer_id` and `week`, the `QUESTIONS`, and for each driver `<driver>_before`
    and `<driver>_after`: its sum over the seven days before and after the day of the answer. NULL is unknown.
    `effect` is for a typical step of the driver (the median over developers of the interquartile range of their own
    weeks), in points of the answer. `q_value` is Benjamini-Hochberg over all claims, or all placebos, of the table.
    """
    cells = [
        (driver, outcome, placebo, _compared(answers, f"{driver}_{side}", outcome, len(drivers) * len(QUESTIONS)))
        for driver in drivers
        for outcome in QUESTIONS
        for side, placebo in _SIDES.items()
    ]
    placebo = np.array([is_placebo for _, _, is_placebo, _ in cells], dtype=np.bool_)
    q = q_values(np.array([found.p_value for *_, found in cells], dtype=np.float64), placebo)
    refuted = {cell[:2] for cell, value in zip(cells, q, strict=True) if cell[2] and value < LEVEL}
    rows = [
        (
            *(driver, outcome, is_placebo, found.developers, found.answers, found.slope, found.p_value, value),
            *(found.effect, found.effect - found.half_width, found.effect + found.half_width, found.detectable),
            *(_status(found, withheld=(driver, outcome) in refuted and not is_placebo), None),
        )
        for (driver, outcome, is_placebo, found), value in zip(cells, q, strict=True)
    ]
    table = pl.DataFrame(rows, schema=_SCHEMA, orient="row").with_columns(pl.selectors.float().fill_nan(None))
    readings = [read_survey_association(row) for row in table.iter_rows(named=True)]
    return table.with_columns(pl.Series("reading", readings, dtype=pl.String))


def _compared(answers: pl.DataFrame, use: str, outcome: str, claims: int) -> _Found:
    known = answers.drop_nulls([use, outcome])
    known = known.filter(pl.len().over("developer_id") >= MINIMUM_ANSWERS)
    developers = known["developer_id"].n_unique()
    counted = _Found(developers, known.height)
    if developers < MINIMUM_DEVELOPERS:
        return counted
    scale = Scale.of(known[use].cast(pl.Float64).to_numpy())
    driver = scale.transform(_by_week(known, use))
    found = slopes(driver[None], _by_week(known, outcome)[None])
    step = _typical_step(driver)
    return _Found(
        developers,
        known.height,
        float(found.slope[0, 0]),
        float(found.p_value[0, 0]),
        float(found.slope[0, 0]) * step,
        float(found.half_width[0, 0]) * step,
        float(found.detectable(claims)[0, 0]) * step,
    )


def _by_week(known: pl.DataFrame, column: str) -> Reals:
    """(developers, weeks) with an answer; NaN where there is none."""
    who, row = np.unique(known["developer_id"].to_numpy(), return_inverse=True)
    weeks, place = np.unique(known["week"].to_numpy(), return_inverse=True)
    values: NDArray[np.float64] = np.full((len(who), len(weeks)), np.nan)
    values[row, place] = known[column].cast(pl.Float64).to_numpy()
    return values


def _typical_step(driver: Reals) -> float:
    """Median over developers of the interquartile range of their own weeks; NaN if it is 0."""
    step = float(np.median([np.diff(quartiles(own)) for own in driver]))
    return step if step > 0 else float("nan")


def _status(found: _Found, *, withheld: bool) -> str:
    if found.developers < MINIMUM_DEVELOPERS:
        return Status.NOT_ENOUGH_DATA
    if np.isnan(found.p_value):
        return Status.NO_VARIATION
    if withheld:
        return Status.WITHHELD
    return Status.LOW_SAMPLE if found.developers < LOW_SAMPLE_DEVELOPERS else Status.OK
