"""How long answers are kept: by their own time, record by record, since a file of answers may span years.

Belongs here: what of the landing zone and of the tables goes. Does not: how long (`settings.py`), or when
(`automation/`).
"""

from datetime import date
from pathlib import Path
from typing import Any

from prodlens_pipeline.experience.answers import SOURCE
from prodlens_pipeline.landing.rewriting import Judge, enter, rewrite, stored_chunks
from prodlens_pipeline.settings import Survey
from prodlens_pipeline.warehouse.lake import Lake

TABLES = {"answers": "answered_at", "responses": "day"}
"""The tables that hold single answers, and the column that tells their time."""


def drop_answers(lake: Lake, landing: Path, survey: Survey, before: date) -> int:
    """Delete the answers that were given before a day, landed and in tables; returns how many were landed.

    Comments that the configuration keeps no more leave those that stay. Doing it twice is doing it once.
    """
    judge = _judge(before, keep_comments=survey.capture == "text")
    every = (rewrite(landing, chunk, judge) for chunk in stored_chunks(lake) if chunk.source == SOURCE)
    rewriting = [one for one in every if one.differs]
    with lake.transaction():
        for one in rewriting:
            enter(lake, one)
        present = lake.tables()
        for table, column in TABLES.items():
            if f"survey.{table}" in present:
                lake.execute(f"delete from survey.{table} where {column} < $before", {"before": before})
        lake.execute(
            "update ops.dead_letters set raw_text = '' where source = $source and collected_at < $before",
            {"source": SOURCE, "before": before},
        )
    for one in rewriting:
        (landing / one.chunk.path).unlink(missing_ok=True)
    return sum(sum(one.dropped.values()) for one in rewriting)


def _judge(before: date, *, keep_comments: bool) -> Judge:
    first = before.isoformat()

    def judge(record: dict[str, Any]) -> dict[str, Any] | None:
        if record["_at"] < first:
            return None
        if keep_comments or "comment" not in record:
            return record
        return {key: value for key, value in record.items() if key != "comment"}

    return judge
