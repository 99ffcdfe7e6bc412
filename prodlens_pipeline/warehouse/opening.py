"""Opening a lake: where it lives, and a DuckDB connection that has it attached.

Belongs here: extensions, catalogs, attaching. Does not: what is done with an open lake (`lake.py`), credentials of
object stores (`object_store.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import duckdb
from filelock import FileLock
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random

from prodlens_pipeline.settings import BUCKET, Settings
from prodlens_pipeline.warehouse.errors import NoWarehouseYetError, WarehouseError
from prodlens_pipeline.warehouse.lake import LAKE, Lake
from prodlens_pipeline.warehouse.object_store import allow_bucket


@dataclass(frozen=True)
class Location:
    """Where a lake lives: its home folder, its catalog (`sqlite` or a PostgreSQL URL) and its data.

    `data` is a folder, or the `s3://` URL of a place in a bucket.
    """

    home: Path
    catalog: str
    data: Path | str

    @classmethod
    def of(cls, settings: Settings) -> "Location":
        """The lake of a project."""
        data = settings.warehouse.data or str(settings.home / "lake")
        place = data if data.startswith(BUCKET) else str(settings.resolve(data))
        return cls.at(settings.home, settings.warehouse.catalog, place)

    @classmethod
    def at(cls, home: Path, catalog: str, data: str) -> "Location":
        """The same with `data` as text: an `s3://` URL or an absolute path."""
        return cls(home, catalog, data.rstrip("/") if data.startswith(BUCKET) else Path(data))

    @property
    def folder(self) -> Path | None:
        """The folder of the data, or None where a bucket holds it."""
        return self.data if isinstance(self.data, Path) else None

    @property
    def embedded(self) -> bool:
        """Whether the catalog is a file beside the data, which takes one writer at a time."""
        return self.catalog == "sqlite"

    @property
    def catalog_file(self) -> Path:
        """The file of an embedded catalog."""
        return self.home / "catalog.sqlite"


@contextmanager
def open_lake(location: Location, *, read_only: bool = False, snapshot: int | None = None) -> Iterator[Lake]:
    """Attach the lake at `location`, creating it where it does not exist yet (unless `read_only`).

    `snapshot` reads the lake as it was then. Times are UTC; nothing is written outside the home folder.

    Raises:
        NoWarehouseYetError: there is no lake to read.
        WarehouseError: its catalog cannot be reached.
    """
    if location.embedded and read_only and not location.catalog_file.exists():
        raise NoWarehouseYetError(str(location.catalog_file))
    location.home.mkdir(parents=True, exist_ok=True)
    connection = _connect(location)
    if not read_only:
        # What is made again has the same digits, in whatever order threads would have summed. And they would wait for
        # each other over the many small questions to the catalog: a day made again takes a quarter less CPU time.
        connection.execute("set threads = 1")
    lock = FileLock(location.home / "lake.lock") if location.embedded else None
    try:
        if lock and not location.catalog_file.exists():
            with lock:
                _create_catalog(connection, location)
        _attach(connection, location, location.catalog_file, read_only, snapshot)
        yield Lake(connection, lock)
    finally:
        connection.close()


def _create_catalog(connection: duckdb.DuckDBPyConnection, location: Location) -> None:
    """Under another name first: whoever sees the catalog's file sees a whole catalog, also after a crash."""
    if location.catalog_file.exists():
        return
    unfinished = location.catalog_file.with_suffix(".creating")
    for path in location.home.glob(f"{unfinished.name}*"):
        path.unlink()
    _attach(connection, location, unfinished)
    connection.execute("use memory")
    # closes the file, so that nothing of it is left in a log beside it
    connection.execute(f"detach {LAKE}")
    unfinished.rename(location.catalog_file)


def _connect(location: Location) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "extension_directory": str(location.home / "extensions"),
            "temp_directory": str(location.home / "tmp"),
            "autoinstall_known_extensions": "false",
            # Those that somebody keeps in their own DuckDB are not for the lake.
            "secret_directory": str(location.home / "secrets"),
        }
    )
    for extension in ("ducklake", "sqlite_scanner" if location.embedded else "postgres_scanner"):
        _load_extension(connection, extension)
    if isinstance(location.data, str):
        _load_extension(connection, "httpfs")
        allow_bucket(connection, location.data)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Straight from the wheel: never from the network, and without a copy of 35 MB in every project."""
    folder = resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
    connection.execute(f"load '{_literal(str(folder / f'{name}.duckdb_extension'))}'")


def _attach(
    connection: duckdb.DuckDBPyConnection,
    location: Location,
    catalog_file: Path,
    read_only: bool = False,
    snapshot: int | None = None,
) -> None:
    catalog = f"sqlite:{catalog_file}" if location.embedded else f"postgres:{location.catalog}"
    # The catalog remembers where the data lay; a project that was moved or mounted elsewhere has it beside itself.
    options = [f"data_path '{_literal(str(location.data))}/'", "override_data_path true"]
    if location.embedded:
        options += ["meta_journal_mode 'WAL'", "meta_busy_timeout 10000"]
    if read_only:
        options.append("read_only")
    if snapshot is not None:
        options.append(f"snapshot_version {int(snapshot)}")
    try:
        _execute_attach(connection, f"attach 'ducklake:{_literal(catalog)}' as {LAKE} ({', '.join(options)})")
    except duckdb.Error as error:
        # A PostgreSQL URL may hold a user and a password before the host; DuckDB's own message repeats it.
        where = catalog.split("@")[-1]
        if "creating a new DuckLake is explicitly disabled" in str(error):
            raise NoWarehouseYetError(where) from None
        reason = str(error).replace(location.catalog, where)
        raise WarehouseError(f"{where}: the lake's catalog cannot be attached: {reason}") from None
    connection.execute(f"use {LAKE}")


def _is_being_created(error: BaseException) -> bool:
    return isinstance(error, duckdb.Error) and "already exists" in str(error) and "ducklake_" in str(error)


@retry(
    retry=retry_if_exception(_is_being_created), stop=stop_after_attempt(5), wait=wait_random(0.1, 0.5), reraise=True
)
def _execute_attach(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Of processes that create a catalog on PostgreSQL at once, all but one fail, and find it a moment later."""
    connection.execute(statement)


def _literal(text: str) -> str:
    return text.replace("'", "''")
