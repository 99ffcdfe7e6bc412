"""Landing answers: from the configured files, and one that was given on the command line.

Belongs here: which files are meant, and what is wrong in words. Does not: reading and judging them (`landing/`).
"""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prodlens_pipeline.experience.answers import SOURCE, answer_format
from prodlens_pipeline.landing.assets import Landing
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.collector import collect, find_files, land_records
from prodlens_pipeline.landing.redaction import Privacy, Redactor
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.lake import Lake

COMMAND = "prod-lens survey"
"""Where answers of the command line stand in the landing zone."""


def source_name(settings: Settings) -> str:
    """The name under which the configured files are landed."""
    return f"{SOURCE}:{settings.survey.path}"


def files_of(settings: Settings) -> list[Path]:
    """The files that the configured path means; none where there is no path."""
    if settings.survey.path is None:
        return []
    return find_files(settings.resolve(settings.survey.path), answer_format(settings.survey).pattern)


def collect_answers(lake: Lake, settings: Settings) -> Landing:
    """Land what is new in the configured files."""
    landing = Landing({}, [])
    if settings.survey.path is None:
        return landing
    name, files = source_name(settings), files_of(settings)
    if not files:
        landing.problems.append(f"{name}: no file matches {settings.resolve(settings.survey.path)}")
    form = answer_format(settings.survey)
    landing.collected[name] = collect(lake, settings.landing, form, name, files, privacy=_privacy(settings))
    landing.problems += [f"{name}: {problem}" for problem in landing.collected[name].unreadable]
    return landing


def land_answer(lake: Lake, settings: Settings, fields: dict[str, Any]) -> Collected:
    """Land an answer that is given now; `fields` are those of `Answer` but for its time and id."""
    record = {"id": uuid.uuid4().hex, "answered_at": datetime.now(UTC).isoformat(timespec="seconds"), **fields}
    return land_records(
        lake,
        settings.landing,
        answer_format(settings.survey),
        f"{SOURCE}:{COMMAND}",
        COMMAND,
        [record],
        privacy=_privacy(settings),
    )


def _privacy(settings: Settings) -> Privacy:
    return Privacy(settings.survey.capture, Redactor.of(settings.redact))
