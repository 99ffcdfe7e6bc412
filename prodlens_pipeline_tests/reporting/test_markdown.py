"""The summary of a job."""

from dataclasses import replace
from datetime import date

from prodlens_pipeline.reporting.data import Report
from prodlens_pipeline.reporting.markdown import escaped, render_markdown
from prodlens_pipeline_tests.reporting.projects import Project


def test_it_is_short_and_its_table_is_whole(rich: Project) -> None:
    text = render_markdown(rich.report(since=date(2026, 2, 16), compared="previous"))
    lines = text.splitlines()
    assert len(lines) < 60
    table = [line for line in lines if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in table}) == 1
    for heading in ("### Targets", "### AI use and delivery", "### Changes"):
        assert lines[lines.index(heading) - 1] == lines[lines.index(heading) + 1] == ""


def test_significant_associations_are_in_it(association: Report) -> None:
    assert association.figures is not None
    of_sessions = association.figures.associations.filter(driver="sessions", outcome="commits", lag=1)
    (found,) = of_sessions.to_dicts()
    step = f"from a quiet day ({found['driver_q1']:.3g}) to a busy one ({found['driver_q3']:.3g})"
    told = f"AI sessions, {step}, goes with {found['effect_pct']:.0f}% more commits"
    assert told in render_markdown(association).split("### AI use and delivery")[1]


def test_names_are_no_markup(empty: Report) -> None:
    text = render_markdown(replace(empty, team="<img src=x> | [a](b)\n# c @ops"))
    assert r"\<img src=x\> \| \[a\](b) \# c \@ops" in text.splitlines()[0]


def test_nothing_is_escaped_twice() -> None:
    assert escaped(r"a\_b") == r"a\\\_b"


def test_without_figures_it_says_why(empty: Report) -> None:
    assert "Run 'prod-lens run' first" in render_markdown(empty)
