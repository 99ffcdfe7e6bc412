"""Work that takes long, in several processes: Python runs on one processor only.

Belongs here: starting processes and ending with whoever started them. Does not: what they do.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

MOST = 8
"""Each holds some 150 MiB."""
_OBJECTS = 50_000
"""So many new ones before Python looks for cycles among them. With its 700 that takes a sixth of the time: a line is
thousands of objects that are soon let go."""
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def in_processes(work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> Iterator[_Result]:
    """What `work` makes of each part, in their order.

    Processes are started anew rather than forked: a fork would copy the locks that other threads hold.
    """
    processes = min(os.cpu_count() or 1, MOST, len(parts))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin) as pool:
        yield from pool.map(work, parts)


def _begin() -> None:
    """Who is killed cannot end its workers, and they would wait for work for ever. Ctrl+C is the parent's to handle."""
    gc.set_threshold(_OBJECTS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
