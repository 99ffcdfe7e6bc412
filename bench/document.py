"""The page: `docs/benchmarks.md` and `docs/benchmarks.json`, written from the results.

Belongs here: words and markdown. Does not: numbers that were not measured in this run.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import orjson

from bench.measure import ROOT
from bench.rows.transcripts import CCUSAGE_VERSION
from bench.sizes import Size
from bench.table import Result, Table

PACKAGES = (
    *("prodlens-pipeline", "duckdb", "polars", "pandas", "pydantic", "orjson", "scipy"),
    *("dagster", "dagster-duckdb"),
)
FOLDER = ROOT / "docs"


def write(
    results: Sequence[Result], missing: Mapping[str, str], size: Size, seconds: float, folder: Path = FOLDER
) -> Path:
    """Write both files; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "benchmarks.md"
    page.write_text(_page(results, missing, size, seconds), encoding="utf-8")
    facts = {"size": asdict(size), "machine": _machine(), "versions": _versions(), "missing": dict(missing)}
    data = {**facts, "results": [asdict(result) for result in results]}
    (folder / "benchmarks.json").write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str) + b"\n")
    return page


def _page(results: Sequence[Result], missing: Mapping[str, str], size: Size, seconds: float) -> str:
    parts = [
        "# Side by side",
        f"`make bench` (or `make bench SIZE=full`) wrote this page: size {size.name}, {seconds / 60:.1f} minutes, "
        f"{datetime.now(UTC):%Y-%m-%d}, on {_machine()}. Contenders are processes of their own and take turns "
        "(A B A B ...), from start to exit, so that what else the machine does slows all alike: read the ratios, not "
        "the seconds. The first line of each table is 1x; ranges are the lowest and highest of the repeats. Every run "
        "is in [benchmarks.json](benchmarks.json).",
        f"Versions: {', '.join(f'{name} {number}' for name, number in _versions().items())}.",
        "## Targets",
        _table(
            Table(
                "",
                ["row", "wanted", "reached", "met", "where it falls short: why"],
                [
                    [str(result.number), t.wanted, t.reached, "yes" if t.met else "**no**", "" if t.met else t.reason]
                    for result in results
                    for t in result.targets
                ],
            )
        ),
    ]
    for result in sorted(results, key=lambda found: found.number):
        parts.append(f"## {result.number}. {result.title}")
        for table in result.tables:
            parts += [f"### {table.title}", *([table.about] if table.about else []), _table(table)]
        parts += result.remarks
    if missing:
        parts += ["## Not measured", "\n".join(f"- {name}: {reason}" for name, reason in missing.items())]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.lines]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES} | {"ccusage": CCUSAGE_VERSION}
