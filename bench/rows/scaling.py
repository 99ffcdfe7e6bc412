"""Row 6: how time and memory grow with bytes, days and developers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl

from bench import inputs
from bench.measure import ROOT, Contender, Measured, interleaved, python
from bench.sizes import Size
from bench.table import Result, Table, Target

PICTURE = ROOT / "docs" / "pictures" / "scaling.svg"
_LIMIT = 1.1
_TEAM_DAYS = 7
"""So few that thousands of developers can be made at all."""


def measure(size: Size, work: Path) -> Result:
    """Three curves; the sizes of a curve take turns."""
    curves = {
        "bytes of gateway logs (MiB)": _curve(size.scale_bytes, size.scale_repeats, _bytes(work), inputs.MIB),
        "days of a team of eight": _curve(size.scale_days, size.scale_repeats, _days(work)),
        f"developers, {_TEAM_DAYS} days": _curve(size.scale_developers, size.scale_repeats, _developers(work)),
    }
    points = pl.concat(frame.with_columns(curve=pl.lit(name)) for name, frame in curves.items())
    _draw(points)
    exponents = {name: exponent(frame) for name, frame in curves.items()}
    lines = [
        [
            *(row["curve"], f"{row['size']:g}"),
            *(f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.2f}", f"{row['mib']:,.0f}"),
        ]
        for row in points.iter_rows(named=True)
    ]
    return Result(
        6,
        "Scaling",
        [
            Table(
                "Time and memory",
                ["grows with", "size", "s: median", "CPU s: median", "peak MiB"],
                lines,
                "![CPU time and memory against size](pictures/scaling.svg)\n\n"
                "Without the start of the program: from the first byte to the "
                f"calls for bytes, making all tables of all days for days and developers. {size.scale_repeats} "
                "interleaved repeats.",
            ),
            Table(
                "Exponents",
                ["grows with", "exponent of CPU time", "exponent of peak memory"],
                [[name, f"{value:.2f}", f"{exponent(curves[name], 'mib'):.2f}"] for name, value in exponents.items()],
                "Slope of a straight line through the logarithms; 1 is linear, below 1 a fixed cost weighs.",
            ),
        ],
        [
            Target(f"{name}: exponent at most {_LIMIT}", f"{value:.2f}", value <= _LIMIT)
            for name, value in exponents.items()
        ]
        + [_memory(curves)],
        [],
        {"points": points.to_dicts(), "exponents": exponents},
    )


def exponent(points: pl.DataFrame, of: str = "cpu_seconds") -> float:
    """The slope of log CPU seconds, which a busy machine distorts least, over log size."""
    slope, _ = np.polyfit(np.log(points["size"].to_numpy()), np.log(points[of].to_numpy()), 1)
    return float(slope)


def _memory(curves: Mapping[str, pl.DataFrame]) -> Target:
    most = max(float(frame["mib"].max()) for frame in curves.values())
    return Target(
        "peak memory under 1.5 GiB at every size",
        f"{most:,.0f} MiB",
        most < 1536,
        "Of thousands of developers: a range is made in stretches that fit into memory, but a day is not cut.",
    )


def _curve(sizes: Sequence[int], repeats: int, contender: Callable[[int], Contender], unit: int = 1) -> pl.DataFrame:
    measured: list[Measured] = interleaved([contender(size) for size in sizes], repeats)
    return pl.DataFrame(
        {
            "size": [size / unit for size in sizes],
            "seconds": [one.seconds for one in measured],
            "cpu_seconds": [one.median_of("work_cpu_s") for one in measured],
            "mib": [one.peak_mib for one in measured],
        }
    )


def _bytes(work: Path) -> Callable[[int], Contender]:
    def contender(size: int) -> Contender:
        folder = inputs.gateway_log(work / f"gateway-{size}", size)
        command = python("contenders.ours", "litellm", folder, work / "home")
        return Contender(f"{size // inputs.MIB} MiB", command, timed="work_s")

    return contender


def _days(work: Path) -> Callable[[int], Contender]:
    return lambda days: _backfill(work, inputs.team(work / f"team-{days}", days=days), days, f"{days} days")


def _developers(work: Path) -> Callable[[int], Contender]:
    def contender(developers: int) -> Contender:
        team = inputs.team(work / f"team-of-{developers}", days=_TEAM_DAYS, developers=developers)
        return _backfill(work, team, _TEAM_DAYS, f"{developers} developers")

    return contender


def _backfill(work: Path, team: Path, days: int, name: str) -> Contender:
    command = python("contenders.backfill", "range", team, work / "home", str(days))
    return Contender(name, command, timed="work_s")


def _draw(points: pl.DataFrame) -> None:
    """A row of charts for time, one for memory."""
    charts = [_chart(points, "cpu_seconds", "CPU seconds"), _chart(points, "mib", "peak MiB")]
    alt.vconcat(*charts).save(PICTURE)


def _chart(points: pl.DataFrame, column: str, title: str) -> alt.FacetChart:
    base = alt.Chart(points).encode(
        x=alt.X("size:Q", scale=alt.Scale(type="log"), title="size"),
        y=alt.Y(f"{column}:Q", scale=alt.Scale(type="log"), title=title),
    )
    chart = (base.mark_line() + base.mark_point(filled=True)).properties(width=220, height=180)
    return chart.facet(alt.Column("curve:N", title=None)).resolve_scale(x="independent", y="independent")
