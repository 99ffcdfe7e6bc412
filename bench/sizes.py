"""How much is measured: a quick size for every day, a full one for the page."""

from dataclasses import dataclass

from bench.inputs import MIB


@dataclass(frozen=True)
class Size:
    """The sizes and repeats of one benchmark run."""

    name: str
    repeats: int
    scale_repeats: int
    transcript_bytes: int
    log_bytes: tuple[int, ...]
    pandas_bytes: int
    """How much of the logs pandas reads; its time is scaled."""
    backfill_days: int
    single_days: int
    """How many of these are made with one run per partition."""
    latencies: int
    """How often each query is asked."""
    teams: int
    """Simulated teams a line of the calibration."""
    scale_bytes: tuple[int, ...]
    scale_days: tuple[int, ...]
    scale_developers: tuple[int, ...]


SIZES = {
    size.name: size
    for size in (
        Size(
            "quick",
            repeats=2,
            scale_repeats=1,
            transcript_bytes=100 * MIB,
            log_bytes=(100 * MIB,),
            pandas_bytes=25 * MIB,
            backfill_days=90,
            single_days=1,
            latencies=5,
            teams=20,
            scale_bytes=(25 * MIB, 50 * MIB, 100 * MIB),
            scale_days=(15, 30, 60),
            scale_developers=(8, 16, 32),
        ),
        Size(
            "full",
            repeats=2,
            scale_repeats=1,
            transcript_bytes=500 * MIB,
            log_bytes=(100 * MIB, 1024 * MIB, 5 * 1024 * MIB),
            pandas_bytes=50 * MIB,
            backfill_days=365,
            single_days=5,
            latencies=20,
            teams=60,
            scale_bytes=(128 * MIB, 512 * MIB, 1024 * MIB, 5 * 1024 * MIB),
            scale_days=(30, 90, 365, 1000),
            scale_developers=(8, 50, 500, 5000),
        ),
    )
}
