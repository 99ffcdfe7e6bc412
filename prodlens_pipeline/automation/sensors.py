"""What follows by itself: new records make their days, and an outage is healed.

Belongs here: which days to ask for, in how many runs, and how long to wait after a failure.
Does not: finding stale days (`staleness.py`), or what is being made already (`claims.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from prodlens_pipeline.automation.claims import Claims, claims, days_of, give_up_abandoned
from prodlens_pipeline.automation.jobs import collect, daily, tables
from prodlens_pipeline.automation.staleness import (
    DailyTables,
    UnmadeDay,
    landed_days,
    last_collected_at,
    unmade_days,
)
from prodlens_pipeline.partitions import range_tags
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.errors import NoWarehouseYetError
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import current_version
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window, ranges

ASKED_BY = "prodlens/asked_by"
REASON = "prodlens/reason"
ATTEMPT = "prodlens/attempt"
OUTAGES = "outages"
NEW_RECORDS_EVERY_SECONDS = 60
OUTAGES_EVERY_SECONDS = 300
MAX_RUNS = 5
"""Runs that one tick asks for: a thousand would fill the queue that people wait in, too."""
OVERLAP = timedelta(minutes=10)
"""Writers of a shared catalog commit in another order than they collected."""
GRACE = timedelta(minutes=15)
"""New chunks are the business of `new_records` first."""
NIGHT_IS_OVER = timedelta(hours=3)
"""After midnight UTC: by then the nightly run has made the day before."""
COLLECTED_LATELY = timedelta(hours=2)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=15), timedelta(hours=24)
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
REMEMBERED = timedelta(days=3)
"""How long attempts count: longer than the longest wait."""
WIDTHS = (366, 7, 1)
"""Days in a run at the first, second and any further attempt: one bad day must not hold up its neighbours for good."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def sensors(settings: Settings, assets: Iterable[dg.AssetsDefinition]) -> list[dg.SensorDefinition]:
    """The sensors of one project."""
    made_daily = DailyTables.of(assets)
    return [_new_records(settings, made_daily), _outages(settings, made_daily)]


def _new_records(settings: Settings, made_daily: DailyTables) -> dg.SensorDefinition:
    @dg.sensor(
        job=tables,
        name="new_records",
        minimum_interval_seconds=NEW_RECORDS_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the days again that newly collected records are of, late ones too.",
    )
    def new_records(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen = datetime.fromisoformat(context.cursor) if context.cursor else _BEGINNING
        with _reading(settings) as lake:
            if lake is None:
                return dg.SkipReason("there is no warehouse yet: nothing was ever collected")
            newest = last_collected_at(lake)
            landed = landed_days(lake, made_daily, seen - OVERLAP)
        busy = claims(context.instance)
        possible = [one for one in landed if settings.start_date <= one.day <= _today()]
        waiting = [one for one in possible if one.day in busy.days or busy.backfills]
        free = {one.day: one for one in possible if one not in waiting}
        requests = [
            dg.RunRequest(
                run_key=f"{window}@{max(free[day].last_landed_at for day in window.days if day in free).isoformat()}",
                tags=range_tags(window) | {ASKED_BY: "new_records", REASON: "new records"},
            )
            for window in _few(free)
        ]
        # What had to wait is new again at the next tick; a clock that ran ahead must not hide what comes after it.
        cursor = min([_now(), *(one.first_landed_at for one in waiting)] if waiting else [_now(), newest or seen])
        skipped = None if requests else _why_not(waiting, busy)
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=cursor.isoformat())

    return new_records


def _outages(settings: Settings, made_daily: DailyTables) -> dg.SensorDefinition:
    @dg.sensor(
        jobs=[collect, tables],
        name=OUTAGES,
        minimum_interval_seconds=OUTAGES_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the days that are missing, failed or older than their inputs, catch_up_days back.",
    )
    def outages(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now = _now()
        give_up_abandoned(context.instance)
        if not _collected_lately(context.instance, now):
            # The days follow when all that waited outside is in: then one run heals them all.
            return dg.SensorResult(run_requests=[_collection(now)])
        window = _caught_up(settings, now)
        with _reading(settings) as lake:
            if lake is None or window is None:
                return dg.SkipReason("there is no warehouse yet, or no day to make in it")
            over_by = (now - NIGHT_IS_OVER).date()
            unmade = unmade_days(lake, made_daily, window, over_by=over_by, landed_before=now - GRACE)
        plan = _plan(unmade, claims(context.instance), _attempts(context.instance, now), now)
        return dg.SensorResult(run_requests=plan.requests, skip_reason=None if plan.requests else plan.why_not)

    return outages


@contextmanager
def _reading(settings: Settings) -> Iterator[Lake | None]:
    """The lake as of now, or None before the first run, or while it makes the lake."""
    with ExitStack() as opened:
        try:
            lake = opened.enter_context(open_lake(Location.of(settings), read_only=True))
        except NoWarehouseYetError:
            yield None
            return
        opened.enter_context(lake.reading())
        yield lake if current_version(lake) else None


def _today() -> date:
    return datetime.now(UTC).date()


def _now() -> datetime:
    """UTC without an offset, as `ops` has it."""
    return datetime.now(UTC).replace(tzinfo=None)


def _few(days: Iterable[date]) -> list[Window]:
    """Exactly `days`, unless that would take too many runs: then also the days in the smallest gaps."""
    days = list(days)
    gaps = (0, 1, 3, 7, 31, 366)
    for gap_days in gaps:
        windows = ranges(days, gap_days=gap_days)
        if len(windows) <= MAX_RUNS:
            return windows
    return ranges(days, gap_days=366 * 1000)


def _why_not(waiting: Sequence[object], busy: Claims) -> str:
    if not waiting:
        return "no new records"
    what = f"backfill {busy.backfills[0]}" if busy.backfills else "the runs that are making them"
    return f"{len(waiting)} days wait for {what}"


def _collected_lately(instance: dg.DagsterInstance, now: datetime) -> bool:
    """Whether a collection ended a short while ago, well or badly: a source that is down holds up no other."""
    latest = [
        record
        for job in (collect, daily)
        for record in instance.get_run_records(filters=dg.RunsFilter(job_name=job.name, statuses=FINISHED), limit=1)
    ]
    return any(_from_epoch(record.end_time or 0) > now - COLLECTED_LATELY for record in latest)


def _from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _collection(now: datetime) -> dg.RunRequest:
    return dg.RunRequest(
        job_name=collect.name,
        run_key=f"collect {now:%Y-%m-%dT%H}",
        tags={ASKED_BY: OUTAGES, REASON: f"nothing was collected for {COLLECTED_LATELY.seconds // 3600} hours"},
    )


def _caught_up(settings: Settings, now: datetime) -> Window | None:
    first = max(settings.start_date, now.date() - timedelta(days=settings.catch_up_days))
    return Window(first, now.date() + timedelta(days=1)) if first <= now.date() else None


@dataclass(frozen=True)
class Attempts:
    """How often a day was asked for lately, and when the last time ended."""

    count: int
    last_ended_at: datetime

    @property
    def next_at(self) -> datetime:
        """Before this it is not asked for again: four times as long after each time, a day at the most."""
        return self.last_ended_at + min(FIRST_WAIT * int(4 ** (self.count - 1)), LONGEST_WAIT)


def _attempts(instance: dg.DagsterInstance, now: datetime) -> Mapping[date, Attempts]:
    """What became of the runs that this sensor asked for: told by the runs, so that nothing is forgotten."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(
            job_name=tables.name,
            tags={ASKED_BY: OUTAGES},
            created_after=(now - REMEMBERED).replace(tzinfo=UTC),
        )
    )
    found: dict[date, Attempts] = {}
    for record in records:
        if record.end_time is None:
            continue
        ended = _from_epoch(record.end_time)
        for day in days_of(record.dagster_run.tags):
            known = found.get(day, Attempts(0, ended))
            found[day] = Attempts(known.count + 1, max(known.last_ended_at, ended))
    return found


@dataclass(frozen=True)
class Plan:
    """What to ask for, or why there is nothing to ask for."""

    requests: list[dg.RunRequest]
    why_not: str


def _plan(unmade: Sequence[UnmadeDay], busy: Claims, attempts: Mapping[date, Attempts], now: datetime) -> Plan:
    """The newest days first; a day that failed waits, and is asked for apart from its neighbours."""
    reasons = {one.day: one.reason for one in unmade}
    claimed = [day for day in reasons if day in busy.days or busy.backfills]
    waiting = {
        day: attempts[day] for day in reasons if day not in claimed and day in attempts and attempts[day].next_at > now
    }
    ready = [day for day in reasons if day not in claimed and day not in waiting]
    counts = {day: attempts[day].count if day in attempts else 0 for day in ready}
    windows = sorted(_windows(counts), key=lambda asked: asked[0].start, reverse=True)
    requests = [_request(window, count, reasons, now) for window, count in windows[:MAX_RUNS]]
    return Plan(requests, _in_words(claimed, waiting))


def _windows(counts: Mapping[date, int]) -> Iterator[tuple[Window, int]]:
    """Contiguous days that were tried equally often, no wider than their number of attempts allows."""
    for count in sorted(set(counts.values())):
        width = WIDTHS[min(count, len(WIDTHS) - 1)]
        for window in ranges((day for day in counts if counts[day] == count), gap_days=0):
            start = window.start
            while start < window.end:
                end = min(start + timedelta(days=width), window.end)
                yield Window(start, end), count
                start = end


def _request(window: Window, count: int, reasons: Mapping[date, str], now: datetime) -> dg.RunRequest:
    return dg.RunRequest(
        job_name=tables.name,
        run_key=f"{window}#{count}@{now:%Y-%m-%d}",
        tags=range_tags(window) | {ASKED_BY: OUTAGES, REASON: reasons[window.days[-1]], ATTEMPT: str(count + 1)},
    )


def _in_words(claimed: Sequence[date], waiting: Mapping[date, Attempts]) -> str:
    parts = [f"{len(claimed)} days are being made"] if claimed else []
    if waiting:
        day, tried = min(waiting.items(), key=lambda item: item[1].next_at)
        parts.append(
            f"{len(waiting)} days wait after failing; first {day}, tried {tried.count} times, "
            f"again at {tried.next_at:%Y-%m-%d %H:%M} UTC"
        )
    return "; ".join(parts) or "every day is there and up to date"
