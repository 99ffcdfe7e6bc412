"""What the comparison of developers with themselves and with each other found: the strongest design of a report.

Belongs here: reading the panel of exactly the report's window, and which of its rows lead. Does not: computing it
(`analysis.panel_associations` takes longer than anybody waits for a report), its wording.
"""

from collections.abc import Container
from dataclasses import dataclass

import polars as pl

from prodlens_pipeline.analysis.daily import DRIVERS, OUTCOMES
from prodlens_pipeline.analysis.readings import SIGNIFICANT, Status
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

TABLE = "analysis.panel_associations"


@dataclass(frozen=True)
class Panel:
    """`rows` have the columns of the table, one per driver, outcome and lag."""

    rows: pl.DataFrame

    @property
    def tested(self) -> pl.DataFrame:
        """The claims that could be tested: no placebos."""
        return self.rows.filter(~pl.col("is_placebo") & pl.col("p_value").is_not_null())

    @property
    def pairs(self) -> pl.DataFrame:
        """One row per driver and outcome, its claim with the smallest p; those that may be claimed first.

        In the order of `DRIVERS` and `OUTCOMES`, fixed beforehand: what leads is not what chance made largest.
        """
        possible = self.rows.filter(~pl.col("is_placebo")).sort("p_value", nulls_last=True, maintain_order=True)
        order = [~claimed(), pl.col("driver").cast(pl.Enum(DRIVERS)), pl.col("outcome").cast(pl.Enum(OUTCOMES))]
        return possible.unique(["driver", "outcome"], keep="first", maintain_order=True).sort(order)

    @property
    def claims(self) -> pl.DataFrame:
        """The pairs that may be claimed: significant, and not withheld."""
        return self.pairs.filter(claimed())

    @property
    def withheld(self) -> int:
        """How many pairs a check refutes."""
        return self.pairs.filter(pl.col("status") == Status.WITHHELD).height


def claimed() -> pl.Expr:
    """Whether a row is significant and not withheld; never NULL."""
    return ((pl.col("q_value") < SIGNIFICANT) & (pl.col("status") != Status.WITHHELD)).fill_null(value=False)


def panel(lake: Lake, window: Window, tables: Container[str]) -> Panel | None:
    """The panel of exactly this window; None where it was made for another one, or there are too few developers."""
    if TABLE not in tables:
        return None
    rows = lake.frame(
        f"select * from {TABLE} where window_start = $first and window_end = $last order by driver, outcome, lag",
        {"first": window.days[0], "last": window.days[-1]},
    )
    found = Panel(rows)
    return found if found.tested.height else None
