"""`prod-lens`: the command line.

Belongs here: arguments, exit codes and what is printed while something runs. Does not: doing it.
Rooms are imported inside the commands: `--help`, `sql` and `report` must not wait for Dagster.
Exit codes: 0 done, 1 ran but something failed or fell short, 2 wrong use or configuration.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from prodlens_pipeline.settings import Settings
    from prodlens_pipeline.warehouse.lake import Lake

app = typer.Typer(
    name="prod-lens",
    help="Do our AI coding assistants help us deliver? Reads traces and repositories, and answers with honest figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file; by default the nearest prodlens.yaml.", show_default=False),
]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], show_default=False)]


def main() -> None:
    """Entry point: turns expected errors into one clear message and exit code 2."""
    from prodlens_pipeline.settings import SettingsError
    from prodlens_pipeline.warehouse.errors import WarehouseError

    # What a start loads stays: looking through it for garbage all the time takes a fifth of loading Dagster.
    gc.set_threshold(50_000, 20, 20)
    # At the end it goes with the process, and need not be looked through once more.
    atexit.register(gc.freeze)
    try:
        app()
    except (SettingsError, WarehouseError) as error:
        _fail(str(error), code=2)
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}; name another place, or see that you may use this one", code=2)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"prod-lens {version('prodlens-pipeline')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What holds for every command."""
    del version


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the simulated team.")] = Path("demo"),
    developers: Annotated[int, typer.Option(min=1)] = 8,
    days: Annotated[int, typer.Option(min=7)] = 90,
    effect: Annotated[
        float, typer.Option(min=0, max=1, help="True effect: 0.6 means 10% more sessions, 6% more commits.")
    ] = 0.6,
    seed: int = 0,
) -> None:
    """Simulate a team whose true effect is known, run the real pipeline over it, and compare."""
    from prodlens_pipeline.demo import prepare, verdict

    console = _console()
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    truth = prepare(out, developers=developers, days=days, effect=effect, seed=seed, end=yesterday)
    console.print(f"Simulated team in {out}: {truth.start} to {truth.end}, {developers} developers.")
    settings = _settings(out / "prodlens.yaml")
    code = _run(settings, None, None, console)
    with _reading(settings) as lake:
        _write_report(lake, settings, "console", repo=None, since=None, out=None)
        _write_report(lake, settings, "html", repo=None, since=None, out=out / "report")
        console.rule("The truth, which only a simulation knows")
        console.print(verdict(lake, truth))
    raise typer.Exit(code)


@app.command()
def init(
    force: Annotated[bool, typer.Option("--force", help="Replace an existing prodlens.yaml.")] = False,
) -> None:
    """Write a prodlens.yaml for what is found here: a git clone, Claude Code transcripts, a gateway, Phoenix."""
    from prodlens_pipeline.initialise import write_config

    try:
        path, notes = write_config(Path.cwd(), force=force)
    except FileExistsError as error:
        _fail(str(error), code=2)
    console = _console()
    console.print(f"Wrote {path}")
    for note in notes:
        console.print(f"  {note}")


@app.command()
def run(
    config: Config = None,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            help="First day; by default every day with new records.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be read.")] = False,
) -> None:
    """Collect what is new and bring every table up to date."""
    settings = _settings(config)
    console = _console()
    if first and last and first > last:
        _fail(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}", code=2)
    if dry_run:
        from prodlens_pipeline.plan import plan_table

        console.print(plan_table(settings))
        return
    raise typer.Exit(_run(settings, first, last, console))


@app.command()
def report(
    config: Config = None,
    repo: Annotated[str | None, typer.Option(help="Delivery of one repository only.", show_default=False)] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day of the report.", show_default=False),
    ] = None,
    form: Annotated[
        Literal["console", "html", "json", "csv", "markdown"],
        typer.Option("--format", help="Console, one HTML file, JSON, a folder of CSV files, or GitHub markdown."),
    ] = "console",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the files; by default 'report', and JSON and markdown go to standard output.",
            show_default=False,
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Read the warehouse as it was: a snapshot, a day or a time (UTC).", show_default=False),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="An earlier window beside it: FROM..TO (days), or 'previous'.", show_default=False),
    ] = None,
    slack: Annotated[
        bool,
        typer.Option("--slack", help="Post headline and changes to the webhook in PRODLENS_SLACK_WEBHOOK instead."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --slack: only print what would be posted.")] = False,
) -> None:
    """Show what the figures say."""
    if dry_run and not slack:
        _fail("--dry-run belongs to --slack", code=2)
    if out and (slack or form == "console"):
        _fail("--out needs --format html, json, csv or markdown, and no --slack", code=2)
    settings = _settings(config)
    with _reading(settings, as_of) as lake:
        if slack:
            _post_report(lake, settings, repo=repo, since=since, compare=compare, dry_run=dry_run)
        else:
            _write_report(lake, settings, form, repo=repo, since=since, out=out, compare=compare)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A select; tables are schema.table, such as marts.daily_developer.")],
    config: Config = None,
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format")] = "table",
) -> None:
    """Query the warehouse, read-only."""
    from prodlens_pipeline.query import print_rows, select

    with _reading(_settings(config)) as lake:
        try:
            rows = select(lake, query)
        except ValueError as error:
            _fail(str(error), code=2)
        print_rows(rows, form, sys.stdout)


@app.command()
def doctor(config: Config = None) -> None:
    """Check configuration, sources, repositories, warehouse and identities."""
    from prodlens_pipeline.doctor import examine

    console = _console()
    fell_short = False
    for finding in examine(_settings(config)):
        mark = {"ok": "[green]ok[/]", "warn": "[yellow]note[/]", "fail": "[red]FAIL[/]"}[finding.status]
        console.print(f"{mark:>12}  {finding.subject}: {finding.message}", highlight=False)
        fell_short |= finding.status == "fail"
    raise typer.Exit(1 if fell_short else 0)


@app.command()
def dev(
    config: Config = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
) -> None:
    """Open the Dagster UI and its daemon on this project. Their logs are JSON lines where there is no terminal."""
    import os

    from prodlens_pipeline.pipeline import dagster_environment

    settings = _settings(config)
    workspace = Path(__file__).resolve().parents[1] / "workspace.yaml"
    quiet = "ignore:Function `dev_command` is superseded"  # its successor is one more package for the same thing
    command = [sys.executable, "-W", quiet, "-m", "dagster", "dev"]
    command += ["--workspace", str(workspace), "--host", host, "--port", str(port)]
    command += ["--log-format", "colored" if sys.stdout.isatty() else "json"]
    environment = os.environ | dagster_environment(settings) | {"PRODLENS_HOME": str(settings.home)}
    if config:
        environment["PRODLENS_CONFIG"] = str(config.resolve())
    os.execve(sys.executable, command, environment)  # noqa: S606


letters_app = typer.Typer(
    name="dead-letters",
    help="The records that were refused: why, where, and whether they pass now.",
    no_args_is_help=True,
)
app.add_typer(letters_app)


@letters_app.command("list")
def list_letters(
    config: Config = None,
    source: Annotated[
        str | None, typer.Option(help="Only those of one type or name of source.", show_default=False)
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only those whose reason contains this.", show_default=False)
    ] = None,
) -> None:
    """List the records that were refused, and why; the newest first."""
    from prodlens_pipeline.landing.dead_letters import letters_query
    from prodlens_pipeline.query import print_rows

    columns = ["letter_id", "source_name", "source_file", "line", "item", "status", "reason"]
    with _reading(_settings(config)) as lake:
        query = letters_query(source, reason)
        rows = lake.frame(query.sql, query.parameters).select(columns).rows()
    print_rows((columns, rows), "table", sys.stdout)


@letters_app.command("show")
def show_letter(letter_id: str, config: Config = None) -> None:
    """Show one refused record: where it stands, why it was refused, and its redacted beginning."""
    from prodlens_pipeline.landing.dead_letters import letters_query
    from prodlens_pipeline.query import print_rows

    with _reading(_settings(config)) as lake:
        query = letters_query(letter_id=letter_id)
        rows = lake.frame(query.sql, query.parameters)
    if rows.is_empty():
        _fail(f"there is no dead letter {letter_id!r}; 'prod-lens dead-letters list' names them all", code=2)
    for row in rows.rows():
        print_rows((["", letter_id], list(zip(rows.columns, row, strict=True))), "table", sys.stdout)


@letters_app.command("replay")
def replay_letters(
    letter_id: Annotated[str | None, typer.Argument(help="One letter; or --all.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every letter.")] = False,
    config: Config = None,
) -> None:
    """Read refused records again from their sources, and land those that the current contract accepts."""
    if bool(letter_id) == every:
        _fail("name one letter, or give --all", code=2)
    from prodlens_pipeline.experience.answers import SOURCE as SURVEY
    from prodlens_pipeline.experience.answers import answer_format
    from prodlens_pipeline.experience.collect import source_name as answers_name
    from prodlens_pipeline.landing.dead_letters import replay
    from prodlens_pipeline.landing.redaction import Privacy, Redactor
    from prodlens_pipeline.traces.registry import formats
    from prodlens_pipeline.warehouse.migrations import migrate
    from prodlens_pipeline.warehouse.opening import Location, open_lake

    settings = _settings(config)
    redactor = Redactor.of(settings.redact)
    forms = {name: trace_format.form for name, trace_format in formats().items()}
    forms[SURVEY] = answer_format(settings.survey)
    privacies = {source.name: Privacy(source.capture, redactor) for source in settings.sources}
    privacies[answers_name(settings)] = Privacy(settings.survey.capture, redactor)
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        done = replay(lake, settings.landing, forms, privacies, letter_id)
    _console().print(
        f"{done.landed} landed, {done.refused} refused again; 'prod-lens run' brings the tables up to date"
    )
    for place, why in done.gone.items():
        _error(f"{place}: cannot be read again: {why}")
    raise typer.Exit(1 if done.gone else 0)


@app.command()
def survey(
    nps: Annotated[
        int | None,
        typer.Option(
            min=0, max=10, help="Would you recommend working with the assistants? 0 to 10.", show_default=False
        ),
    ] = None,
    satisfaction: Annotated[
        int | None, typer.Option(min=1, max=5, help="How satisfied are you with them? 1 to 5.", show_default=False)
    ] = None,
    comment: Annotated[
        str | None, typer.Option(help="In your words; kept only where survey.capture is text.", show_default=False)
    ] = None,
    developer: Annotated[
        str | None, typer.Option(help="Who answers, as identities know them; else anonymous.", show_default=False)
    ] = None,
    session: Annotated[str | None, typer.Option(help="Id of the AI session it is about.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="Name of the survey, or of its round.")] = "pulse",
    config: Config = None,
) -> None:
    """Answer a short survey about the assistants: on a terminal, or with the options."""
    from prodlens_pipeline.experience.collect import land_answer
    from prodlens_pipeline.warehouse.migrations import migrate
    from prodlens_pipeline.warehouse.opening import Location, open_lake

    settings = _settings(config)
    given = {"nps": nps, "satisfaction": satisfaction, "comment": comment, "developer": developer, "session": session}
    if nps is satisfaction is None and not comment:
        given |= {key: value for key, value in _ask_survey(settings, developer).items() if value is not None}
    if given["comment"] and settings.survey.capture == "none":
        _console().print("The comment is not kept: survey.capture in prodlens.yaml is none.")
        del given["comment"]
    answered = {key: value for key, value in given.items() if value not in (None, "")}
    if not answered.keys() & {"nps", "satisfaction", "comment"}:
        _fail("nothing is answered: give --nps, --satisfaction or --comment, or answer on a terminal", code=2)
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        done = land_answer(lake, settings, answered | {"survey": name})
    if done.rejected:
        _fail("the answer was refused; 'prod-lens dead-letters list' says why", code=1)
    _console().print("Thank you. 'prod-lens run' brings the answer into the figures.")


def _ask_survey(settings: Settings, developer: str | None) -> dict[str, int | str | None]:
    """The questions, each of which may be passed over; without a terminal nothing is asked."""
    if not sys.stdin.isatty():
        return {}

    def ask(question: str, first: int | None = None, last: int = 0) -> Any:
        """A text, or a number of a scale; None where it is passed over."""

        def read(text: str) -> Any:
            if not (answer := text.strip()) or first is None:
                return answer or None
            if answer.isdecimal() and first <= int(answer) <= last:
                return int(answer)
            raise typer.BadParameter(f"a whole number from {first} to {last}, or nothing")

        return typer.prompt(question, default="", show_default=False, value_proc=read)

    answers = {
        "nps": ask("Would you recommend working with the assistants? 0 (not at all) to 10 (by all means)", 0, 10),
        "satisfaction": ask("How satisfied are you with them? 1 (not at all) to 5 (very)", 1, 5),
        "comment": ask("What should we know?") if settings.survey.capture == "text" else None,
    }
    return (
        answers
        if developer
        else answers | {"developer": ask("Your name, as the identities in prodlens.yaml know it (nothing: anonymous)")}
    )


@app.command()
def contracts(
    name: Annotated[str, typer.Argument(help="A type of source, such as litellm.", metavar="FORMAT")],
) -> None:
    """Print what is kept of a record of a trace format, as a JSON Schema."""
    import orjson

    from prodlens_pipeline.traces.registry import formats

    known = formats()
    if name not in known:
        _fail(f"there is no trace format {name!r}; there are {', '.join(sorted(known))}", code=2)
    schema = known[name].form.record.model_json_schema(mode="validation")
    sys.stdout.write(orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n")


@app.command()
def maintain(config: Config = None) -> None:
    """Delete what is past its time (retention in prodlens.yaml), and tidy up the files of the lake."""
    from rich.table import Table

    from prodlens_pipeline.automation.upkeep import maintain as keep_up
    from prodlens_pipeline.pipeline import dagster_instance

    console = _console()
    settings = _settings(config)
    with dagster_instance(settings) as instance:
        done = keep_up(settings, instance)
    for line in done.summary():
        console.print(line, highlight=False)
    table = Table("area", "MiB before", "MiB after")
    for row in done.disk():
        table.add_row(*row)
    console.print(table)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for the copy.", metavar="DIR")], config: Config = None
) -> None:
    """Copy the warehouse and the landing zone, while others go on writing."""
    from prodlens_pipeline.warehouse.backup import backup as back_up
    from prodlens_pipeline.warehouse.opening import Location

    settings = _settings(config)
    done = back_up(Location.of(settings), settings.landing, folder.resolve())
    _console().print(f"{folder}: snapshot {done.snapshot}, {done.files:,} files, {done.bytes / 2**20:,.1f} MiB")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.", metavar="DIR")], config: Config = None
) -> None:
    """Bring a backup back to a project that has no warehouse."""
    from prodlens_pipeline.warehouse.backup import restore as bring_back
    from prodlens_pipeline.warehouse.opening import Location

    settings = _settings(config)
    done = bring_back(folder.resolve(), Location.of(settings), settings.landing)
    _console().print(f"{settings.home}: snapshot {done.snapshot}, {done.files:,} files; go on with 'prod-lens run'")


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="A new file that ends in .duckdb, or a new folder for parquet files.")],
    config: Config = None,
) -> None:
    """Write all tables as one plain DuckDB file or as parquet files, for BI tools."""
    from prodlens_pipeline.warehouse.export import export as write_export

    with _reading(_settings(config)) as lake:
        tables = write_export(lake, target.resolve())
    _console().print(f"{target}: {len(tables):,} tables, {sum(tables.values()):,} rows")


@app.command()
def models(
    docs: Annotated[
        Path | None, typer.Option(help="Folder to write a page of all models to.", show_default=False)
    ] = None,
) -> None:
    """List the tables that SQL makes: what a row is, and what they are made from."""
    from prodlens_pipeline.definitions import python_contracts
    from prodlens_pipeline.query import print_rows
    from prodlens_pipeline.warehouse.model_docs import page, rows
    from prodlens_pipeline.warehouse.models import load_models

    loaded = load_models(python_contracts())
    if docs is None:
        print_rows((["table", "one row per", "made", "from"], list(rows(loaded))), "table", sys.stdout)
        return
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "models.md").write_text(page(loaded), encoding="utf-8")
    _console().print(f"Wrote {docs / 'models.md'}")


@app.command()
def forget(
    developer: Annotated[str, typer.Argument(help="As identities in prodlens.yaml name them, or one identity.")],
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take one developer out of the landing zone, the warehouse and its snapshots, for good."""
    from prodlens_pipeline.forget import forget as take_out
    from prodlens_pipeline.warehouse.migrations import migrate
    from prodlens_pipeline.warehouse.opening import Location, open_lake

    settings = _settings(config)
    if not yes:
        typer.confirm(f"Delete what {developer} left in {settings.home}, with all older snapshots?", abort=True)
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        done = take_out(lake, settings, developer)
    console = _console()
    console.print(
        f"{done.dropped:,} landed records dropped and {done.changed:,} changed in {done.chunks:,} chunks, "
        f"{done.rows:,} rows deleted",
        highlight=False,
    )
    console.print(
        "Now take them out of prodlens.yaml and of the sources, then make the figures anew with 'prod-lens run'. "
        "Backups and exports are yours to delete."
    )


@app.command()
def metrics(config: Config = None) -> None:
    """Print the state of the pipeline in the text format of Prometheus."""
    from prodlens_pipeline.automation.exposition import exposition, families
    from prodlens_pipeline.warehouse.maintenance import disk_use
    from prodlens_pipeline.warehouse.migrations import require_newest
    from prodlens_pipeline.warehouse.opening import Location

    settings = _settings(config)
    disk = disk_use(Location.of(settings), settings.landing)
    with _reading(settings) as lake:
        require_newest(lake)
        sys.stdout.write(exposition(families(lake, disk)))


def _run(settings: Settings, first: datetime | None, last: datetime | None, console: Console) -> int:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        loading = progress.add_task("loading", total=None)
        from prodlens_pipeline.pipeline import run as run_pipeline

        progress.remove_task(loading)
        tasks: dict[str, int] = {}

        def on_step(phase: str, done: int, steps: int) -> None:
            task = tasks.setdefault(phase, -1)
            if task == -1:
                task = tasks[phase] = progress.add_task(phase, total=steps)
            progress.update(task, completed=done)  # type: ignore[arg-type]

        outcome = run_pipeline(settings, first.date() if first else None, last.date() if last else None, on_step)
    for line in outcome.summary():
        console.print(line, highlight=False)
    for failure in outcome.failures:
        _error(failure)
    return 1 if outcome.failures else 0


def _write_report(
    lake: Lake,
    settings: Settings,
    form: Literal["console", "html", "json", "csv", "markdown"],
    *,
    repo: str | None,
    since: datetime | None,
    out: Path | None,
    compare: str | None = None,
) -> None:
    from prodlens_pipeline.reporting.data import read_report
    from prodlens_pipeline.reporting.output import FOLDER, render, write_csv, write_file, write_tables

    shown = read_report(lake, settings, repo=repo, since=since.date() if since else None, compared=compare)
    if form == "console":
        from prodlens_pipeline.reporting.console import print_report

        print_report(shown, _console())
    elif form == "csv":
        folder = out or FOLDER
        _console().print(f"{write_csv(lake, shown, folder)} tables: {folder}")
    elif out or form == "html":
        _console().print(f"Report: {write_file(shown, form, out or FOLDER)}")
        if form == "json" and out:
            _console().print(f"{write_tables(lake, shown, out)} tables: {out}")
    else:
        sys.stdout.buffer.write(render(shown, form).encode())


def _post_report(
    lake: Lake,
    settings: Settings,
    *,
    repo: str | None,
    since: datetime | None,
    compare: str | None,
    dry_run: bool,
) -> None:
    import os

    from prodlens_pipeline.reporting.data import read_report
    from prodlens_pipeline.reporting.slack import WEBHOOK, SlackError, as_json, checked_webhook, message, post

    url = None if dry_run else checked_webhook(os.environ.get(WEBHOOK))
    payload = message(read_report(lake, settings, repo=repo, since=since.date() if since else None, compared=compare))
    if url is None:
        sys.stdout.buffer.write(as_json(payload).encode())
        return
    try:
        post(payload, url)
    except SlackError as error:
        _fail(str(error), code=1)
    _console().print("Posted to Slack.")


@contextmanager
def _reading(settings: Settings, as_of: str | None = None) -> Iterator[Lake]:
    from prodlens_pipeline.warehouse.opening import Location, open_lake

    location, snapshot = Location.of(settings), None
    if as_of is not None:
        from prodlens_pipeline.reporting.origin import resolve_snapshot

        with open_lake(location, read_only=True) as newest, newest.reading():
            snapshot = resolve_snapshot(newest, as_of)
    with open_lake(location, read_only=True, snapshot=snapshot) as lake, lake.reading():
        yield lake


def _settings(config: Path | None) -> Settings:
    from prodlens_pipeline.settings import load_settings

    return load_settings(config)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _error(message: str) -> None:
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED)


def _fail(message: str, *, code: int) -> None:
    _error(message)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
