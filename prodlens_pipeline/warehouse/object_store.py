"""Access to an S3-compatible store, for one connection.

Belongs here: reading credentials from the environment and handing them to DuckDB. Does not: which data lies where
(`opening.py`). Credentials live in the connection's memory only: they are never part of a statement's text, of an
error, or of a file.
"""

import os
from urllib.parse import urlsplit

import duckdb

from prodlens_pipeline.warehouse.errors import WarehouseError


def allow_bucket(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    """Let `connection`, which has `httpfs`, read and write below `url` with the credentials of the environment.

    Another endpoint than Amazon's is told by `AWS_ENDPOINT_URL_S3` (or `AWS_ENDPOINT_URL`); its buckets are addressed
    by path.

    Raises:
        WarehouseError: the environment lacks credentials or a region, or its endpoint is no URL.
    """
    given: dict[str, str | bool] = {
        "scope": f"{url}/",
        "key_id": _required("AWS_ACCESS_KEY_ID", url),
        "secret": _required("AWS_SECRET_ACCESS_KEY", url),
    }
    if token := os.environ.get("AWS_SESSION_TOKEN"):
        given["session_token"] = token
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        given |= _own_endpoint(endpoint)
    if region := os.environ.get("AWS_REGION"):
        given["region"] = region
    elif not endpoint:
        _required("AWS_REGION", url)
    options = ", ".join(f"{name} ${name}" for name in given)
    connection.execute(f"create temporary secret object_store (type s3, {options})", given)


def _required(variable: str, url: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise WarehouseError(f"warehouse.data is {url}, but {variable} is not set in the environment")
    return value


def _own_endpoint(url: str) -> dict[str, str | bool]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.path.strip("/"):
        raise WarehouseError(
            "AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) must be http(s)://host[:port], without credentials or a path"
        )
    return {"endpoint": parts.netloc, "use_ssl": parts.scheme == "https", "url_style": "path"}
