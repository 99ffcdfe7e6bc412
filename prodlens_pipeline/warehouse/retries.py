"""Trying a step again: what may pass is tried again after a while, what is wrong stays wrong.

Belongs here: which errors may pass, and how long to wait. Does not: the attempts that a room makes itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
import requests

MAX_RETRIES = 2
FIRST_WAIT_SECONDS = 5
PASSING = (
    ConnectionError,
    TimeoutError,
    requests.ConnectionError,
    requests.Timeout,
    duckdb.HTTPException,
    duckdb.ConnectionException,
)
"""The network, an object store or a catalog that is away. A full disk or a broken file does not pass by waiting."""


_SERVER_ERRORS = (duckdb.IOException, duckdb.TransactionException)
_AWAY = (" error for HTTP ", "Failed to execute query", "Unable to connect to Postgres")
"""What DuckDB says, in errors of other kinds too, when a store or a PostgreSQL catalog does not answer."""


def may_pass(error: Exception) -> bool:
    """Whether waiting may help. A server that does not answer at all is an I/O error to DuckDB, as a full disk is."""
    unanswered = isinstance(error, _SERVER_ERRORS) and any(words in str(error) for words in _AWAY)
    return unanswered or isinstance(error, PASSING)


def try_again(context: dg.AssetExecutionContext) -> dg.RetryRequested:
    """What to raise so that the step is tried again: after 5 s, then after 20 s, then never."""
    wait = FIRST_WAIT_SECONDS * 4**context.retry_number
    return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait)


@contextmanager
def trying_again(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Errors that may pass ask for another attempt; all others go through."""
    try:
        yield
    except (*PASSING, *_SERVER_ERRORS) as error:
        if not may_pass(error):
            raise
        context.log.warning(f"may pass: {type(error).__name__}: {error}")
        raise try_again(context) from error
