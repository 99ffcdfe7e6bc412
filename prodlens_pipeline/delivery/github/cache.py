"""Answers of GitHub with their ETags, so that asking again for what did not change costs no quota.

Belongs here: the store in `cache.db`. Does not: what an answer means. Only what the contracts keep is stored.
"""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

_FORM = 2
"""Of what is stored, and of what the contracts keep: a file of another form is begun anew."""
_KEPT_SECONDS = 90 * 24 * 3600
"""An answer that was not asked for in so long is forgotten: it costs one request to have it again."""


@dataclass(frozen=True)
class Stored:
    """An answer: its ETag, what was kept of its body, and the query of the page that followed, if one did."""

    etag: str
    body: bytes
    following: dict[str, str] | None


class ResponseCache:
    """The store; lost without harm, since every answer can be had again. Without a path it lasts as long as itself."""

    def __init__(self, path: Path | None = None) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path or ":memory:", timeout=30, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        if self._connection.execute("pragma user_version").fetchone() != (_FORM,):
            self._connection.execute("drop table if exists responses")
            self._connection.execute(f"pragma user_version = {_FORM}")
        self._connection.execute(
            "create table if not exists responses "
            "(url text primary key, etag text, body blob, following blob, used_at integer)"
        )
        self._connection.execute("delete from responses where used_at < ?", (int(time.time()) - _KEPT_SECONDS,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, url: str) -> Stored | None:
        """The last answer to `url`."""
        row = self._connection.execute("select etag, body, following from responses where url = ?", (url,)).fetchone()
        return Stored(row[0], row[1], orjson.loads(row[2])) if row else None

    def keep(self, url: str, answer: Stored) -> None:
        """Store the newest answer to `url`."""
        self._connection.execute(
            "insert or replace into responses values (?, ?, ?, ?, ?)",
            (url, answer.etag, answer.body, orjson.dumps(answer.following), int(time.time())),
        )

    def forget(self, url: str) -> None:
        """Drop the answer to `url`."""
        self._connection.execute("delete from responses where url = ?", (url,))
