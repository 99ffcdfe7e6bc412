"""The lake as a Dagster resource: one connection for all the steps of a run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.config_history import record_configuration
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import Lake, Stamp
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.retired import RetiredDays
from prodlens_pipeline.warehouse.run_locks import held
from prodlens_pipeline.warehouse.stretches import Stretches


@dataclass(frozen=True)
class _Run:
    """What the steps of a run share."""

    lake: Lake
    retired: RetiredDays
    stretches: Stretches


class Warehouse(DuckDBResource):
    """A `DuckDBResource` whose connection has the project's DuckLake attached and in use."""

    database: str = ":memory:"
    home: str
    catalog: str
    data: str
    config_hash: str
    config_digests: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    contracts: dg.ResourceDependency[Sequence[Contract]] = ()  # type: ignore[assignment] # the descriptor takes the value itself
    """The tables that a run may write."""
    _run: _Run | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, settings: Settings, contracts: Sequence[Contract] = ()) -> "Warehouse":
        """The warehouse of a project, with the tables that its assets write."""
        location = Location.of(settings)
        return cls(
            home=str(location.home),
            catalog=location.catalog,
            data=str(location.data),
            config_hash=settings.config_hash,
            config_digests=dict(settings.config_digests),
            contracts=contracts,
        )

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Warehouse"]:
        """Open the lake when a run starts, bring it up to date, close it when the run ends."""
        with ExitStack() as opened:
            if context.instance and context.run:
                opened.enter_context(held(Path(context.instance.root_directory), context.run.run_id))
            lake = opened.enter_context(open_lake(Location.at(Path(self.home), self.catalog, self.data)))
            migrate(lake)
            if self.contracts:
                lake.prepare(self.contracts)
            record_configuration(
                lake, self.config_hash, self.config_digests, context.run.run_id if context.run else None
            )
            self._run = _Run(lake, RetiredDays(lake), Stretches(lake))
            yield self
        self._run = None

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The run's DuckDB connection."""
        yield self.lake.connection

    @property
    def lake(self) -> Lake:
        """The run's lake.

        Raises:
            RuntimeError: outside of a run.
        """
        return self._of_run.lake

    @property
    def retired(self) -> RetiredDays:
        """The days whose inputs are gone, as of the start of the run.

        Raises:
            RuntimeError: outside of a run.
        """
        return self._of_run.retired

    @property
    def stretches(self) -> Stretches:
        """How much is made at once.

        Raises:
            RuntimeError: outside of a run.
        """
        return self._of_run.stretches

    @property
    def _of_run(self) -> _Run:
        if self._run is None:
            raise RuntimeError("the warehouse is open only while Dagster runs a step; elsewhere use open_lake()")
        return self._run

    def stamp(self, context: dg.AssetExecutionContext, code_version: str) -> Stamp:
        """Who writes, for `ops.etl_runs`."""
        return Stamp(context.run.run_id, self.config_hash, code_version, dg.__version__)
