"""All rooms as one Dagster code location.

Belongs here: putting the rooms together for a project's settings. Does not: anything a room can say itself.
"""

from collections.abc import Iterable

import dagster as dg

from prodlens_pipeline.analysis.assets import analysis_assets
from prodlens_pipeline.analysis.checks import analysis_checks
from prodlens_pipeline.analysis.experience_assets import survey_assets
from prodlens_pipeline.automation.alerts import alert_sensors
from prodlens_pipeline.automation.checks import cross_checks
from prodlens_pipeline.automation.freshness import with_freshness
from prodlens_pipeline.automation.jobs import JOBS
from prodlens_pipeline.automation.schedules import SCHEDULES
from prodlens_pipeline.automation.sensors import sensors
from prodlens_pipeline.automation.upkeep import maintenance_job, nightly_maintenance
from prodlens_pipeline.delivery.assets import delivery_assets
from prodlens_pipeline.delivery.commits import RAW as RAW_COMMITS
from prodlens_pipeline.delivery.git_tables import GIT_TABLES
from prodlens_pipeline.delivery.github.tables import TABLES as GITHUB_TABLES
from prodlens_pipeline.experience.answers import ANSWERS
from prodlens_pipeline.experience.assets import experience_assets
from prodlens_pipeline.landing.assets import config_assets
from prodlens_pipeline.landing.config import TABLES as CONFIG_TABLES
from prodlens_pipeline.partitions import daily_partitions
from prodlens_pipeline.settings import Settings, load_settings
from prodlens_pipeline.traces.assets import SHAPES, trace_assets
from prodlens_pipeline.traces.prices import PRICES
from prodlens_pipeline.traces.spans import RAW as SPANS
from prodlens_pipeline.warehouse.assets import sql_model_assets, stored_tables
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.models import load_models
from prodlens_pipeline.warehouse.resource import Warehouse

MODELS_CACHE = "models.json"
"""In the project's home: what the selects of the models read."""


def python_contracts() -> Iterable[Contract]:
    """The tables that Python assets make and SQL models may read."""
    tables = (*CONFIG_TABLES, *GITHUB_TABLES)
    history = [contract for contract, _, _ in GIT_TABLES]
    return [*(contract for contract, _ in tables), *SHAPES, SPANS, RAW_COMMITS, *history, PRICES, ANSWERS]


def build_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Every asset of every room, for one project."""
    partitions = daily_partitions(settings.start_date)
    return [
        *config_assets(settings),
        *trace_assets(settings, partitions),
        *delivery_assets(settings, partitions),
        *experience_assets(settings),
        *sql_model_assets(load_models(python_contracts(), cache=settings.home / MODELS_CACHE), partitions),
        *analysis_assets(settings),
        *survey_assets(),
    ]


def build_defs(settings: Settings) -> dg.Definitions:
    """The code location of one project."""
    assets = with_freshness(build_assets(settings))
    maintenance = maintenance_job(settings)
    return dg.Definitions(
        assets=assets,
        asset_checks=[*cross_checks(), *analysis_checks()],
        jobs=[*JOBS, maintenance],
        schedules=[*SCHEDULES, nightly_maintenance(maintenance)],
        sensors=[*sensors(settings, assets), *alert_sensors(assets)],
        resources={"warehouse": Warehouse.of(settings, stored_tables(assets))},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` and the daemon load: the project that `PRODLENS_CONFIG` or the working directory names."""
    return build_defs(load_settings())
