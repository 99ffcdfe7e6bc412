"""Whether the process of a run is still there: it holds a lock on a file, which the system lets go when it dies.

Belongs here: taking the lock and finding those that nobody holds. Does not: what becomes of such a run
(`automation/claims.py`). The files lie in Dagster's home, which processes on other machines do not share: of theirs
nothing is said.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_SUFFIX = ".lock"
_ended: list[FileLock] = []
"""Of runs of this process that are over. Whether their end was recorded is not known yet: a full disk may forbid it."""


@contextmanager
def held(home: Path, run_id: str) -> Iterator[None]:
    """The run has a process: while inside, and then until the process ends or makes another run.

    A process may enter several times.
    """
    while _ended:
        _ended.pop().release()
    folder = home / "running"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{run_id}{_SUFFIX}", is_singleton=True)
    lock.acquire()
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            _ended.append(lock)
        else:
            lock.release()


def abandoned(home: Path) -> Iterator[str]:
    """The runs whose process is gone, recorded as ended or not; each is told until who asked goes on to the next."""
    for path in sorted((home / "running").glob(f"*{_SUFFIX}")):
        lock = FileLock(path)
        try:
            with lock.acquire(timeout=0):
                yield path.name.removesuffix(_SUFFIX)
                path.unlink(missing_ok=True)
        except Timeout:
            continue
