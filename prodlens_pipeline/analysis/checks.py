"""Are the analyses worth reading? Asset checks that warn, and never hold anything up.

Belongs here: what Dagster shows beside the tables of this room. Does not: the promises of a table (its contract), sums
across tables (`automation/checks`).
"""

import dagster as dg
import scipy

from prodlens_pipeline.analysis.associations import LOW_SAMPLE_PAIRS
from prodlens_pipeline.analysis.coverage import WEIGHTY, WELL_COVERED, coverage
from prodlens_pipeline.analysis.daily import covered_window
from prodlens_pipeline.warehouse.assets import POOL, asset_key
from prodlens_pipeline.warehouse.resource import Warehouse

SHAPE, DAYS, TEAMS, SEED = "weekly rhythm, AR 0.8", 60, 20, 1
"""The simulated teams without an effect that the installed statistics are tried on."""
IMPLAUSIBLE = 0.001
"""More false claims than chance brings about this rarely are a fault."""


def analysis_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of this room, each after the table that it is about."""
    return [enough_sample, enough_coverage, calibrated]


@dg.asset_check(
    asset=asset_key("analysis.associations"),
    description=f"Use and delivery of the same day are known on {LOW_SAMPLE_PAIRS} working days or more.",
    pool=POOL,
)
def enough_sample(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Passes on an empty table, which claims nothing."""
    fewest, pairs = warehouse.lake.rows("select min(n), count(*) from analysis.associations where lag = 0")[0]
    return _warning(passed=not pairs or fewest >= LOW_SAMPLE_PAIRS, fewest_pairs_of_days=fewest or 0, pairs=pairs)


@dg.asset_check(
    asset=asset_key("analysis.scorecard"),
    description=f"Of sessions, calls and commits, {WELL_COVERED:.0%} or more are known well enough to count.",
    pool=POOL,
)
def enough_coverage(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Of the coverage that headlines rest on; what there is none of covers nothing."""
    with warehouse.lake.reading():
        window = covered_window(warehouse.lake)
        found = coverage(warehouse.lake, window) if window else ()
    shares = {one.title: one.share for one in found if one.title in WEIGHTY and one.share is not None}
    return _warning(passed=all(share >= WELL_COVERED for share in shares.values()), **shares)


@dg.asset_check(
    asset=asset_key("analysis.associations"),
    description=(
        f"Of {TEAMS} simulated teams without an effect, no more get a claim than 5% would explain: the statistics err "
        "on this machine, with these libraries, as seldom as where they were calibrated."
    ),
)
def calibrated() -> dg.AssetCheckResult:
    """A smoke test: `python -m prodlens_pipeline.simulation.calibrate` prints the whole table."""
    from prodlens_pipeline.simulation.calibrate import false_claims

    found = false_claims(SHAPE, DAYS, TEAMS, SEED)
    claims = round(found.reported * TEAMS)
    chance = float(scipy.stats.binom.sf(claims - 1, TEAMS, 0.05))
    return _warning(
        passed=chance >= IMPLAUSIBLE, false_claims=found.reported, false_claims_of_plain_pearson=found.plain
    )


def _warning(*, passed: bool, **figures: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=figures)
