import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from prodlens_pipeline.reporting.console import print_report, sparkline
from prodlens_pipeline.reporting.data import Report, read_report
from prodlens_pipeline.reporting.errors import ReportError
from prodlens_pipeline.reporting.glossary import BY_HEADER
from prodlens_pipeline.reporting.headline import caveats, headline
from prodlens_pipeline.reporting.html import render_html
from prodlens_pipeline.reporting.tables import pair_table, repository_table
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.reporting.projects import (
    Project,
    Work,
    commits,
    fill,
    made_report,
    opened,
    settings_of,
    working,
)

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def noise(models: dict[str, SqlModel], tmp_path_factory: pytest.TempPathFactory) -> Report:
    return made_report(tmp_path_factory.mktemp("noise"), models, working(effect=False))


@pytest.fixture(scope="module")
def nasty(models: dict[str, SqlModel], tmp_path_factory: pytest.TempPathFactory) -> Report:
    work = replace(working(effect=True, days=28), developer=NASTY, repo=f"org/{NASTY}", model=f"m-{NASTY}")
    return made_report(tmp_path_factory.mktemp("nasty"), models, work, team=f"{NASTY}\x1b[31m")


@pytest.fixture(scope="module")
def two_repositories(models: dict[str, SqlModel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with opened(tmp_path_factory.mktemp("two_repositories")) as project:
        work = working(effect=False, days=28)
        elsewhere = [row | {"repo": "org/api", "sha": f"a{row['sha']}"} for row in commits(work)[:40]]
        fill(project.lake, models, work, elsewhere)
        yield project


def _console(report: Report, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_report(report, Console(file=file, width=100))
    file.seek(0)
    return file.read()


class _Page(HTMLParser):
    """Counts elements and insists that they close in order."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_an_association_leads_with_its_sample_and_interval(association: Report) -> None:
    first = headline(association)[0]
    step = r"AI sessions, from a quiet day \([\d.]+\) to a busy one \([\d.]+\),"
    assert re.search(rf"{step} goes with \d+% more commits \(95% interval .*\) 1 working day later", first)
    assert re.search(r"n = 5\d pairs of days, q < 0\.001", first)


def test_nothing_found_says_what_could_have_been_found(noise: Report) -> None:
    assert re.match(r"No association .* a correlation of 0\.\d\d or more would have shown", headline(noise)[0])
    assert "significant" not in _console(noise)


@pytest.mark.parametrize("name", ["association", "noise"])
def test_no_output_speaks_of_causes(name: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(name)
    assert "cause" not in (render_html(report) + _console(report)).lower()


def test_the_console_is_plain_text_of_its_width_without_a_terminal(association: Report) -> None:
    text = _console(association)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    for part in ("Scorecard", "Trends by week", "AI use and delivery", "Cost and models", "Coverage"):
        assert part in text


def test_no_number_is_cut_off_on_the_console(association: Report) -> None:
    assert association.figures
    text = _console(association)
    figures = [
        *pair_table(association.figures).rows[0].cells[2:],
        *repository_table(association.figures).rows[0].cells[1:2],
    ]
    assert [figure for figure in figures if figure not in text] == []
    narrow = io.StringIO()
    print_report(association, Console(file=narrow, width=50))
    assert [figure for figure in figures[4:] if figure not in narrow.getvalue()] == []


def test_the_console_of_an_ascii_terminal_gets_ascii(association: Report) -> None:
    assert "Trends by week" in _console(association, encoding="ascii")


def test_the_page_needs_nothing_from_elsewhere(association: Report) -> None:
    text = render_html(association)
    page = _Page(text)
    assert {target[0] for target in page.targets} == {"#"}
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "@import" not in text
    assert "url(" not in text
    assert len(text) < 1_000_000


def test_every_chart_is_named_and_has_a_table(association: Report) -> None:
    text = render_html(association)
    assert text.count("<svg") == text.count('role="img" aria-label=') == text.count("<figure>") == 7
    assert text.count("<summary>Show as a table</summary>") == 6  # that of the cost chart is always shown
    assert "placebo" in text


def test_every_term_is_explained_on_hover_and_by_keyboard(rich: Project) -> None:
    page = _Page(render_html(rich.report(since=date(2026, 2, 16), compared="previous")))
    terms = [attributes for _, attributes in page.elements if attributes.get("class") == "term"]
    links = [attributes for attributes in terms if "href" in attributes]
    headers = [attributes for attributes in terms if "href" not in attributes]
    assert all(attributes["data-tip"] for attributes in terms)
    assert {attributes["href"][1:] for attributes in links} <= set(page.ids)
    assert all(attributes["tabindex"] == "0" for attributes in headers)
    explained = {attributes["aria-describedby"] for attributes in headers}
    assert explained == {f"term-{term.key}" for term in BY_HEADER.values()} <= set(page.ids)


def test_the_page_shows_quality_and_the_way_of_pull_requests(rich: Project) -> None:
    text = render_html(rich.report())
    for part in ("Where the time goes", "Clock skew", "Claude Code transcripts and LiteLLM log", "@media print"):
        assert part in text
    _Page(text)
    assert "Closed without a merge" in _console(rich.report())


def test_names_are_escaped_everywhere(nasty: Report) -> None:
    text = render_html(nasty)
    page = _Page(text)
    assert "script" not in page.tags
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count(f"org/{NASTY}") == 0


def test_names_cannot_steer_the_terminal(nasty: Report) -> None:
    text = _console(nasty)
    assert "\x1b" not in text
    assert "\N{REPLACEMENT CHARACTER}[31m" in text


def test_names_are_no_markup_of_the_console(models: dict[str, SqlModel], tmp_path: Path) -> None:
    report = made_report(tmp_path, models, replace(working(effect=False, days=7), repo="[b]org[/b]/app"))
    assert "[b]org[/b]/app" in _console(report)


def test_unknown_cost_is_unknown_and_not_nothing(models: dict[str, SqlModel], tmp_path: Path) -> None:
    report = made_report(tmp_path, models, replace(working(effect=False, days=28), cost=None))
    assert "what they cost is unknown" in headline(report)[1]
    for text in (_console(report), render_html(report)):
        assert "unknown" in text
        assert "$0.00" not in text
        assert "NaN" not in text
    assert "Cost known for 0% of" in " ".join(caveats(report))


def test_few_days_are_not_enough_data(two_repositories: Project) -> None:
    report = two_repositories.report(since=date(2026, 1, 27))
    assert "Not enough data to compare AI use with delivery: 4 pairs of working days" in headline(report)[0]
    assert "not enough data" in _console(report)
    _Page(render_html(report))


def test_a_low_sample_is_flagged(two_repositories: Project) -> None:
    assert any(caveat.startswith("Low sample") for caveat in caveats(two_repositories.report()))


def test_an_empty_warehouse_says_what_to_do(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with open_lake(Location.of(settings)) as lake:
        report = Project(settings, lake).report()
    for text in (_console(report), render_html(report)):
        assert "Run 'prod-lens run' first" in text.replace("&#39;", "'")
        assert "Scorecard" not in text


def test_use_and_delivery_on_different_days_say_so(models: dict[str, SqlModel], tmp_path: Path) -> None:
    work = Work(sessions=[3] * 5, commits=[3] * 5, commits_start=date(2026, 3, 2))
    report = made_report(tmp_path, models, work)
    for text in (_console(report), render_html(report)):
        words = " ".join(text.split())
        assert "AI use: 2026-01-05 to 2026-01-09. Commits: 2026-03-02 to 2026-03-06." in words


@pytest.mark.parametrize(
    ("work", "words", "known", "unknown"),
    [
        (Work(sessions=[3] * 9, commits=[]), "Nothing was read of delivery", "error_rate", "commit_frequency"),
        (Work(sessions=[], commits=[3] * 9), "Nothing was read of AI use", "commit_frequency", "error_rate"),
    ],
)
def test_one_side_alone_has_its_own_figures(
    work: Work, words: str, known: str, unknown: str, models: dict[str, SqlModel], tmp_path: Path
) -> None:
    report = made_report(tmp_path, models, work)
    assert report.figures
    values = {row["metric"]: row["value"] for row in report.figures.scorecard.to_dicts()}
    assert values[known] is not None
    assert values[unknown] is None
    assert words in headline(report)[0]
    for text in (_console(report), render_html(report)):
        assert words in " ".join(text.split())
        assert "NaN" not in text


def test_one_repository_has_its_own_delivery(two_repositories: Project) -> None:
    everything, one = two_repositories.report(), two_repositories.report(repo="org/api")
    assert everything.figures
    assert one.figures
    assert one.figures.days["commits"].sum() == 40 < everything.figures.days["commits"].sum()
    assert one.figures.days["sessions"].sum() == everything.figures.days["sessions"].sum()
    assert "(all repositories)" in _console(one)
    assert "(all repositories)" not in _console(everything)
    assert [row.cells[0] for row in repository_table(one.figures).rows] == ["org/api", "org/app"]


def test_an_unknown_repository_names_the_known_ones(two_repositories: Project) -> None:
    with pytest.raises(ReportError, match=r"--repo org/nope: .*org/api, org/app"):
        two_repositories.report(repo="org/nope")


def test_since_narrows_the_window(two_repositories: Project) -> None:
    report = two_repositories.report(since=date(2026, 1, 19))
    assert report.figures
    assert report.figures.window.start == report.figures.days["day"][0] == date(2026, 1, 19)


def test_since_after_the_last_day_says_so(two_repositories: Project) -> None:
    report = two_repositories.report(since=date(2027, 1, 1))
    assert report.figures is None
    assert "Nothing was read since 2027-01-01: the figures end on 2026-01-30" in report.nothing


def test_sums_are_made_in_one_order_so_that_the_same_snapshot_gives_the_same_digits(two_repositories: Project) -> None:
    two_repositories.lake.execute("set threads = 4")
    with two_repositories.lake.reading():
        read_report(two_repositories.lake, two_repositories.settings)
    assert two_repositories.lake.value("select current_setting('threads')") == 1


def test_a_configuration_that_changed_after_the_run_is_a_caveat(association: Report) -> None:
    assert association.about.last_run
    assert any("configuration changed" in caveat for caveat in caveats(association))
    about = replace(association.about, config_hash=association.about.last_run.config_hash)
    assert not any("configuration changed" in caveat for caveat in caveats(replace(association, about=about)))


def test_a_sparkline_leaves_a_gap_where_nothing_is_known() -> None:
    assert sparkline([0, None, 7]) == "▁ █"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_reading_loads_neither_dagster_nor_altair() -> None:
    code = (
        "import sys; import prodlens_pipeline.reporting.console, prodlens_pipeline.reporting.html, "
        "prodlens_pipeline.reporting.output, prodlens_pipeline.reporting.slack; "
        "print(sorted({'dagster', 'altair', 'sqlglot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
