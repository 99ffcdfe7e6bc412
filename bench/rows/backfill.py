"""Row 3: backfill a team's days."""

from pathlib import Path

from bench import inputs
from bench.measure import Contender, interleaved, python, ratio
from bench.sizes import Size
from bench.table import Result, Target, compared, samples

_MODULE = "contenders.backfill"


def measure(size: Size, work: Path) -> Result:
    """Ours in one range, one run per partition, and the stock IO manager."""
    days = size.backfill_days
    team = inputs.team(work / f"team-{days}", days=days)
    measured = interleaved(contenders(team, work / "home", size), size.repeats)
    ours, singles = measured[:2]
    assets = {one.contender.name: str(one.figures["assets"]) for one in measured}
    each = {one.contender.name: f"{1000 * one.seconds / one.figures['assets'] / days:.1f}" for one in measured}
    about = (
        f"Eight developers, {days} days, {inputs.bytes_of(team) / inputs.MIB:,.0f} MiB of logs, transcripts and "
        f"repositories that were landed before the clock starts; {size.repeats} interleaved repeats. CPU time and "
        "memory are those of the whole program, landing included."
    )
    ahead = ratio(singles, ours)[0]
    cost = 1000 * ours.seconds / ours.figures["assets"] / days
    return Result(
        3,
        f"Backfill {days} days",
        [compared("All tables of all days", measured, about, {"daily assets": assets, "ms per asset and day": each})],
        [
            Target(
                "365-day backfill at least 20x over one run per partition",
                f"{ahead:.0f}x on {days} days",
                ahead >= 20,
                "The advantage grows with the days: the start of a run is paid once, and what remains are Dagster's "
                "event records for every asset and day.",
            ),
            Target(
                "under 25 ms per asset and day in all",
                f"{cost:.1f} ms on {days} days",
                cost < 25,
                "The tables that are made as a whole, and the start of each step, weigh more in fewer days.",
            ),
            Target("backfill: peak memory under 1.5 GiB", f"{ours.peak_mib:,.0f} MiB", ours.peak_mib < 1536),
        ],
        [
            "One run per partition runs in one process here, which favours it: `dagster backfill` starts a process for "
            "each.",
            "The stock IO manager gets the same selects and returns frames; it checks nothing, deletes and inserts in "
            "two transactions, and keeps no record of a write. dbt-duckdb is not here: these models are not dbt's, and "
            "a translation would measure the translator.",
        ],
        samples(measured),
    )


def contenders(team: Path, home: Path, size: Size) -> list[Contender]:
    """The first is ours in one range, the second one run per partition."""
    days = size.backfill_days
    return [
        Contender("prodlens: one range", _command("range", team, home, days), timed="work_s"),
        Contender(
            "prodlens: one run per partition",
            _command("singles", team, home, size.single_days),
            share=size.single_days / days,
            timed="work_s",
            note=f"made {size.single_days} of {days} days; time scaled, memory as it was",
        ),
        Contender(
            "stock IO manager: one range",
            _command("stock", team, home, days),
            timed="work_s",
            note="plain .duckdb file, no checks",
        ),
    ]


def _command(way: str, team: Path, home: Path, days: int) -> list[str]:
    return python(_MODULE, way, team, home, str(days))
