"""Small surveys for tests: files of answers, and the tables made of them without Dagster."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prodlens_pipeline.experience.answers import ANSWERS, answer_query
from prodlens_pipeline.experience.collect import collect_answers
from prodlens_pipeline.landing.config import IDENTITIES, identities
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.lake import Lake, Stamp
from prodlens_pipeline_tests.pipeline import lake_in_memory, materialise_models, window

_STAMP = Stamp("test", "test", "test")
COLUMNS = ("answered_at", "developer", "nps", "satisfaction", "comment", "survey", "session", "id")


def answer(at: str, developer: str = "", **fields: Any) -> dict[str, Any]:
    """A row of a CSV file; `at` is a UTC time such as `2026-03-02 10:00`."""
    return {"answered_at": f"{at.replace(' ', 'T')}:00Z", "developer": developer, **fields}


def write_csv(path: Path, answers: Sequence[dict[str, Any]]) -> Path:
    """Write answers as a CSV file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(answers)
    return path


def make_responses(lake: Lake, settings: Settings) -> list[str]:
    """Collect, and make the tables of answers; returns what was wrong, in words."""
    problems = collect_answers(lake, settings).problems
    lake.overwrite(IDENTITIES, None, identities(settings), _STAMP)
    assert lake.overwrite(ANSWERS, None, answer_query(lake, settings.landing, settings.survey), _STAMP).committed
    materialise_models(lake, {"survey.responses"}, window("2026-01-01", "2026-12-31"))
    return problems


@contextmanager
def surveyed(settings: Settings) -> Iterator[Lake]:
    """A lake in memory with the answers of the configured files."""
    with lake_in_memory() as lake:
        assert not make_responses(lake, settings)
        yield lake
