"""The state of the pipeline in the text format of Prometheus.

Belongs here: which figures, from `ops` and the disk. Does not: figures about the team (`metrics/`), or serving them.
Times are given as such, not as ages: a scraper subtracts them from `time()`, also when this stops being asked.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prodlens_pipeline.warehouse.contracts import quoted_name
from prodlens_pipeline.warehouse.lake import Lake


@dataclass(frozen=True)
class Family:
    """One metric: its samples are label values, in the order of `labels`, and a number."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    samples: tuple[tuple[tuple[str, ...], float], ...]

    def lines(self) -> Iterator[str]:
        """The metric as Prometheus reads it."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for values, number in self.samples:
            labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in zip(self.labels, values, strict=True))
            yield f"{self.name}{{{labels}}} {number:.15g}"


def exposition(families: Iterable[Family]) -> str:
    """All metrics as one text."""
    return "".join(f"{line}\n" for family in families for line in family.lines())


def families(lake: Lake, disk: Mapping[str, int]) -> Iterator[Family]:
    """What `ops` and the disk say now. `lake` must be reading, `disk` is in bytes by area."""
    for name, kind, help_text, labels, sql in _QUERIES:
        rows = lake.rows(sql)
        samples = tuple((tuple(map(str, row[:-1])), float(row[-1])) for row in rows)
        yield Family(name, kind, help_text, labels, samples)
    yield Family("prodlens_table_rows", "gauge", "Rows of a table.", ("table",), _row_counts(lake))
    used = tuple(((area,), float(size)) for area, size in disk.items())
    yield Family("prodlens_disk_bytes", "gauge", "Bytes on the disk of the project's home.", ("area",), used)


_QUERIES = (
    (
        "prodlens_landed_records_total",
        "counter",
        "Records read from a source, by what became of them.",
        ("source", "outcome"),
        "unpivot (select source_name, sum(accepted)::double as accepted, sum(rejected)::double as rejected "
        "from ops.landing_chunks group by source_name) on accepted, rejected into name outcome value records "
        "order by all",
    ),
    (
        "prodlens_source_last_collected_timestamp_seconds",
        "gauge",
        "When something new was last collected from a source.",
        ("source",),
        "select source_name, epoch(max(collected_at)) from ops.landing_chunks group by source_name order by all",
    ),
    (
        "prodlens_source_last_event_timestamp_seconds",
        "gauge",
        "When the newest record of a source happened.",
        ("source",),
        "select source_name, epoch(max(last_event_at)) from ops.landing_chunks "
        "where last_event_at is not null group by source_name order by all",
    ),
    (
        "prodlens_dead_letters",
        "gauge",
        "Records that were refused, by what became of them.",
        ("source", "status"),
        "select source_name, status, count(*) from ops.dead_letters group by all order by all",
    ),
    (
        "prodlens_table_last_made_timestamp_seconds",
        "gauge",
        "When a table was last written.",
        ("table",),
        "select asset, epoch(max(finished_at)) from ops.etl_runs group by asset order by all",
    ),
    (
        "prodlens_table_newest_day_timestamp_seconds",
        "gauge",
        "The start of the newest day that a daily table was made for.",
        ("table",),
        "select asset, epoch(max(window_end - 1)::timestamp) from ops.etl_runs "
        "where window_end is not null group by asset order by all",
    ),
    (
        "prodlens_table_last_write_seconds",
        "gauge",
        "How long the last write of a table took.",
        ("table",),
        "select asset, arg_max(epoch(finished_at) - epoch(started_at), finished_at) "
        "from ops.etl_runs group by asset order by all",
    ),
    (
        "prodlens_github_quota_limit",
        "gauge",
        "What GitHub allows until the quota is renewed.",
        ("server", "resource"),
        "select api_url, resource, quota from ops.github_quota order by all",
    ),
    (
        "prodlens_github_quota_remaining",
        "gauge",
        "What was left of the quota when GitHub was last asked.",
        ("server", "resource"),
        "select api_url, resource, remaining from ops.github_quota order by all",
    ),
    (
        "prodlens_github_quota_reset_timestamp_seconds",
        "gauge",
        "When the quota is renewed.",
        ("server", "resource"),
        "select api_url, resource, epoch(resets_at) from ops.github_quota order by all",
    ),
)


def _row_counts(lake: Lake) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Exact ones: the catalog's own estimate counts deleted rows, too."""
    tables = sorted(name for name in lake.tables() if not name.startswith("ops."))
    return tuple(
        ((table,), float(lake.value(f"select count(*) from {quoted_name(table)}")))  # noqa: S608
        for table in tables
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
