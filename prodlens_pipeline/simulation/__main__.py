"""`python -m prodlens_pipeline.simulation`: write the sources of a simulated team into a folder."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from prodlens_pipeline.simulation.git_history import GitError
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write

DEFAULT = Team()

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    developers: Annotated[int, typer.Option(min=1, max=5000)] = DEFAULT.developers,
    days: Annotated[int, typer.Option(min=7, max=1500)] = DEFAULT.days,
    repositories: Annotated[int, typer.Option(min=1, max=20)] = DEFAULT.repositories,
    effect: Annotated[
        float, typer.Option(min=0, max=1, help="Elasticity of commits in sessions; 0 is no effect.")
    ] = DEFAULT.effect,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULT.seed,
    end: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day; by default the first is 2026-01-05."),
    ] = None,
) -> None:
    """Write gateway logs, transcripts and git repositories of a team whose true effect is known."""
    start: date = DEFAULT.start if end is None else end.date() - timedelta(days=days - 1)
    team = Team(developers=developers, days=days, repositories=repositories, start=start, effect=effect, seed=seed)
    try:
        truth = write(simulate(team), out)
    except FileExistsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except GitError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    sessions, calls, commits = (
        sum(getattr(row, name) for row in truth.daily) for name in ("sessions", "calls", "commits")
    )
    typer.echo(f"{out}: {team.start} to {team.end}, {sessions} sessions, {calls} calls, {commits} commits")


if __name__ == "__main__":
    app()
