"""The tables that the whole history of a repository makes, or its newest state, each after those it reads.

Belongs here: their list. Does not: any of them.
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from prodlens_pipeline.delivery.clones import CLONES, clone_rows, clone_states
from prodlens_pipeline.delivery.codebase import CODEBASE, codebase_rows
from prodlens_pipeline.delivery.graph import GRAPH, graph_rows
from prodlens_pipeline.delivery.line_history import LINE_HISTORY, line_history_rows
from prodlens_pipeline.delivery.rework import REWORK, rework_query
from prodlens_pipeline.delivery.survival import SURVIVAL, survival_query
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import Lake, Query

Rows = Callable[[Lake, Path], Query | pl.DataFrame]

GIT_TABLES: tuple[tuple[Contract, Rows, tuple[Contract, ...]], ...] = (
    (CLONES, lambda lake, landing: clone_rows(lake), ()),  # noqa: ARG005
    (CODEBASE, lambda lake, landing: codebase_rows(lake), ()),  # noqa: ARG005
    (GRAPH, lambda lake, landing: graph_rows(lake, landing, clone_states(lake)), ()),
    (LINE_HISTORY, line_history_rows, ()),
    (REWORK, lambda lake, landing: rework_query(), (GRAPH, LINE_HISTORY)),  # noqa: ARG005
    (SURVIVAL, lambda lake, landing: survival_query(), (GRAPH, LINE_HISTORY)),  # noqa: ARG005
)
"""Contract, what makes its rows from the landing zone, and the other tables of this list that it reads."""
