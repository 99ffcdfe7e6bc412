"""Retention and maintenance of a whole project, once a night and by `prod-lens maintain`.

Belongs here: which tables and sources are kept for how long. Does not: how rows and files are deleted
(`warehouse/maintenance.py`, `landing/retention.py`, `landing/texts.py`, `experience/retention.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from prodlens_pipeline.automation.run_history import prune_runs
from prodlens_pipeline.experience.retention import drop_answers
from prodlens_pipeline.landing.retention import delete_strays, drop_chunks
from prodlens_pipeline.landing.texts import drop_texts
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.traces.assets import SHAPES, raw_contracts
from prodlens_pipeline.traces.registry import formats
from prodlens_pipeline.warehouse.assets import POOL
from prodlens_pipeline.warehouse.maintenance import Compacted, compact, disk_use, retire_rows
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.run_locks import held

DETAILS = ("core.tool_calls", "core.session_turns", "core.file_access", "core.test_runs", "core.spans")
"""Tables of single actions. Daily figures, sessions and calls, which are made from them, stay."""
_MIB = 2**20


def landed_tables() -> list[str]:
    """The tables that say the same as landed traces, and go with them."""
    return [contract.full_name for contract in (*raw_contracts(formats().values()), *SHAPES)]


@dataclass(frozen=True)
class Upkeep:
    """What was deleted: rows by table, chunks by source, answers to surveys; the disk use before and after in bytes."""

    rows: dict[str, int]
    chunks: dict[str, int]
    answers: int
    texts: int
    strays: int
    compacted: Compacted
    runs: int
    before: dict[str, int]
    after: dict[str, int]

    def summary(self) -> Iterator[str]:
        """What was done, in a few lines."""
        for table, rows in self.rows.items():
            yield f"{table}: {rows:,} rows deleted"
        for source, chunks in self.chunks.items():
            yield f"landing/{source}: {chunks:,} chunks deleted"
        if self.answers:
            yield f"landing/survey: {self.answers:,} answers deleted"
        yield f"{self.texts:,} chunks of texts and {self.strays:,} stray files deleted from the landing zone"
        done = self.compacted
        yield (
            f"{done.snapshots_expired:,} snapshots expired, {done.tables_merged:,} tables merged, "
            f"{done.files_deleted:,} files deleted from the lake"
        )
        yield f"{self.runs:,} runs deleted from Dagster's history"

    def disk(self) -> Iterator[tuple[str, str, str]]:
        """Area, MiB before and MiB after; then the sums."""
        for area in self.before:
            yield area, f"{self.before[area] / _MIB:,.1f}", f"{self.after[area] / _MIB:,.1f}"
        yield "in all", f"{sum(self.before.values()) / _MIB:,.1f}", f"{sum(self.after.values()) / _MIB:,.1f}"


def maintain(settings: Settings, instance: dg.DagsterInstance) -> Upkeep:
    """Delete what is past its time, and tidy up the files. Doing it twice is doing it once."""
    kept = settings.retention
    now = datetime.now(UTC)
    details_from = now.date() - timedelta(days=kept.detail_days)
    landed_from = now.date() - timedelta(days=kept.landing_days)
    location = Location.of(settings)
    before = disk_use(location, settings.landing)
    with open_lake(location) as lake:
        migrate(lake)
        rows = {table: retire_rows(lake, table, details_from) for table in DETAILS}
        rows |= {table: retire_rows(lake, table, landed_from) for table in landed_tables()}
        chunks = {source: drop_chunks(lake, settings.landing, source, landed_from) for source in formats()}
        answers_from = now.date() - timedelta(days=kept.survey_days)
        answers = drop_answers(lake, settings.landing, settings.survey, answers_from)
        texts = drop_texts(lake, settings.landing, now - timedelta(days=kept.detail_days))
        strays = delete_strays(lake, settings.landing)
        compacted = compact(lake, keep_snapshots=timedelta(days=kept.snapshot_days))
    return Upkeep(
        {table: count for table, count in rows.items() if count},
        {source: count for source, count in chunks.items() if count},
        answers,
        texts,
        strays,
        compacted,
        prune_runs(instance, now, kept.landing_days),
        before,
        disk_use(location, settings.landing),
    )


def maintenance_job(settings: Settings) -> dg.JobDefinition:
    """The job that keeps a project small."""

    @dg.op(name="maintain", pool=POOL)
    def run(context: dg.OpExecutionContext) -> None:
        with held(Path(context.instance.root_directory), context.run_id):
            done = maintain(settings, context.instance)
        for line in done.summary():
            context.log.info(line)
        context.add_output_metadata({f"{area}_mib": after for area, _, after in done.disk()})

    @dg.job(
        name="maintenance",
        description="Deletes what is past its time (retention in prodlens.yaml) and tidies up the files of the lake.",
    )
    def maintenance() -> None:
        run()

    return maintenance


def nightly_maintenance(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Four in the morning UTC: after the nightly run, before anybody opens the report."""
    return dg.ScheduleDefinition(
        name="nightly_maintenance",
        job=job,
        cron_schedule="0 4 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
