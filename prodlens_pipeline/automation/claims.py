"""Which days are being made right now: two callers never ask for the same day at once.

Belongs here: reading runs that are queued or in progress, and giving up those whose process died. Does not: deciding
what to ask for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from prodlens_pipeline.warehouse.run_locks import abandoned
from prodlens_pipeline.warehouse.windows import Window

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Claims:
    """The days of unfinished runs, and the backfills that have not yet said which days they will ask for."""

    days: frozenset[date]
    backfills: tuple[str, ...]


def give_up_abandoned(instance: dg.DagsterInstance) -> None:
    """Report the runs of this machine whose process is gone as failed, and let go of their places in pools.

    Such a process was killed, or could not record its end, on a full disk say. Its run would claim its days, and all
    others would wait for its places, until it is given up for taking too long: Dagster notices the death of a run only
    while the server that started it lives.
    """
    for run_id in abandoned(Path(instance.root_directory)):
        run = instance.get_run_by_id(run_id)
        if run and run.status in UNFINISHED:
            instance.report_run_failed(run, "The process of this run died; its days are asked for again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def claims(instance: dg.DagsterInstance) -> Claims:
    """What others are making or are about to make."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    open_backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED]))
    return Claims(
        frozenset(day for run in runs for day in days_of(run.tags)),
        tuple(backfill.backfill_id for backfill in open_backfills),
    )


def days_of(tags: Mapping[str, str]) -> Iterator[date]:
    """The days that a run with these tags makes; none where it makes no partition."""
    first = tags.get(RANGE_START) or tags.get(PARTITION)
    last = tags.get(RANGE_END) or tags.get(PARTITION)
    if first and last:
        yield from Window(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)).days
