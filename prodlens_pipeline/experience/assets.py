"""Answers to surveys as assets: landing them, and `survey.answers`."""

import dagster as dg

from prodlens_pipeline.experience.answers import ANSWERS, SOURCE, answer_query
from prodlens_pipeline.experience.collect import collect_answers
from prodlens_pipeline.landing.assets import landing_asset
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.assets import table_asset
from prodlens_pipeline.warehouse.lake import Lake, Query
from prodlens_pipeline.warehouse.windows import Window


def experience_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """All assets of this room."""

    def compute(lake: Lake, window: Window | None) -> Query:
        del window
        return answer_query(lake, settings.landing, settings.survey)

    return [
        landing_asset(
            SOURCE,
            lambda lake: collect_answers(lake, settings),
            description="Answers of developers to surveys, landed.",
            kinds={"csv", "json"},
            owner="team:experience",
        ),
        table_asset(
            ANSWERS,
            compute,
            group="survey",
            kinds={"ducklake"},
            partitions=None,
            deps=[dg.AssetKey(["landing", SOURCE])],
            code_version="1",
            tags={"layer": "raw"},
        ),
    ]
