"""What `prod-lens run` would read: shown by `--dry-run`, which writes nothing to the lake."""

from pathlib import Path

from rich.table import Table

from prodlens_pipeline.experience.collect import files_of as answer_files
from prodlens_pipeline.experience.collect import source_name as answers_name
from prodlens_pipeline.landing.collector import bytes_to_read
from prodlens_pipeline.settings import GitHubRepository, Settings
from prodlens_pipeline.traces.collect import files_of
from prodlens_pipeline.traces.registry import configured, formats
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.opening import Location, open_lake


def plan_table(settings: Settings) -> Table:
    """One row per source and repository: what is there, and how much of it is new."""
    configured(settings)
    table = Table("source", "found", "to read", title="What a run would read (nothing was changed)")
    for source in settings.sources:
        if source.url:
            table.add_row(source.name, source.url, "spans newer than those of the last run")
            continue
        files = files_of(settings, source, formats()[source.type])
        table.add_row(source.name, f"{len(files):,} files", _new_bytes(settings, source.name, files))
    if settings.survey.path is not None:
        files = answer_files(settings)
        table.add_row(
            answers_name(settings), f"{len(files):,} files", _new_bytes(settings, answers_name(settings), files)
        )
    for repository in settings.repositories:
        if isinstance(repository, GitHubRepository):
            table.add_row(f"github:{repository.name}", repository.api_url, "pull requests changed since the last run")
            continue
        path = settings.resolve(repository.path)
        table.add_row(f"git:{repository.name}", str(path) if path.is_dir() else "not found", "commits not landed yet")
    return table


def _new_bytes(settings: Settings, name: str, files: list[Path]) -> str:
    try:
        with open_lake(Location.of(settings), read_only=True) as lake:
            return f"{bytes_to_read(lake, name, files):,} bytes"
    except WarehouseError:
        return f"{sum(path.stat().st_size for path in files):,} bytes (first run)"
