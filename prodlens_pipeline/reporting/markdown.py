"""The report as GitHub-flavoured markdown, short enough for the summary of a job.

Belongs here: layout, escaping, and what is left out. Does not: how things are worded.
"""

import re
from collections.abc import Iterable
from itertools import islice

import polars as pl

from prodlens_pipeline.reporting import tables
from prodlens_pipeline.reporting.data import Figures, Report
from prodlens_pipeline.reporting.headline import (
    caveats,
    changed,
    cited,
    cited_panel,
    comparison_method,
    comparison_summary,
    headline,
    unseen,
    unseen_panel,
)
from prodlens_pipeline.reporting.tables import Table
from prodlens_pipeline.reporting.words import NOT_ENOUGH_DATA, counted, span

MARKS = {"pass": "✅ pass", "fail": "❌ fail", "changed": "⚠️ changed"}
MOST_TARGETS, MOST_ASSOCIATIONS, MOST_CHANGES, MOST_CAVEATS = 22, 6, 6, 6
MOST_SENTENCES = 3
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|#!@~&$])")


def render_markdown(report: Report) -> str:
    """Headline, targets, significant associations and changes: fewer than 60 lines whatever the report holds."""
    lines = [
        f"## ProdLens: {escaped(report.team)}, {escaped(report.repo or 'all repositories')}",
        *([f"{span(report.figures.window)}", ""] if report.figures else [""]),
        *_items(headline(report)),
        *_caveats(report),
    ]
    if report.figures:
        lines += [*_targets(report, report.figures), *_associations(report.figures), *_experience(report.figures)]
        lines += _changes(report.figures)
    about = report.about
    commit = f", commit {about.git_commit[:12]}" if about.git_commit else ""
    origin = f"ProdLens {about.version}{commit}, configuration {about.config_hash}, snapshot {about.snapshot}"
    return "\n".join([*lines, "", f"<sub>{escaped(origin)}</sub>"]) + "\n"


def escaped(text: str) -> str:
    """`text` on one line, without anything that markdown or HTML would act on."""
    return _ACTIVE.sub(r"\\\1", " ".join(text.split()))


def _items(sentences: tuple[str, ...] | list[str]) -> list[str]:
    return [f"- {escaped(sentence)}" for sentence in sentences]


def _caveats(report: Report) -> list[str]:
    found = caveats(report)
    if not found:
        return []
    rest = len(found) - MOST_CAVEATS
    return ["", "**Read with care**", "", *_items(found[:MOST_CAVEATS]), *([f"- and {rest} more"] if rest > 0 else [])]


def _targets(report: Report, figures: Figures) -> list[str]:
    """The metrics that have a target and enough data; the others are counted."""
    aimed = figures.scorecard.filter(pl.col("direction") != "show")
    judged = aimed.filter(pl.col("verdict") != NOT_ENOUGH_DATA)
    shown = tables.scorecard_table(report, judged.head(MOST_TARGETS))
    lines = ["", "### Targets", "", *(_grid(shown) if shown.rows else [])]
    if judged.height > len(shown.rows):
        lines += ["", f"{counted(judged.height - len(shown.rows), 'more target')} in the full report."]
    if aimed.height > judged.height:
        lines += ["", f"Not enough data for {counted(aimed.height - judged.height, 'target')}."]
    return lines


def _associations(figures: Figures) -> list[str]:
    claimed = tables.claimed_pairs(figures)
    if figures.panel is not None:
        within = islice(figures.panel.claims.iter_rows(named=True), MOST_ASSOCIATIONS)
        return _section("AI use and delivery", [cited_panel(row) for row in within] or [unseen_panel(figures.panel)])
    said = [cited(row) for row in islice(claimed.iter_rows(named=True), MOST_ASSOCIATIONS)] or [unseen(figures)]
    return _section("AI use and delivery", said)


def _section(title: str, said: list[str]) -> list[str]:
    return ["", f"### {title}", "", *_items(said)]


def _experience(figures: Figures) -> list[str]:
    if figures.experience is None:
        return []
    return ["", "### What developers say", "", *_items(figures.experience.sentences[:MOST_SENTENCES])]


def _changes(figures: Figures) -> list[str]:
    if figures.comparison is None:
        return []
    said = [comparison_summary(figures.comparison), *changed(figures.comparison)[:MOST_CHANGES], comparison_method()]
    return ["", "### Changes", "", *_items(said)]


def _grid(table: Table) -> list[str]:
    align = ("---:" if name in table.numbers else "---" for name in table.columns)
    return [
        _line(table.columns),
        _line(align),
        *(_line(MARKS.get(cell, escaped(cell)) for cell in row.cells) for row in table.rows),
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
