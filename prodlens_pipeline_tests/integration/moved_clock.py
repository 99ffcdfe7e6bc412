"""A clock that a test moves in several processes at once, as if the machine's own were moved.

Belongs here: reading how far it is moved, and following. Does not: what happens meanwhile.
libfaketime cannot do this: it breaks `time.sleep` of Python 3.11 and later. What asks the operating system past Python
(the time of change of a file, `now()` of a database) still gets the true time; so must gRPC, which hands deadlines on.
"""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import time_machine
from grpc import _channel, _common, _server, _utilities

OFFSET_FILE = "MOVED_CLOCK_OFFSET_FILE"
LOOK_EVERY_SECONDS = 0.2


class MovedClock:
    """Moves the clock of every process that `environment` is given to. Its own process keeps the true time."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._file = folder / "clock-offset"
        (folder / "sitecustomize.py").write_text(f"from {__name__} import follow\n\nfollow()\n")
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {OFFSET_FILE: str(self._file), "PYTHONPATH": os.pathsep.join(paths)}
        self.move_to(now)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def move_to(self, now: datetime) -> None:
        self._offset = now - datetime.now(UTC)
        written = self._file.with_suffix(".new")
        written.write_text(repr(self._offset.total_seconds()))
        written.replace(self._file)


def follow() -> None:
    """Keep to the clock that the environment names; it goes on at its usual pace between moves."""
    file = Path(os.environ[OFFSET_FILE])
    offset = float(file.read_text())
    true_time = SimpleNamespace(**{**vars(time), "time": time_machine.escape_hatch.time.time})
    for module in (_channel, _common, _server, _utilities):
        module.time = true_time
    clock = time_machine.travel(datetime.now(UTC) + timedelta(seconds=offset), tick=True).start()

    def look() -> None:
        known = offset
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            told = float(file.read_text())
            if told != known:
                clock.shift(told - known)
                known = told

    threading.Thread(target=look, name="moved clock", daemon=True).start()
