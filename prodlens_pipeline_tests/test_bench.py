"""The benchmark measures what it says: its inputs are new calls, its contenders agree, its page hides nothing."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from bench import document, inputs, measure
from bench.contenders import logs, transcripts
from bench.measure import Contender, ContenderError, Measured, Sample, interleaved, ratio
from bench.rows.scaling import exponent
from bench.sizes import SIZES
from bench.table import Result, Table, Target


def program(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


def test_contenders_take_turns_and_print_figures(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    write = f"open({str(trace)!r}, 'a').write"
    first = Contender("first", program(f"{write}('a'); print('hello'); print('{{\"n\": 1}}')"))
    second = Contender("second", program(f"{write}('b'); print('{{\"took\": 8}}')"), share=0.5, timed="took")
    a, b = interleaved([first, second], 2)
    assert trace.read_text() == "abab"
    assert (a.figures, b.seconds) == ({"n": 1}, 16)
    assert all(sample.seconds > 0 and sample.peak_mib > 1 for sample in a.samples)


def test_the_memory_of_several_processes_counts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "WATCHED_SECONDS", 0.05)
    hold = "import time; held = bytearray(60 * 2**20); time.sleep(1)"
    start = (
        f"import subprocess, sys; one = [sys.executable, '-S', '-c', {hold!r}]; "
        "[process.wait() for process in [subprocess.Popen(one), subprocess.Popen(one)]]"
    )
    ((sample,),) = [one.samples for one in interleaved([Contender("both", program(start))], 1)]
    assert sample.peak_mib > 120


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(ContenderError, match=r"exit 3\n.*no such thing"):
        interleaved([Contender("bad", program("import sys; sys.stderr.write('no such thing'); sys.exit(3)"))], 1)


def test_ratios_are_of_neighbours() -> None:
    def measured(*seconds: float) -> Measured:
        return Measured(Contender("x", []), tuple(Sample(one, one, 1, {}) for one in seconds))

    assert ratio(measured(2, 30, 4), measured(1, 10, 4)) == (2, 1, 3)


def test_the_exponent_of_a_square_is_two() -> None:
    assert exponent(pl.DataFrame({"size": [1, 2, 4], "cpu_seconds": [3, 12, 48]})) == pytest.approx(2)


def test_every_transcript_copy_adds_the_true_tokens(captures: Path, tmp_path: Path) -> None:
    capture = captures / "traces" / "claude_code"
    size = sum(path.stat().st_size for path in capture.rglob("projects/**/*.jsonl"))
    one = transcripts.duckdb_totals(inputs.transcripts(tmp_path / "one", size))
    two = transcripts.duckdb_totals(inputs.transcripts(tmp_path / "two", size + size // 2))
    expected = json.loads((capture / "expected.json").read_text())["tokens_max_per_message_incl_agent_progress"]
    assert one["output_tokens"] == expected["output_tokens"]
    assert one["cache_read_tokens"] == expected["cache_read_input_tokens"]
    # messages whose ids were made up by hand keep them, and so are counted once
    assert 1.99 < two["cache_read_tokens"] / one["cache_read_tokens"] <= 2
    assert 1.98 < two["calls"] / one["calls"] <= 2


@pytest.mark.parametrize("kind", ["gateway", "spans"])
def test_duckdb_and_polars_sum_the_same(captures: Path, tmp_path: Path, kind: str) -> None:
    assert captures.is_dir()
    make = {"gateway": inputs.gateway_log, "spans": inputs.spans}[kind]
    files = sorted(make(tmp_path / kind, 9 * inputs.MIB).glob("*.jsonl"))
    floor, other = logs.READERS["duckdb", kind](files), logs.READERS["polars", kind](files)
    assert floor["records"] == len(files) * {"gateway": 556, "spans": 1555}[kind]
    assert {name: pytest.approx(value) for name, value in floor.items()} == other


def test_the_page_says_what_fell_short_and_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "PACKAGES", ("duckdb",))
    table = Table("Lines", ["contender"], [["a|b"]])
    result = Result(1, "Reading", [table], [Target("fast", "9x", False, "it checks"), Target("right", "equal", True)])
    page = document.write([result], {"backfill": "no git"}, SIZES["quick"], 60, tmp_path).read_text()
    assert "| 1 | fast | 9x | **no** | it checks |" in page
    assert "| 1 | right | equal | yes |  |" in page
    assert "a\\|b" in page
    assert "- backfill: no git" in page
    assert json.loads((tmp_path / "benchmarks.json").read_text())["results"][0]["title"] == "Reading"
