"""The report on a console: plain text that reads well at 100 columns.

Belongs here: layout with rich. Does not: what the tables hold (`tables`), nor how things are worded.
"""

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from prodlens_pipeline.reporting import tables
from prodlens_pipeline.reporting.comparison import Comparison
from prodlens_pipeline.reporting.data import Figures, Report
from prodlens_pipeline.reporting.experience import Experience
from prodlens_pipeline.reporting.experience_tables import score_table
from prodlens_pipeline.reporting.headline import (
    caveats,
    comparison_method,
    comparison_summary,
    family,
    headline,
    unseen,
    unseen_panel,
)
from prodlens_pipeline.reporting.panel import Panel
from prodlens_pipeline.reporting.periods import by_period
from prodlens_pipeline.reporting.tables import Table
from prodlens_pipeline.reporting.words import NOT_ENOUGH_DATA, UNKNOWN, counted, money, printable, span, titled, whole

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*#@"
GAP = " "
MOST_BARS = 40
TRENDS = ("sessions", "cost_usd", "commits", "prs_merged")
PAIRS_SHOWN = 6
SHORT_NAME = 28
"""Rows begin with a name; longer ones may fold."""
LONG_NUMBER = 20
"""A number with its interval; what is longer has a long unit, which may fold."""
LONG_WORD = 18
SHORT_HEADER = 10
GAP_WIDTH = 2
"""Between two columns."""
STYLES = {"changed": "yellow", "pass": "green", "fail": "red", "significant": "green", "not enough data": "dim"}


def print_report(report: Report, console: Console) -> None:
    """Print `report`. Colours and symbols follow what `console` can show."""
    console.print(_title(report))
    for sentence in headline(report):
        console.print(_item("*", sentence))
    for caveat in caveats(report):
        console.print(_item("!", caveat, style="yellow"))
    if report.figures:
        _print_figures(report, report.figures, console)
    if report.sources.height:
        _print_table(tables.source_table(report), console, hide=("First record",), spare=("Files",))
    if report.dead_letters.height:
        _print_table(tables.dead_letter_table(report), console)
    console.print()
    for row in tables.about_table(report).rows:
        console.print(Text(": ".join(row.cells), style="dim"))


def sparkline(values: Sequence[float | None], bars: str = BARS) -> str:
    """One character per value, from 0 to the largest; a gap where the value is unknown."""
    largest = max((value for value in values if value is not None), default=0.0)
    scale = (len(bars) - 1) / largest if largest > 0 else 0.0
    return "".join(GAP if value is None else bars[round(value * scale)] for value in values)


def _title(report: Report) -> Text:
    text = Text(
        f"ProdLens report: {printable(report.team)}, {printable(report.repo or 'all repositories')}", style="bold"
    )
    if report.figures:
        text.append(f"\n{span(report.figures.window)}", style="not bold")
    return text


def _print_figures(report: Report, figures: Figures, console: Console) -> None:
    _print_table(tables.scorecard_table(report, figures.scorecard), console)
    if figures.comparison:
        _print_comparison(figures.comparison, console)
    _print_trends(figures, console)
    _print_associations(figures, console)
    _print_table(
        tables.model_table(figures),
        console,
        hide=("Provider", "Prompt tokens", "Output tokens", "Cost per 1,000 tokens"),
        spare=("Price unknown", "Failed"),
    )
    _print_table(
        tables.repository_table(figures), console, hide=("Added lines",), spare=("Reverts", "Of these naming AI")
    )
    if figures.experience:
        _print_experience(figures.experience, console)
    if figures.flow:
        _print_table(tables.funnel_table(figures.flow), console)
        _print_table(tables.lead_time_table(figures.flow), console)
    _print_table(tables.coverage_table(figures), console, hide=("Known means",))
    if figures.quality is not None and figures.quality.height:
        _print_table(tables.quality_table(figures.quality), console, hide=("Kind", *tables.RARE_DOUBTS))


def _print_comparison(comparison: Comparison, console: Console) -> None:
    table = tables.comparison_table(comparison)
    judged = tuple(row for row in table.rows if row.cells[1] != NOT_ENOUGH_DATA)
    _print_table(replace(table, rows=judged), console, hide=("q", "n"), spare=("Difference",))
    console.print(_item("-", comparison_summary(comparison)))
    console.print(_item("-", comparison_method(), style="dim"))


def _print_experience(experience: Experience, console: Console) -> None:
    table = score_table(experience)
    console.print()
    console.print(Text(table.title, style="bold"))
    for sentence in experience.sentences:
        console.print(_item("-", sentence))
    if len(table.rows) > 1:
        untitled = replace(table, title="")
        spare = ("Detractors", "Promoters")
        console.print(_as_grid(untitled, console, hide=("Passives", "Satisfied (n)"), spare=spare))


def _print_trends(figures: Figures, console: Console) -> None:
    series = by_period(figures.days, most=MOST_BARS)
    if series.rows.is_empty():
        return
    bars = ASCII_BARS if console.options.ascii_only else BARS
    grid = _grid(f"Trends by {series.period} (whole ones only), each row from 0 to its own largest")
    span = f"{series.rows['day'][0]} to {series.rows['day'][-1]}"
    for name in ("Series", span, "Least", "Most", "Total"):
        grid.add_column(name, justify="left" if name in ("Series", span) else "right", no_wrap=True)
    for name in TRENDS:
        values: list[float | None] = series.rows[name].to_list()
        grid.add_row(titled(name), sparkline(values, bars), *_extent(values, name))
    console.print()
    console.print(grid)


def _extent(values: Sequence[float | None], name: str) -> tuple[str, str, str]:
    """Least, most and total: unknown where one of the values is, for it may be any of these."""
    show = money if name == "cost_usd" else whole
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return UNKNOWN, UNKNOWN, UNKNOWN
    return show(min(known)), show(max(known)), show(sum(known))


def _print_associations(figures: Figures, console: Console) -> None:
    if figures.panel is not None:
        _print_panel(figures.panel, console)
    console.print()
    console.print(Text("AI use and delivery, the days of the team as a whole", style="bold"))
    claimed = tables.claimed_pairs(figures).height
    if claimed:
        table = tables.pair_table(figures)
        console.print(
            _as_grid(
                replace(table, title="", rows=table.rows[: min(claimed, PAIRS_SHOWN)]), console, spare=("r [95%]", "n")
            )
        )
    else:
        console.print(_item("-", unseen(figures)))
    if figures.panel is not None:
        console.print(_item("-", "The table above leads: what happens to everybody at once cannot feign its findings."))
    results = ", ".join(f"{count} {result}" for result, count in tables.results(figures).items())
    every = f"Of {counted(figures.pairs.height, 'pair')} of AI use and delivery: {results}. The HTML report shows all."
    console.print(_item("-", every))
    if claimed or (figures.panel is not None and figures.panel.claims.height):
        console.print(_item("-", family(figures), style="dim"))


def _print_panel(panel: Panel, console: Console) -> None:
    console.print()
    console.print(Text("AI use and delivery, developers compared with themselves and each other", style="bold"))
    claims = panel.claims.height
    if claims:
        table = tables.panel_table(panel)
        shown = replace(table, title="", rows=table.rows[: min(claims, PAIRS_SHOWN)])
        console.print(_as_grid(shown, console, spare=("Days of developers", "Developers")))
        left = claims - len(shown.rows)
        if left > 0:
            console.print(_item("-", f"{counted(left, 'more pair')} in the HTML report."))
    else:
        console.print(_item("-", unseen_panel(panel)))


def _print_table(table: Table, console: Console, *, hide: Collection[str] = (), spare: Sequence[str] = ()) -> None:
    console.print()
    console.print(_as_grid(table, console, hide=hide, spare=spare))


def _as_grid(table: Table, console: Console, *, hide: Collection[str] = (), spare: Sequence[str] = ()) -> Grid:
    """Words make room first, then the columns `spare` are left out until the rest fits; nothing is ever cut off."""
    grid = _grid(table.title)
    kept = [position for position, name in enumerate(table.columns) if name not in hide]
    for name in spare:
        if sum(_least_width(table, position) + GAP_WIDTH for position in kept) > console.width:
            kept.remove(table.columns.index(name))
    for position in kept:
        name = table.columns[position]
        longest = max((len(row.cells[position]) for row in table.rows), default=0)
        firm = _firm(table, position)
        grid.add_column(
            _header(name, longest) if firm else name,
            justify="right" if name in table.numbers else "left",
            no_wrap=firm,
            min_width=_least_width(table, position),
        )
    for row in table.rows:
        grid.add_row(*(_cell(row.cells[position]) for position in kept))
    return grid


def _firm(table: Table, position: int) -> bool:
    """Whether the cells of a column stay on one line: numbers and short names, but not numbers with long units."""
    longest = max((len(row.cells[position]) for row in table.rows), default=0)
    if table.columns[position] in table.numbers:
        return longest <= LONG_NUMBER
    return position == 0 and longest <= SHORT_NAME


def _least_width(table: Table, position: int) -> int:
    """What a column cannot do without: whole cells where it is firm, else whole words."""
    texts = [row.cells[position] for row in table.rows]
    if not _firm(table, position):
        texts = [word for text in (*texts, table.columns[position]) for word in text.split()]
        return min(max(map(len, texts), default=0), LONG_WORD)
    return max([*map(len, texts), *map(len, table.columns[position].split())])


def _header(name: str, longest: int) -> str:
    """`name` on several lines where it is wider than the cells below it, its longest word and a few letters."""
    return "\n".join(textwrap.wrap(name, max(longest, SHORT_HEADER, *map(len, name.split()))))


def _grid(title: str) -> Grid:
    return Grid(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )


def _cell(text: str) -> Text:
    """Folds even in a column that keeps its width: rich would cut it off."""
    return Text(printable(text), style=STYLES.get(text, ""), no_wrap=False, overflow="fold")


def _item(bullet: str, sentence: str, style: str = "") -> Grid:
    line = Grid.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(overflow="fold")
    line.add_row(Text(bullet, style=style), Text(printable(sentence), style=style))
    return line
