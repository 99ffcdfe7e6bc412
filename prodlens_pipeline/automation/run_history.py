"""Dagster's records of old runs: deleted when they tell nothing that is still needed.

Belongs here: which runs are forgotten. Does not: what was made, which `ops.etl_runs` knows and keeps; ticks, which
`dagster.yaml` retires. Events are most of what Dagster stores: one for each table and day of a run, and one for each
check of it.
"""

import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg

from prodlens_pipeline.automation.claims import days_of
from prodlens_pipeline.automation.jobs import daily, tables
from prodlens_pipeline.automation.sensors import ASKED_BY, FINISHED, OUTAGES

DONE_AGAIN_KEPT = timedelta(days=1)
"""A team whose records arrive by the hour has its days made again as often."""
TOLD_KEPT = timedelta(days=7)
"""What failed, and what `outages` asked for: longer than attempts count (`sensors.REMEMBERED`)."""
_BATCH = 500


def prune_runs(instance: dg.DagsterInstance, now: datetime, landing_days: int) -> int:
    """Delete what Dagster recorded of old runs; returns of how many. `now` has a time zone.

    The run that made a day last is kept as long as the day can be made again, so that it is not shown as missing;
    others go after a day where they succeeded, and after a week else. Of each asset, its last materialization stays
    in any case: Dagster keeps it apart.
    """
    day_is_closed = (now - timedelta(days=landing_days)).date()
    made_later: set[tuple[frozenset[str], date]] = set()
    doomed = []
    for record in _newest_first(instance):
        run = record.dagster_run
        made = {(_what(run), day) for day in days_of(run.tags)} if run.is_success else set()
        needed = any(key not in made_later and key[1] >= day_is_closed for key in made)
        made_later |= made
        kept = DONE_AGAIN_KEPT if run.is_success and run.tags.get(ASKED_BY) != OUTAGES else TOLD_KEPT
        if not needed and (record.end_time or 0) < (now - kept).timestamp():
            doomed.append(run.run_id)
    for run_id in doomed:
        _forget(instance, run_id)
    return len(doomed)


def _newest_first(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    """All finished runs, page by page."""
    cursor = None
    while page := instance.get_run_records(filters=dg.RunsFilter(statuses=FINISHED), limit=_BATCH, cursor=cursor):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _what(run: dg.DagsterRun) -> frozenset[str]:
    """The assets that a run made; none stands for all."""
    if run.asset_selection:
        return frozenset(key.to_user_string() for key in run.asset_selection)
    return frozenset() if run.job_name in {tables.name, daily.name} else frozenset({run.job_name})


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete its records, and on SQLite the files that were its own: emptied, they would stay as large as they were."""
    instance.delete_run(run_id)
    home = Path(instance.root_directory)
    for file in home.glob(f"{run_id}.db*"):
        file.unlink(missing_ok=True)
    shutil.rmtree(home / "storage" / run_id, ignore_errors=True)
