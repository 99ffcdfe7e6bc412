"""Where the lakes of tests live: beside each project (SQLite and a folder), or on servers (PostgreSQL and S3).

Belongs here: the one place that says so. `pytest --warehouse cluster` makes this module a plugin, which starts the
servers. Does not: the servers themselves (`servers.py`), nor tests of what only one of the two can do.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from prodlens_pipeline.settings import CONFIG_NAME, WarehouseSettings
from prodlens_pipeline.warehouse.errors import NoWarehouseYetError
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.servers import PostgreSQL, postgresql_server, s3_server

KEYS = {"AWS_ACCESS_KEY_ID": "lens", "AWS_SECRET_ACCESS_KEY": "it's/a+secret"}
"""What every S3 server of tests takes, as the environment holds it."""
BUCKET = "team"


@dataclass
class _Servers:
    """Running servers, and which database is whose."""

    postgresql: PostgreSQL
    made: dict[Path, WarehouseSettings] = field(default_factory=dict)

    def warehouse_of(self, home: Path) -> WarehouseSettings:
        if home not in self.made:
            data = f"s3://{BUCKET}/{uuid4().hex}"
            self.made[home] = WarehouseSettings(catalog=self.postgresql.create(), data=data)
        return self.made[home]

    def drop_below(self, folder: Path) -> None:
        for home in [home for home in self.made if home.is_relative_to(folder)]:
            self.postgresql.drop(self.made.pop(home).catalog)


_running: list[_Servers] = []


def warehouse_of(home: Path) -> WarehouseSettings:
    """The setting `warehouse` of the project that keeps its state in `home`; the same each time it is asked for."""
    return _running[0].warehouse_of(home) if _running else WarehouseSettings()


def location_of(home: Path) -> Location:
    """Where the lake of that project lives."""
    made = warehouse_of(home)
    return Location.at(home, made.catalog, made.data or str(home / "lake"))


def write_config(folder: Path, text: str = "", home: Path | None = None) -> Path:
    """Write `prodlens.yaml` of the project in `folder`, which keeps its state in `home` (default `.prod-lens`)."""
    path = folder / CONFIG_NAME
    path.write_text(text)
    return on_place(path, home)


def on_place(config: Path, home: Path | None = None) -> Path:
    """Let the project of an existing `prodlens.yaml`, which says nothing of a warehouse, have its lake where it is."""
    made = warehouse_of(home or config.parent / ".prod-lens").model_dump(exclude_defaults=True)
    if made:
        with config.open("a") as file:
            file.write("\n" + yaml.safe_dump({"warehouse": made}))
    return config


def bring_home(home: Path) -> None:
    """Copy what the servers keep of a project into its home, for tests that look at everything that is kept."""
    copy = home / "servers"
    shutil.rmtree(copy, ignore_errors=True)
    if not _running:
        return
    location = location_of(home)
    try:
        with open_lake(location, read_only=True) as lake:
            objects = lake.rows("select filename, content from read_blob($all)", {"all": f"{location.data}/**"})
    except NoWarehouseYetError:
        return
    for name, content in objects:
        path = copy / "lake" / str(name).removeprefix(f"{location.data}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (copy / "catalog.sql").write_bytes(_running[0].postgresql.dump(location.catalog))


@contextmanager
def temporary_location() -> Iterator[Location]:
    """A place on the servers that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="prodlens-lake-") as home:
        try:
            yield location_of(Path(home))
        finally:
            _running[0].drop_below(Path(home))


def is_cluster() -> bool:
    """Whether the lakes of this session are on servers."""
    return bool(_running)


def hand_over_keys(patch: pytest.MonkeyPatch, store: str) -> None:
    """Put what an S3 server of tests asks for into the environment."""
    for variable, value in (KEYS | {"AWS_ENDPOINT_URL_S3": store}).items():
        patch.setenv(variable, value)
    for variable in ("AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        patch.delenv(variable, raising=False)


# --- the plugin ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def servers() -> Iterator[None]:
    """One PostgreSQL and one S3 server for all tests of this process; that there is none is a failure here."""
    try:
        with pytest.MonkeyPatch.context() as patch, postgresql_server() as postgresql, s3_server(BUCKET) as store:
            hand_over_keys(patch, store)
            _running.append(_Servers(postgresql))
            yield
            _running.clear()
    except pytest.skip.Exception as missing:
        pytest.fail(f"--warehouse cluster: {missing}")


@pytest.fixture(autouse=True)
def lakes_of_one_test(tmp_path: Path) -> Iterator[None]:
    """A database takes 8 MB: those of a test go with it."""
    yield
    _running[0].drop_below(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is about the embedded catalog."""
    for item in items:
        if marker := item.get_closest_marker("embedded"):
            item.add_marker(pytest.mark.skip(reason=f"embedded only: {marker.args[0]}"))
