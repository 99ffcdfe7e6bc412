"""Row 2: read gateway logs and spans."""

from pathlib import Path

from bench import inputs
from bench.measure import Contender, Measured, interleaved, python, ratio
from bench.rows.transcripts import fixed, phases
from bench.sizes import Size
from bench.table import Result, Table, Target, compared, samples

_TYPES = {"gateway": "litellm", "spans": "otlp"}
_MAKERS = {"gateway": inputs.gateway_log, "spans": inputs.spans}
_TITLES = {"gateway": "LiteLLM gateway logs", "spans": "OTLP spans"}
_LARGE = 2 * 1024 * inputs.MIB
"""Above it there is one turn, without polars, which holds all spans of all attributes in memory."""
FLOOR, PANDAS = "DuckDB read_ndjson (floor)", "pandas json_normalize"


def measure(size: Size, work: Path) -> Result:
    """Both kinds in every size, one after the other."""
    tables: list[Table] = []
    targets: list[Target] = []
    raw: dict[str, object] = {}
    for kind, make in _MAKERS.items():
        for log_bytes in size.log_bytes:
            folder = make(work / f"{kind}-{log_bytes}", log_bytes)
            repeats = 1 if log_bytes > _LARGE else size.repeats
            measured = interleaved(contenders(kind, folder, work / "home", log_bytes, size.pandas_bytes), repeats)
            mib = f"{inputs.bytes_of(folder) / inputs.MIB:,.0f} MiB"
            about = (
                f"{mib} in {len(list(folder.glob('*.jsonl'))):,} files: the capture, copied with new ids and times; "
                f"{repeats} interleaved repeats."
            )
            records = {one.contender.name: _records(one) for one in measured}
            title = f"{_TITLES[kind]}, {mib}"
            tables += [compared(title, measured, about, {"counted": records}), phases(measured[0], f"Ours: {title}")]
            targets += _targets(f"{kind}, {mib}", measured)
            raw[f"{kind} {mib}"] = samples(measured)
    return Result(
        2,
        "Read gateway logs and spans",
        tables,
        targets,
        [
            "The floor names the columns and sums four numbers of records as they lie there: it archives, checks, "
            "redacts and de-duplicates nothing, and of spans it counts every token twice (they stand on a gateway's "
            "span and on its child). Ours counts calls.",
        ],
        raw,
    )


def contenders(kind: str, folder: Path, home: Path, log_bytes: int, pandas_bytes: int) -> list[Contender]:
    """The first is ours, the second the floor, the last pandas."""
    files = len(list(folder.glob("*.jsonl")))
    part = max(round(files * min(pandas_bytes / log_bytes, 1)), 1)
    polars = Contender("polars scan_ndjson", python("contenders.logs", "polars", kind, folder))
    return [
        Contender("prodlens: archive, redact, tables", python("contenders.ours", _TYPES[kind], folder, home)),
        Contender(FLOOR, python("contenders.logs", "duckdb", kind, folder)),
        *([] if log_bytes > _LARGE else [polars]),
        Contender(
            PANDAS,
            python("contenders.logs", "pandas", kind, folder, str(part)),
            share=part / files,
            note=f"read {part} of {files} files; time scaled, memory as it was",
        ),
    ]


def _records(one: Measured) -> str:
    if "calls" in one.figures:
        return f"{one.figures['calls']:,} calls"
    return f"{round(one.figures['records'] / one.contender.share):,} records"


def _targets(kind: str, measured: list[Measured]) -> list[Target]:
    ours, floor, pandas = measured[0], measured[1], measured[-1]
    first, ahead = ratio(ours, floor)[0], ratio(pandas, ours)[0]
    again = ours.median_of("raw_s") / floor.seconds
    return [
        Target(
            f"{kind}: within 3x of the floor",
            f"first reading {first:.1f}x; the table from the archive {again:.1f}x",
            first <= 3,
            f"{fixed(ours):.1f} s are the start of the program and a new lake, whatever the size. Each line is held "
            "against its contract by pydantic (in one Python process per processor from 256 MiB on), redacted, "
            "compressed and flushed to the disk, once: the archive holds only what is kept, so that a later reading "
            "is near the floor or below it.",
        ),
        Target(
            f"{kind}: at least 20x over pandas",
            f"{ahead:.1f}x on the first reading; {pandas.seconds / ours.median_of('raw_s'):.0f}x from the archive",
            ahead >= 20,
            "As above.",
        ),
        Target(
            f"{kind}: peak memory under 1.5 GiB",
            f"{ours.peak_mib:,.0f} MiB",
            ours.peak_mib < 1536,
            "DuckDB holds the rows of a stretch of days until they are stored, and each process that reads files its "
            "own part; a day with very many records cannot be cut.",
        ),
    ]
