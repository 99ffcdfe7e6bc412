"""The code location of a project whose sensors wait for seconds where they would wait for minutes."""

from datetime import timedelta

import dagster as dg

from prodlens_pipeline.automation import sensors
from prodlens_pipeline.definitions import build_defs
from prodlens_pipeline.settings import load_settings

sensors.NEW_RECORDS_EVERY_SECONDS = 10
sensors.OUTAGES_EVERY_SECONDS = 15
sensors.GRACE = timedelta(seconds=40)
sensors.FIRST_WAIT = timedelta(seconds=5)


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs(load_settings())
