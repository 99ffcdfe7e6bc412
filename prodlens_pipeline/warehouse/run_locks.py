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


@contextmanager
def held(home: Path, run_id: str) -> Iterator[None]:
    """While inside, the run has a process. A process may enter several times."""
    folder = home / "running"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run_id}{_SUFFIX}"
    lock = FileLock(path, is_singleton=True)
    with lock:
        yield
        if lock.lock_counter == 1:
            path.unlink(missing_ok=True)


def abandoned(home: Path) -> Iterator[str]:
    """The runs whose process died; each is told until whoever asked goes on to the next."""
    for path in sorted((home / "running").glob(f"*{_SUFFIX}")):
        lock = FileLock(path)
        try:
            with lock.acquire(timeout=0):
                yield path.name.removesuffix(_SUFFIX)
                path.unlink(missing_ok=True)
        except Timeout:
            continue
