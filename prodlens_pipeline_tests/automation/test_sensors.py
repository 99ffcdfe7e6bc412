from datetime import datetime, time, timedelta

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from prodlens_pipeline.automation import sensors as rules
from prodlens_pipeline.automation.claims import UNFINISHED, days_of
from prodlens_pipeline.partitions import range_tags
from prodlens_pipeline.settings import WarehouseSettings
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.automation.small import TODAY, Project, ago, span
from prodlens_pipeline_tests.servers import postgresql_server


def tick(project: Project, instance: dg.DagsterInstance, name: str, cursor: str | None = None) -> SensorExecutionData:
    """What the daemon gets from one tick."""
    sensor = project.defs.resolve_sensor_def(name)
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=project.defs.get_repository_def()
    ) as context:
        return sensor.evaluate_tick(context)


def asked(data: SensorExecutionData) -> list[list[str]]:
    """The days that each requested run makes."""
    return [[day.isoformat() for day in days_of(request.tags)] for request in data.run_requests or []]


def begin(project: Project, instance: dg.DagsterInstance, window, status=dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
    """A run that is not done."""
    return instance.create_run_for_job(project.defs.resolve_job_def("tables"), tags=range_tags(window), status=status)


def collected(project: Project, instance: dg.DagsterInstance, **notes: int) -> None:
    project.write(**notes)
    assert project.execute(instance, "collect")


def age(project: Project) -> None:
    """What was collected was collected a day ago: no more the business of `new_records`."""
    with project.lake() as lake:
        lake.execute("update ops.landing_chunks set collected_at = collected_at - interval 1 day")


def days(first: int, last: int) -> list[str]:
    return [day.isoformat() for day in span(first, last).days]


def test_before_anything_was_collected_nothing_is_asked(project, instance):
    data = tick(project, instance, "new_records")
    assert not data.run_requests
    assert "no warehouse" in data.skip_message


def test_a_new_catalog_on_a_server_is_no_error(project, instance):
    with postgresql_server() as server:
        served = WarehouseSettings(catalog=server.create())
        project.settings = project.settings.model_copy(update={"warehouse": served})
        assert "no warehouse" in tick(project, instance, "new_records").skip_message
        with open_lake(Location.of(project.settings)):
            pass  # as far as a first run that was just started
        assert "no warehouse" in tick(project, instance, "new_records").skip_message
        instance.report_run_failed(begin(project, instance, span(0, 0)))
        (request,) = tick(project, instance, "outages").run_requests
        assert request.job_name == "collect"
        collected(project, instance, a=1)
        data = tick(project, instance, "new_records")
        assert asked(data) == [days(3, 0)]
        assert project.answer(instance, data.run_requests[0])
        assert project.counts() == {ago(1): 1}


def test_new_records_make_exactly_their_days_and_only_once(project, instance):
    collected(project, instance, a=1, b=2, late=11)

    first = tick(project, instance, "new_records")

    # a record may change the sessions of two days before and after it
    assert asked(first) == [days(13, 9), days(4, 0)]
    assert all(project.answer(instance, request) for request in first.run_requests)
    assert project.counts() == {ago(11): 1, ago(2): 1, ago(1): 1}
    second = tick(project, instance, "new_records", first.cursor)
    assert not second.run_requests
    assert second.skip_message == "no new records"


def test_a_late_record_makes_its_day_again(project, instance):
    collected(project, instance, a=1, b=2)
    first = tick(project, instance, "new_records")
    assert all(project.answer(instance, request) for request in first.run_requests)
    collected(project, instance, late=2)

    second = tick(project, instance, "new_records", first.cursor)

    assert asked(second) == [days(4, 0)]
    assert {r.run_key for r in second.run_requests}.isdisjoint({r.run_key for r in first.run_requests})
    assert project.answer(instance, second.run_requests[0])
    assert project.counts()[ago(2)] == 2


def test_what_a_terminal_has_made_already_is_not_asked(project, instance):
    collected(project, instance, a=1, b=2)
    assert project.execute(instance, "tables", span(4, 0))

    assert not tick(project, instance, "new_records").run_requests


def test_a_day_that_is_being_made_waits_and_is_not_forgotten(project, instance):
    collected(project, instance, a=2, b=11)
    # Only a daemon can queue a run: Dagster wants to know the code location that it came from.
    for status in (status for status in UNFINISHED if status != dg.DagsterRunStatus.QUEUED):
        run = begin(project, instance, span(4, 2), status)
        first = tick(project, instance, "new_records")
        assert asked(first) == [days(13, 9), days(1, 0)], status
        instance.report_run_canceled(run)
    run = begin(project, instance, span(4, 2))
    assert all(project.answer(instance, request) for request in first.run_requests)

    instance.report_run_canceled(run)
    assert asked(tick(project, instance, "new_records", first.cursor)) == [days(4, 2)]


def test_days_that_no_partition_holds_are_not_asked(project, instance):
    collected(project, instance, a=100, future=-3)
    assert not tick(project, instance, "new_records").run_requests


def test_many_scattered_days_are_joined_to_few_runs(project, instance):
    collected(project, instance, **{f"note{n}": n for n in range(1, 40, 3)})

    found = asked(tick(project, instance, "new_records"))

    assert 1 <= len(found) <= rules.MAX_RUNS
    assert {ago(n).isoformat() for n in range(1, 40, 3)} <= {day for run in found for day in run}


def test_a_source_that_was_away_for_ten_days_is_made_up_for(project, instance):
    collected(project, instance, before=12)
    assert project.execute(instance, "tables", span(20, 0))
    held_back = project.log.rename(project.log.with_suffix(".away"))
    project.execute(instance, "daily", span(10, 1))  # what ten nights do, in one go
    held_back.rename(project.log)
    collected(project, instance, **{f"late{day}": day for day in range(11, 0, -1)})

    data = tick(project, instance, "new_records")

    assert asked(data) == [days(13, 0)]
    assert project.answer(instance, data.run_requests[0])
    assert project.counts() == {ago(12): 1} | {ago(day): 1 for day in range(11, 0, -1)}


def test_a_clock_that_ran_ahead_hides_no_record_and_starts_no_run_after_another(project, instance):
    collected(project, instance, a=2)
    with project.lake() as lake:  # what was collected while the clock was a month ahead
        lake.execute("update ops.landing_chunks set collected_at = collected_at + interval 30 day")
    first = tick(project, instance, "new_records")
    assert project.answer(instance, first.run_requests[0])
    collected(project, instance, b=9)

    second = tick(project, instance, "new_records", first.cursor)

    keys = {request.run_key for request in second.run_requests}
    (new,) = [request for request in second.run_requests if ago(9) in set(days_of(request.tags))]
    # Dagster starts nothing under the key of before
    assert keys - {new.run_key} <= {request.run_key for request in first.run_requests}
    assert project.answer(instance, new)
    assert project.counts() == {ago(2): 1, ago(9): 1}


def test_a_clock_that_ran_back_makes_the_days_of_before(project, instance, monkeypatch):
    collected(project, instance, a=3)
    assert project.execute(instance, "tables", span(21, 0))
    yesterday = rules._now() - timedelta(days=1)
    monkeypatch.setattr(rules, "_now", lambda: yesterday)
    monkeypatch.setattr(rules, "_today", yesterday.date)

    for name in ("new_records", "outages"):
        assert not tick(project, instance, name).run_requests


def test_after_an_outage_it_is_collected_first(project, instance):
    project.write(a=1)
    (request,) = tick(project, instance, "outages").run_requests
    assert request.job_name == "collect"
    assert "nothing was collected" in request.tags[rules.REASON]


def test_an_outage_is_healed_by_one_ranged_run(project, instance):
    collected(project, instance, old=14)
    assert project.execute(instance, "tables", span(20, 14))
    age(project)

    first = tick(project, instance, "outages")

    assert asked(first)[0][0] == days(13, 13)[0]
    assert len(first.run_requests) == 1
    assert "missing: marts.counts, raw.names" in first.run_requests[0].tags[rules.REASON]
    assert project.answer(instance, first.run_requests[0])
    second = tick(project, instance, "outages")
    assert not second.run_requests
    assert second.skip_message == "every day is there and up to date"


def test_a_table_older_than_what_it_reads_is_made_again(project, instance):
    collected(project, instance, a=3)
    assert project.execute(instance, "tables", span(20, 0))
    job = project.defs.resolve_job_def("tables")
    assert job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(["raw", "names"])], tags=range_tags(span(4, 3))
    ).success

    age(project)

    (request,) = tick(project, instance, "outages").run_requests

    assert list(days_of(request.tags)) == [ago(4), ago(3)]
    assert request.tags[rules.REASON] == "older than a table it reads: marts.counts"


def test_days_that_are_being_made_are_left_to_who_makes_them(project, instance):
    collected(project, instance, a=3)
    age(project)
    begin(project, instance, span(20, 5))

    found = asked(tick(project, instance, "outages"))

    assert found[0][0] == days(4, 4)[0]
    begin(project, instance, span(4, 0))
    data = tick(project, instance, "outages")
    assert not data.run_requests
    assert "are being made" in data.skip_message


def test_a_poisoned_day_is_backed_off_and_its_neighbours_are_healed(project, instance, monkeypatch):
    collected(project, instance, good=5, poison=4, fine=3)
    age(project)
    # from noon on, for this clock and for the ends of runs: no day ends meanwhile, whatever the hour
    clock = datetime.combine(TODAY, time(12)) + rules.GRACE + timedelta(minutes=1)
    ahead = datetime.combine(TODAY, time(12)) - rules._now()
    ended_at = rules._from_epoch
    monkeypatch.setattr(rules, "_now", lambda: clock)
    monkeypatch.setattr(rules, "_from_epoch", lambda seconds: ended_at(seconds) + ahead)
    monkeypatch.setattr(rules, "COLLECTED_LATELY", timedelta(days=1))
    widths = []
    for _ in range(5):
        requests = tick(project, instance, "outages").run_requests or []
        widths.append(max((len(list(days_of(request.tags))) for request in requests), default=0))
        for request in requests:
            project.answer(instance, request)
        clock += timedelta(minutes=30)

    assert widths == [20, 7, 1, 1, 0]
    assert project.counts() == {ago(5): 1, ago(3): 1}
    with project.lake() as lake:
        made = {
            day
            for (day,) in lake.rows(
                "select unnest(generate_series(window_start, window_end - 1, interval 1 day))::date "
                "from ops.etl_runs where asset = 'raw.names'"
            )
        }
    assert ago(4) not in made
    assert {ago(n) for n in range(1, 21) if n != 4} <= made


def test_a_failed_day_says_when_it_is_tried_again(project, instance):
    collected(project, instance, poison=0)
    assert project.execute(instance, "tables", span(20, 1))
    run = instance.create_run_for_job(
        project.defs.resolve_job_def("tables"), tags=range_tags(span(0, 0)) | {rules.ASKED_BY: rules.OUTAGES}
    )
    instance.report_run_failed(run)
    age(project)

    data = tick(project, instance, "outages")

    assert not data.run_requests
    assert f"first {TODAY}, tried 1 times, again at" in data.skip_message
