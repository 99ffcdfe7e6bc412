"""What the user decided: `prodlens.yaml` and the environment, as one validated, frozen object.

Belongs here: the shape of the configuration, where it is found, its defaults and its hash.
Does not: anything that acts on it. Secrets never enter this object: rooms read them from the environment.
"""

import getpass
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

CONFIG_NAME = "prodlens.yaml"
DEFAULT_START = date(2015, 1, 1)
"""Where no `start_date` is set: early enough for every capture; days without data cost nothing."""
Capture = Literal["none", "edits", "text"]
BUCKET = "s3://"
"""How the place of data in an S3-compatible store begins."""
_IN_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=-]+)+/?")
_PASSWORD = re.compile(r"://[^/@\s]*:[^@\s]+@")


class SettingsError(Exception):
    """The configuration cannot be used. The message names the file, the key and the value."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Team(_Frozen):
    """Who is measured. `timezone` is for display only: every stored time is UTC."""

    name: str = "team"
    timezone: str = "UTC"


class Source(_Frozen):
    """Where one kind of trace lies: `path` is a file, a folder or a glob, `url` a server and `project` a part of it."""

    type: str
    """A trace format; which there are is known to the traces room."""
    path: str | None = None
    url: str | None = Field(default=None, pattern=r"^https?://[^/@\s]+(/[^@\s?#]*)?$")
    project: str = "default"
    developer: str | None = None
    """Whose traces these are, where the files themselves do not say."""
    capture: Capture = "edits"
    """Which texts are kept, redacted and for at most 30 days: none, suggested edits, or prompts and answers too."""

    @model_validator(mode="after")
    def _lies_in_one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("must have either a path (file, folder or glob) or the url of a server")
        return self

    @property
    def name(self) -> str:
        """Its type and place, by which it is landed."""
        return f"{self.type}:{self.path or f'{self.url}/{self.project}'}"


class GitRepository(_Frozen):
    """A local clone. `name` is `owner/repository`; the same name as of a `github` one means the same repository."""

    type: Literal["git"]
    name: str = Field(min_length=1)
    path: str


class GitHubRepository(_Frozen):
    """Repositories on a GitHub server. `name` is `owner/repository`, or a glob such as `owner/*` for several.

    The credentials come from the environment: `GITHUB_TOKEN`, or those of a GitHub App.
    """

    type: Literal["github"]
    name: str = Field(pattern=r"^[\w.-]+/[\w.*?\[\]!-]+$")
    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://[^/@\s]+(/[^@\s?#]*)?$")

    @field_validator("api_url")
    @classmethod
    def _encrypted_or_local(cls, value: str) -> str:
        address = urlsplit(value)
        if address.scheme == "http" and not _is_this_machine(address.hostname or ""):
            raise ValueError("must begin with https://: the token is sent to it (http:// is for this machine only)")
        return value

    @property
    def is_pattern(self) -> bool:
        """Whether `name` is a glob."""
        return any(sign in self.name for sign in "*?[")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


Repository = Annotated[GitRepository | GitHubRepository, Field(discriminator="type")]
"""A repository whose delivery is read."""


class PolicyRule(_Frozen):
    """Which models are allowed in repositories whose name matches `repo` (both are globs). First match wins."""

    repo: str
    allow: tuple[str, ...]


class WarehouseSettings(_Frozen):
    """`catalog` is `sqlite` or a PostgreSQL URL; `data` is a folder or `s3://bucket/prefix`, for the parquet files.

    Credentials belong in the environment (`PGPASSWORD`, `AWS_ACCESS_KEY_ID`, ...), never in a URL.
    """

    catalog: str = "sqlite"
    data: str | None = None

    @field_validator("catalog")
    @classmethod
    def _known_catalog(cls, value: str) -> str:
        if value != "sqlite" and not value.startswith(("postgres://", "postgresql://")):
            raise ValueError("must be 'sqlite' or a postgresql:// URL")
        if _PASSWORD.search(value):
            raise ValueError("must not hold a password: set PGPASSWORD in the environment instead")
        return value

    @field_validator("data")
    @classmethod
    def _folder_or_bucket(cls, value: str | None) -> str | None:
        if value and "://" in value and not _IN_BUCKET.fullmatch(value):
            raise ValueError("must be a folder or s3://bucket/prefix, without credentials")
        return value


class Retention(_Frozen):
    """How many days details and landed traces are kept; daily figures, sessions and calls are kept for good."""

    detail_days: Annotated[int, Field(gt=0)] = 30
    landing_days: Annotated[int, Field(gt=0)] = 90
    snapshot_days: Annotated[int, Field(ge=0)] = 7
    """How long the lake can be read as it was, and how long deleted rows can thus still be read."""
    survey_days: Annotated[int, Field(gt=0)] = 365
    """How long answers to surveys are kept, landed and in tables; by themselves, apart from traces."""

    @model_validator(mode="after")
    def _details_go_first(self) -> Self:
        if self.detail_days > self.landing_days:
            raise ValueError("detail_days must not be more than landing_days: details are made from what is landed")
        return self


class Survey(_Frozen):
    """Answers of developers about their experience: `path` is a file, a folder or a glob of CSV or JSON lines.

    Answers that are given to `prod-lens survey` need no path.
    """

    path: str | None = None
    capture: Literal["none", "text"] = "none"
    """Whether comments are kept, redacted: text; or dropped before anything is stored: none."""


class Intervention(_Frozen):
    """Something that changed on a day, for some developers or for all: what followed is told by an event study."""

    name: str = Field(min_length=1)
    day: date = Field(alias="date")
    developers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


class Settings(_Frozen):
    """The effective configuration of one project.

    Relative paths are resolved against `root`, the folder of the configuration file.
    """

    root: Path
    home: Path
    team: Team = Team()
    start_date: date = DEFAULT_START
    sources: tuple[Source, ...] = ()
    repositories: tuple[Repository, ...] = ()
    identities: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    model_policy: tuple[PolicyRule, ...] = ()
    thresholds: Mapping[str, float] = Field(default_factory=dict)
    interventions: tuple[Intervention, ...] = ()
    survey: Survey = Survey()
    warehouse: WarehouseSettings = WarehouseSettings()
    retention: Retention = Retention()
    catch_up_days: Annotated[int, Field(gt=0)] = 30
    """How far back an outage is healed without being asked."""
    session_idle_minutes: Annotated[int, Field(gt=0, le=24 * 60)] = 30
    redact: tuple[str, ...] = ()
    """Regular expressions: what they match is redacted in every free text, beside secrets and e-mail addresses."""

    @field_validator("redact")
    @classmethod
    def _valid_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                matches_nothing = re.compile(pattern).search("")
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
            if matches_nothing:
                raise ValueError(f"{pattern!r} matches an empty text, and so would redact between all characters")
        return value

    @field_validator("identities", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("must map a developer to a list of identities")
        return {key: (item,) if isinstance(item, str) else item for key, item in value.items()}

    @model_validator(mode="after")
    def _identity_belongs_to_one(self) -> Self:
        owner: dict[str, str] = {}
        for developer, names in self.identities.items():
            for name in names:
                other = owner.setdefault(name.lower(), developer)
                if other != developer:
                    raise ValueError(f"identity {name!r} is claimed by both {other!r} and {developer!r}")
        return self

    @model_validator(mode="after")
    def _interventions_are_told_apart(self) -> Self:
        names = [one.name for one in self.interventions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two interventions are named {twice[0]!r}")
        for one in self.interventions:
            if unknown := sorted(set(one.developers or ()) - self.identities.keys()):
                raise ValueError(f"intervention {one.name!r} names {unknown[0]!r}, who is no developer of identities")
        return self

    @cached_property
    def config_hash(self) -> str:
        """Sixteen hex digits that change exactly when a setting that can change a figure changes."""
        return _digest(self._figures)

    @cached_property
    def config_digests(self) -> Mapping[str, str]:
        """The same for each top-level key that is set: what changed can be told without keeping what it was."""
        return {key: _digest(value) for key, value in sorted(self._figures.items())}

    @property
    def _figures(self) -> dict[str, Any]:
        """The settings that can change a figure; defaults are left out, so that a new setting changes no hash."""
        no_figure = {"root", "home", "warehouse", "retention", "catch_up_days"}
        return self.model_dump(mode="json", exclude=no_figure, exclude_defaults=True)

    @property
    def landing(self) -> Path:
        """The folder of the landing zone."""
        return self.home / "landing"

    def resolve(self, path: str) -> Path:
        """`path` as an absolute path: `~` expanded, relative to the configuration's folder."""
        expanded = Path(path).expanduser()
        return expanded if expanded.is_absolute() else self.root / expanded


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def find_config(start: Path) -> Path | None:
    """The nearest `prodlens.yaml` in `start` or a folder above it."""
    for folder in (start, *start.parents):
        candidate = folder / CONFIG_NAME
        if candidate.is_file():
            return candidate
    return None


def load_settings(config: Path | None = None, *, cwd: Path | None = None) -> Settings:
    """Settings from `config`, else `PRODLENS_CONFIG`, else the nearest `prodlens.yaml`, else what is detected here.

    `PRODLENS_HOME` moves the state folder (default `.prod-lens/` beside the configuration).

    Raises:
        SettingsError: the file is missing, is no YAML, or a value is not allowed.
    """
    cwd = (cwd or Path.cwd()).resolve()
    named = config or (Path(os.environ["PRODLENS_CONFIG"]) if os.environ.get("PRODLENS_CONFIG") else None)
    path = named.expanduser().resolve() if named else find_config(cwd)
    if path is None:
        return _build(detect(cwd), root=cwd, origin=f"{cwd} (no {CONFIG_NAME}: detected)")
    return _build(_read_yaml(path), root=path.parent, origin=str(path))


def detect(folder: Path) -> dict[str, Any]:
    """The configuration that fits `folder` without being told: its git clone and `~/.claude/projects`.

    The person who runs it is the one whose transcripts lie in their home folder, so their git e-mail and their
    transcripts are one developer; nobody else is guessed.
    """
    found: dict[str, Any] = {"sources": [], "repositories": []}
    transcripts = Path("~/.claude/projects").expanduser()
    if transcripts.is_dir():
        found["sources"].append({"type": "claude_code", "path": "~/.claude/projects"})
    if _git(folder, "rev-parse", "--git-dir") is not None:
        name = _repository_name(_git(folder, "remote", "get-url", "origin")) or folder.name
        found["repositories"].append({"type": "git", "name": name, "path": "."})
    email = _git(folder, "config", "user.email")
    if email:
        mailbox = email.split("@")[0]
        # GitHub's private addresses are `number+login@`; elsewhere what follows a plus is not the name.
        developer = mailbox.split("+")[-1 if email.endswith("@users.noreply.github.com") else 0]
        found["identities"] = {developer: [email, f"claude_code:{getpass.getuser()}"]}
    return found


def _repository_name(url: str | None) -> str | None:
    """`owner/repository` of a remote URL, without host, user or credentials."""
    if not url:
        return None
    parts = url.removesuffix(".git").replace(":", "/").rstrip("/").split("/")
    return "/".join(parts[-2:]) if len(parts) >= 2 and all(parts[-2:]) else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


class _PlainLoader(yaml.SafeLoader):
    """Leaves dates as text, so that a wrong one is reported with its key like any other wrong value."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); check --config or PRODLENS_CONFIG") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must be a mapping of settings, not a {type(content).__name__}")
    return content


def _build(values: dict[str, Any], *, root: Path, origin: str) -> Settings:
    home = Path(os.environ.get("PRODLENS_HOME") or root / ".prod-lens").expanduser()
    home = home if home.is_absolute() else Path.cwd() / home
    reserved = {"root", "home"} & values.keys()
    if reserved:
        raise SettingsError(
            f"{origin}: key {sorted(reserved)[0]!r} is not a setting; use PRODLENS_HOME for the state folder"
        )
    try:
        return Settings(root=root, home=home, **values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(origin, item) for item in error.errors())) from error
    except TypeError as error:  # a key that is no string
        raise SettingsError(f"{origin}: every key must be text: {error}") from error


def _explain(origin: str, error: Any) -> str:
    # Of a repository, pydantic puts its type between the place in the list and the key.
    place = [part for at, part in enumerate(error["loc"]) if at != 2 or error["loc"][0] != "repositories"]
    key = ".".join(map(str, place)) or "(top level)"
    value = _PASSWORD.sub("://***@", f"{error['input']!r:.200}")
    return f"{origin}: {key}: {error['msg']} (value: {value})"
