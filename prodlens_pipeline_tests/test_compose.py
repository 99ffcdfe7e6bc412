"""The files that containers are made of: valid, without secrets, and naming only what there is.

Nothing here starts a container; docs/scaling.md says what that leaves open.
"""

import fnmatch
import importlib
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from prodlens_pipeline.traces.registry import formats

ROOT = Path(__file__).parents[1]
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*))?\}")
OWN_IMAGE = "prodlens:"
SECRETS = (
    "PGPASSWORD",
    "REDIS_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "ARIZE_API_KEY",
    "GITHUB_TOKEN",
    "PRODLENS_SLACK_WEBHOOK",
)


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docker-compose.yml").read_text()


@pytest.fixture(scope="module")
def compose(text: str) -> dict[str, Any]:
    """As Compose reads it in an empty environment, without its fragments (`x-...`)."""
    interpolated = VARIABLE.sub(lambda found: found[2] or "", text)
    return {key: part for key, part in yaml.safe_load(interpolated).items() if not key.startswith("x-")}


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


def test_it_keeps_to_the_compose_specification(compose: dict[str, Any]) -> None:
    assert PyCompose.from_yaml(yaml.safe_dump(compose)).service_names()
    broken = {**compose, "services": {**compose["services"], "daemon": {"imagine": "postgres:17.6"}}}
    with pytest.raises(ValueError, match="imagine"):
        PyCompose.from_yaml(yaml.safe_dump(broken))


def test_everything_that_is_named_is_there(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        named = [str(volume).split(":")[0] for volume in service.get("volumes", [])]
        assert {volume for volume in named if "/" not in volume} <= compose["volumes"].keys(), name
        assert {config["source"] for config in service.get("configs", [])} <= compose["configs"].keys(), name
        for other in service.get("depends_on", {}):
            assert set(service["profiles"]) <= set(services[other]["profiles"]), f"{name} needs {other}"


def test_each_profile_has_its_services(services: dict[str, dict[str, Any]]) -> None:
    profiles: dict[str, set[str]] = {}
    for name, service in services.items():
        for profile in service["profiles"]:
            profiles.setdefault(profile, set()).add(name)
    assert profiles == {
        "local": {"dagster"},
        "phoenix": {"dagster", "phoenix", "database"},
        "arize": {"dagster", "collector"},
        "cluster": {"database", "store", "broker", "bucket", "pools", "code", "worker", "webserver", "daemon"},
        "run": {"run"},
    }
    for profile, names in profiles.items():
        ports = [port for name in names for port in services[name].get("ports", [])]
        assert len(ports) == len(set(ports)), f"{profile} opens a port twice"


def test_every_command_of_the_image_exists(services: dict[str, dict[str, Any]]) -> None:
    scripts = {script.name for script in entry_points(group="console_scripts")}
    commands = [
        words[0]
        for service in services.values()
        if str(service.get("image")).startswith(OWN_IMAGE)
        for words in (service["command"], service.get("healthcheck", {}).get("test", ["CMD", "prod-lens"])[1:])
    ]
    assert len(commands) > 8
    assert set(commands) <= scripts


def test_nobody_is_root_or_reachable_from_outside_and_all_are_watched(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        own = str(service["image"]).startswith(OWN_IMAGE)
        assert not own or service["user"] == "1000:1000", name
        once = name in {"run", "bucket"}
        assert once or own or "healthcheck" in service, name


def test_images_are_pinned_and_secrets_come_from_the_environment(
    text: str, services: dict[str, dict[str, Any]]
) -> None:
    for name, service in services.items():
        assert re.search(r":[\w.-]*\d+\.\d+|:RELEASE\.\d{4}-", service["image"]), f"{name} has no version"
    told = dict(line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line)
    assert {name for name, _ in VARIABLE.findall(text)} <= told.keys()
    assert {secret: told[secret] for secret in SECRETS} == dict.fromkeys(SECRETS, "")
    for secret in SECRETS:
        assert not [default for name, default in VARIABLE.findall(text) if name == secret and default]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_image_takes_in_what_it_needs_and_no_secret() -> None:
    instructions = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]

    def taken_in(path: str) -> bool:
        wanted = False
        for pattern in patterns:
            if fnmatch.fnmatch(path, pattern.removeprefix("!")):
                wanted = pattern.startswith("!")
        return wanted

    copied = [
        word
        for line in instructions
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert taken_in(path), f"{path} is copied but .dockerignore leaves it out"
    assert not [path for path in (".env", ".git", "demo", "prodlens.yaml") if taken_in(path)]
    assert all("--require-hashes" in line for line in instructions if "pip install" in line and "-r " in line)
    assert [line for line in instructions if line.startswith("USER ")] == ["USER 1000"]
    assert any(line.startswith("HEALTHCHECK ") for line in instructions)


def test_the_lock_of_the_image_holds_all_that_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements-cluster.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    declared = project["project"]["dependencies"] + project["dependency-groups"]["cluster"]
    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement
    assert lock.count("--hash=sha256:") >= len(locked)


def test_versions_and_settings_that_are_told_twice_agree(compose: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    helm = (ROOT / "docs" / "helm-values.yaml").read_text()
    (deployment,) = yaml.safe_load(helm)["dagster-user-deployments"]["deployments"]
    version = project["project"]["version"]
    assert deployment["image"]["tag"] == version
    assert compose["services"]["code"]["image"] == f"prodlens:{version}"
    (chart,) = re.findall(r"--version (\S+)", helm)
    assert f"dagster=={chart}" in project["project"]["dependencies"]
    (phoenix,) = project["dependency-groups"]["phoenix"]
    assert f":version-{phoenix.split('==')[1]}-" in compose["services"]["phoenix"]["image"]

    alone = yaml.safe_load((ROOT / "prodlens_pipeline" / "automation" / "dagster.yaml").read_text())
    served = yaml.safe_load(compose["configs"]["dagster"]["content"])
    assert _importable(served["run_launcher"]) and _importable(served["event_log_storage"])
    for key in ("telemetry", "nux", "run_monitoring", "retention"):
        assert served[key] == alone[key], key
    assert served["concurrency"]["pools"] == alone["concurrency"]["pools"]


def test_traces_for_arize_are_also_written_as_a_source_reads_them(compose: dict[str, Any]) -> None:
    config = yaml.safe_load(compose["configs"]["collector"]["content"].replace("$$", "$"))
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == config[kind].keys()
    headers = config["exporters"]["otlp/arize"]["headers"]
    passed = compose["services"]["collector"]["environment"]
    assert {value.removeprefix("${env:").removesuffix("}") for value in headers.values()} == passed.keys()
    assert formats()["otlp"].form.pattern and config["exporters"]["file"]["path"].endswith(".jsonl")


def _importable(configured: dict[str, Any]) -> bool:
    return hasattr(importlib.import_module(configured["module"]), configured["class"])
