"""Handing a report out in the form that was asked for.

Belongs here: which form goes where. Does not: any form itself; each is imported only when it is wanted.
"""

from pathlib import Path
from typing import Literal

from prodlens_pipeline.reporting.data import Report
from prodlens_pipeline.reporting.errors import ReportError
from prodlens_pipeline.warehouse.lake import Lake

Form = Literal["console", "html", "json", "csv", "markdown"]
FOLDER = Path("report")


def render(report: Report, form: Literal["html", "json", "markdown"]) -> str:
    """The report as one text."""
    if form == "html":
        from prodlens_pipeline.reporting.html import render_html

        return render_html(report)
    if form == "json":
        from prodlens_pipeline.reporting.document import render_json

        return render_json(report)
    from prodlens_pipeline.reporting.markdown import render_markdown

    return render_markdown(report)


def write_file(report: Report, form: Literal["html", "json", "markdown"], folder: Path) -> Path:
    """Write `report.html`, `report.json` or `report.md` into `folder`, and return its path."""
    from prodlens_pipeline.reporting.files import write_whole

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"report.{'md' if form == 'markdown' else form}"
    write_whole(path, render(report, form))
    return path


def write_csv(lake: Lake, report: Report, folder: Path) -> int:
    """Write one CSV file per table and a README into `folder`, and return how many tables there are.

    Raises:
        ReportError: there are no figures.
    """
    from prodlens_pipeline.reporting.csv_folder import write_folder
    from prodlens_pipeline.reporting.exports import exported
    from prodlens_pipeline.reporting.tables import about_table

    if report.figures is None:
        raise ReportError(report.nothing)
    about = "\n".join(f"- {': '.join(row.cells)}" for row in about_table(report).rows)
    return len(write_folder(folder, exported(lake, report.figures), about)) - 1


def write_tables(lake: Lake, report: Report, folder: Path) -> int:
    """Write the same tables as JSON files into `folder`, and return how many there are; none without figures."""
    from prodlens_pipeline.reporting.exports import exported
    from prodlens_pipeline.reporting.json_folder import write_folder

    return len(write_folder(folder, exported(lake, report.figures))) if report.figures else 0
