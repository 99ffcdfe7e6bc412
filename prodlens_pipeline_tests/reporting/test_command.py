"""`prod-lens report` as a user meets it, on a project that is already filled."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from prodlens_pipeline.cli import main
from prodlens_pipeline.reporting.slack import WEBHOOK
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline_tests.places import write_config
from prodlens_pipeline_tests.reporting.projects import fill, opened, refuse, working
from prodlens_pipeline_tests.reporting.webhook import OK, SECRET, Webhook


@pytest.fixture(scope="module")
def folder(models: dict[str, SqlModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    write_config(folder, "team: {name: platform}\n", home=folder / "home")
    with opened(folder) as project:
        fill(project.lake, models, replace(working(effect=True, days=42), pull_requests=8))
    return folder


@dataclass(frozen=True)
class Done:
    code: int
    out: bytes
    err: bytes


@pytest.fixture
def report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Done]:
    """Runs the command in this process, which saves the start of another one."""

    def call(*arguments: str) -> Done:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["prod-lens", "report", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        sys.stdout.flush()
        return Done(int(left.value.code or 0), *capfdbinary.readouterr())

    monkeypatch.delenv("PRODLENS_CONFIG", raising=False)
    monkeypatch.setenv("PRODLENS_HOME", str(folder / "home"))
    monkeypatch.delenv(WEBHOOK, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    return call


def test_as_of_repeats_the_bytes_whatever_was_written_since(folder: Path, report: Callable[..., Done]) -> None:
    first = report("--format", "json")
    assert first.code == 0, first.err
    snapshot = json.loads(first.out)["metadata"]["snapshot"]
    with opened(folder) as project:
        refuse(project.lake, 2)
    assert report("--format", "json", "--as-of", str(snapshot)).out == first.out
    later = json.loads(report("--format", "json").out)
    assert later["metadata"]["snapshot"] > snapshot
    assert later["dead_letters"]


def test_markdown_goes_to_standard_output_and_csv_into_a_folder(report: Callable[..., Done], tmp_path: Path) -> None:
    shown = report("--format", "markdown", "--since", "2026-02-02", "--compare", "previous")
    assert shown.code == 0, shown.err
    assert shown.out.startswith(b"## ProdLens: platform")
    done = report("--format", "csv", "--out", str(tmp_path / "csv"))
    assert done.code == 0, done.err
    assert (tmp_path / "csv" / "README.md").exists()


def test_a_dry_run_prints_the_message_and_needs_no_webhook(report: Callable[..., Done]) -> None:
    done = report("--slack", "--dry-run")
    assert done.code == 0, done.err
    assert json.loads(done.out)["blocks"]


def test_a_place_that_cannot_be_used_is_told_in_a_sentence(report: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        done = report("--format", "csv", "--out", str(tmp_path / place))
        assert done.code == 2
        assert str(tmp_path / "file").encode() in done.err
        assert b"name another place" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--as-of", "soon"), b"--as-of soon: must be the number of a snapshot"),
        (("--compare", "previous"), b"nothing was read in"),
        (("--slack",), b"PRODLENS_SLACK_WEBHOOK is not set"),
        (("--dry-run",), b"--dry-run belongs to --slack"),
        (("--out", "x"), b"--out needs --format"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(report: Callable[..., Done], arguments: tuple[str, ...], words: bytes) -> None:
    done = report(*arguments)
    assert done.code == 2
    assert words in done.err
    assert b"Traceback" not in done.err


def test_a_message_that_is_refused_is_a_failure_without_the_secret(
    report: Callable[..., Done], webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEBHOOK, webhook.url)
    webhook.answers = [(404, "no_service", {})]
    done = report("--slack")
    assert done.code == 1
    assert b"Slack refused the message with status 404: no_service" in done.err
    assert SECRET.encode() not in done.out + done.err
    webhook.answers = [OK]
    assert report("--slack").code == 0
    assert [json.loads(body)["blocks"] for body in webhook.bodies]
