"""The command line as a user meets it: in a process of its own, in a folder of its own."""

import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from prodlens_pipeline.demo import prepare, verdict
from prodlens_pipeline.settings import load_settings
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.places import on_place

ANSI = re.compile(r"\x1b\[")


def prod_lens(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    home = cwd / "home"
    home.mkdir(exist_ok=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PRODLENS_", "DAGSTER_"))}
    return subprocess.run(
        [sys.executable, "-m", "prodlens_pipeline.cli", *arguments],
        cwd=cwd,
        env=clean | {"HOME": str(home), "COLUMNS": "100", "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> Path:
    """A small team, read once by `prod-lens run`."""
    folder = tmp_path_factory.mktemp("team")
    write(simulate(Team(developers=3, days=28, effect=0.6)), folder)
    on_place(folder / "prodlens.yaml")
    done = prod_lens("run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def rows(folder: Path, query: str) -> list[dict[str, object]]:
    done = prod_lens("sql", query, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_gives_the_totals_of_the_simulation(team):
    truth = json.loads((team / "truth.json").read_text())
    people = [row for row in truth["daily"] if row["developer"] in truth["developers"]]

    (found,) = rows(
        team,
        "select sum(sessions)::int as sessions, sum(calls)::int as calls, sum(commits)::int as commits, "
        "sum(output_tokens)::int as output_tokens, sum(cache_read_tokens)::bigint as cache_read_tokens "
        "from marts.daily_developer where not is_bot and developer_id not like 'unknown:%' and day >= '2026-01-05'",
    )

    assert found == {key: sum(row[key] for row in people) for key in found}


def test_the_true_effect_stands_beside_the_estimate(team):
    truth = prepare(team, developers=3, days=28, effect=0.6, seed=0, end=date(2026, 1, 1))
    with open_lake(Location.of(load_settings(team / "prodlens.yaml")), read_only=True) as lake, lake.reading():
        words = verdict(lake, truth)
    known = json.loads((team / "truth.json").read_text())["effect_pct"]
    assert f"true effect  {known:+.1f}%" in words
    assert "1 working day later" in words
    assert "the truth)" in words


def test_a_second_run_finds_nothing_new(team):
    written = (
        "select (select count(*) from ops.landing_chunks) as chunks, "
        "(select count(*) from ops.etl_runs where starts_with(asset, 'analysis.')) as analyses"
    )
    before = rows(team, written)
    done = prod_lens("run", cwd=team)
    assert done.returncode == 0
    assert "every day is up to date" in done.stdout
    assert rows(team, written) == before


def test_a_run_that_ended_before_the_analyses_is_made_up_for(team):
    with open_lake(Location.of(load_settings(team / "prodlens.yaml"))) as lake, lake.transaction():
        lake.execute("delete from ops.etl_runs where asset = 'analysis.scorecard'")
    assert prod_lens("run", cwd=team).returncode == 0
    assert rows(team, "select asset from ops.etl_runs where asset = 'analysis.scorecard'")


def test_nothing_is_left_outside_of_the_project(team):
    assert [path.name for path in (team / "home").iterdir()] == []
    assert (team / ".prod-lens" / "dagster" / "dagster.yaml").exists()


def test_the_report_is_plain_text_where_there_is_no_terminal(team):
    done = prod_lens("report", cwd=team)
    assert done.returncode == 0, done.stderr
    assert not ANSI.search(done.stdout)
    assert "sessions" in done.stdout.lower()


def test_the_html_report_is_one_file(team, tmp_path):
    done = prod_lens("report", "--format", "html", "--out", str(tmp_path / "out"), cwd=team)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").iterdir()
    assert path.read_text().lstrip().lower().startswith("<!doctype html>")


def test_sql_gives_csv_and_refuses_to_write(team):
    done = prod_lens("sql", "select 1 as a, null as b", "--format", "csv", cwd=team)
    assert done.stdout == "a,b\n1,\n"
    refused = prod_lens("sql", "delete from core.llm_calls", cwd=team)
    assert refused.returncode == 2
    assert "read-only" in refused.stderr
    wrong = prod_lens("sql", "select nothing from nowhere", cwd=team)
    assert wrong.returncode == 2 and "nowhere" in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_dry_run_changes_nothing(tmp_path):
    write(simulate(Team(developers=1, days=7)), tmp_path)
    done = prod_lens("run", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "files" in done.stdout
    assert not (tmp_path / ".prod-lens").exists()


def test_bad_input_hinders_nothing_beside_it(tmp_path):
    write(simulate(Team(developers=2, days=7)), tmp_path)
    log = next(iter(sorted((tmp_path / "logs" / "litellm").glob("*.jsonl"))))
    lines = log.read_text().splitlines()
    wrong_type = json.dumps(json.loads(lines[0]) | {"prompt_tokens": "many", "litellm_call_id": "x"})
    no_start = json.dumps({key: value for key, value in json.loads(lines[0]).items() if key != "startTime"})
    log.write_text("\n".join([*lines, "{garbage", wrong_type, no_start, lines[0][:50]]))
    (log.parent / "empty.jsonl").touch()
    config = tmp_path / "prodlens.yaml"
    config.write_text(config.read_text().replace("path: repos/api", "path: repos/missing"))
    on_place(config)

    done = prod_lens("run", cwd=tmp_path)

    assert done.returncode == 1
    assert "missing" in done.stderr and "Traceback" not in done.stderr
    letters = rows(tmp_path, "select status, reason from ops.dead_letters order by line")
    assert [letter["status"] for letter in letters] == ["rejected", "rejected", "rejected", "pending"]
    assert "prompt_tokens" in letters[1]["reason"] and "startTime" in letters[2]["reason"]
    (count,) = rows(
        tmp_path, "select sum(lines)::int as read, sum(accepted + rejected)::int as kept from ops.landing_chunks"
    )
    assert count["read"] == count["kept"]
    (good,) = rows(tmp_path, f"select count(*) as n from raw.litellm where source_file like '%{log.name}'")
    assert good["n"] == len(lines)
    (commits,) = rows(tmp_path, "select count(distinct repo) as repos from core.commits")
    assert commits["repos"] == 1


def test_without_configuration_the_clone_and_the_transcripts_of_this_folder_are_read(tmp_path):
    write(simulate(Team(developers=1, days=7, repositories=1)), tmp_path / "team")
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    (tmp_path / "team" / "claude" / "projects").rename(home / ".claude" / "projects")
    clone = next((tmp_path / "team" / "repos").iterdir()).rename(tmp_path / "clone")

    done = prod_lens("run", "--from", "2026-01-05", "--to", "2026-01-11", cwd=clone, HOME=str(home))

    assert done.returncode == 0, done.stderr
    query = "select (select count(*) from core.llm_calls) as calls, (select count(*) from core.commits) as commits"
    done = prod_lens("sql", query, "--format", "json", cwd=clone, HOME=str(home))
    (found,) = json.loads(done.stdout)
    assert found["calls"] > 0 and found["commits"] > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sources: [{type: gopher, path: x}]", ["sources.0.type", "gopher"]),
        ("start_date: soon", ["start_date", "soon"]),
        ("team: [", ["not valid YAML"]),
        ("unknown_key: 1", ["unknown_key"]),
    ],
)
def test_a_wrong_configuration_is_named_by_file_key_and_value(tmp_path, content, words):
    (tmp_path / "prodlens.yaml").write_text(content)
    done = prod_lens("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "prodlens.yaml" in done.stderr and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_before_the_first_run_a_report_says_what_to_do(tmp_path):
    done = prod_lens("report", cwd=tmp_path)
    assert done.returncode == 2
    assert "prod-lens run" in done.stderr


def test_init_writes_a_configuration_that_loads_and_is_not_overwritten(tmp_path):
    assert prod_lens("init", cwd=tmp_path).returncode == 0
    assert prod_lens("doctor", cwd=tmp_path).returncode == 0
    again = prod_lens("init", cwd=tmp_path)
    assert again.returncode == 2 and "--force" in again.stderr


def test_doctor_says_how_fresh_the_figures_are(team):
    done = prod_lens("doctor", cwd=team)
    said = done.stdout.replace("\n", " ")
    assert done.returncode == 0, said
    assert "litellm:logs/litellm/*.jsonl: something new was last collected 0." in said
    assert re.search(r"every table is made until 2026-\d\d-\d\d; 'prod-lens run' makes later days", said)


def test_doctor_names_what_is_missing(tmp_path):
    (tmp_path / "prodlens.yaml").write_text(
        "sources: [{type: litellm, path: 'no/*.jsonl'}]\nrepositories: [{type: git, name: org/app, path: nowhere}]\n"
    )
    done = prod_lens("doctor", cwd=tmp_path)
    assert done.returncode == 1
    assert "no/*.jsonl" in done.stdout and "nowhere" in done.stdout and "Traceback" not in done.stderr
