"""Runs on several machines: each is one task of a Celery worker.

Belongs here: noticing that a worker is gone. Does not: which runs there are, or who asks for them.
A run stays one process that shares one connection to the lake among its steps (docs/adr/0013).
"""

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

ANSWER_WITHIN_SECONDS = 10


class WatchfulCeleryRunLauncher(CeleryRunLauncher):
    """`CeleryRunLauncher` that asks the worker whether it still has the run. Configured in `dagster.yaml`.

    A worker that was killed leaves its task as started for good, and its run would claim its days until it is given up
    for taking too long.
    """

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Called by Dagster's monitoring for each run in progress."""
        known = super().check_run_worker_health(run)
        if known.status is not WorkerStatus.RUNNING:
            return known
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        started = self.celery.AsyncResult(task_id).info
        if not isinstance(started, dict):
            return known  # it ended meanwhile
        worker = started["hostname"]
        answer = self.celery.control.inspect([worker], timeout=ANSWER_WITHIN_SECONDS).active() or {}
        if any(task["id"] == task_id for task in answer.get(worker, [])):
            return known
        return CheckRunHealthResult(WorkerStatus.FAILED, f"Celery worker {worker} no longer has the run.")
