"""Requests to one GitHub server: conditional, patient, and silent about credentials.

Belongs here: sending, waiting, retrying, paging, and saying what went wrong. Does not: which resources there are.
Nothing is ever sent to another server than the configured one, whatever an answer asks for.
"""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import github
import orjson
from github.GithubException import GithubException
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, RequestsResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from requests import RequestException
from requests.utils import parse_header_links
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from prodlens_pipeline.delivery.github.cache import ResponseCache, Stored
from prodlens_pipeline.delivery.github.quota import Quota, quota_of
from prodlens_pipeline.landing.intake import explain
from prodlens_pipeline.landing.redaction import Redactor, redact_secrets

PER_PAGE = 100
_TIMEOUT_SECONDS = 60
_LONGEST_BACKOFF_SECONDS = 60.0
_MOST_REDIRECTS = 5
_REDIRECTS = (302, 307, 308)
_REST, _GRAPHQL = "core", "graphql"
"""How GitHub calls the resources whose use it limits."""
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class GitHubError(Exception):
    """GitHub did not answer as it should: what was asked, what came, what to do."""


class RefusedError(GitHubError):
    """The credentials are missing or wrong: nothing else will be answered either."""


class NotShownError(GitHubError):
    """This one thing is not to be had: it does not exist, is blocked, switched off, or the credentials do not show it.

    `status` is the HTTP status that says so.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(GitHubError):
    """Nothing useful came, however often it was asked for."""


class OutOfQuotaError(GitHubError):
    """The limit allows no more requests for longer than we wait."""


class UnexpectedAnswerError(GitHubError):
    """An answer that is valid JSON but not what GitHub documents."""


class _PassingError(Exception):
    """Worth another attempt, after `wait` seconds where the server says so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How long to put up with a server, in seconds.

    `attempts` per request; `backoff` is the unit of the growing pauses between them. `secondary_wait`: GitHub asks to
    wait a minute at a limit where it does not say how long. `longest_wait`: of all waiting in one collection.
    """

    attempts: int = 8
    backoff: float = 1.0
    secondary_wait: float = 60.0
    longest_wait: float = 900.0


@dataclass
class Usage:
    """Requests of one collection; those that were not modified cost no quota."""

    rest: int = 0
    not_modified: int = 0
    graphql: int = 0

    @property
    def billed(self) -> int:
        """Requests that count against a limit."""
        return self.rest - self.not_modified + self.graphql


class QueryError(BaseModel):
    """One of the errors of a GraphQL answer. `path` leads to the field that it left without a value."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    message: str = "it does not say why"
    path: list[str | int] | None = None


_QUERY_ERRORS = TypeAdapter(list[QueryError])


@dataclass(frozen=True)
class _Page(Generic[_T]):
    """`following` is the query that the next page is asked for by; None where there is none."""

    value: _T
    following: dict[str, str] | None


class _RedirectedError(Exception):
    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target


class _Plain(HTTPRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _not_followed(super().getresponse())


class _Encrypted(HTTPSRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _not_followed(super().getresponse())


def _not_followed(response: RequestsResponse) -> RequestsResponse:
    """PyGithub follows a 301 by itself and loses its query; it leaves us the status that means the same."""
    if response.status == 301:
        response.status = 308
    return response


def _connection(api_url: str) -> _Plain | _Encrypted:
    address = urlsplit(api_url)
    kind = _Encrypted if address.scheme == "https" else _Plain
    return kind(address.hostname or "", address.port, timeout=_TIMEOUT_SECONDS)


def credentials() -> github.Auth.Auth | None:
    """What the environment holds: a token, else a GitHub App; None where it holds neither.

    Raises:
        RefusedError: an App is named, but not completely.
    """
    token = os.environ.get("GITHUB_TOKEN", "").strip()
    if token:
        return github.Auth.Token(token)
    app = os.environ.get("GITHUB_APP_ID", "").strip()
    if not app:
        return None
    installation = os.environ.get("GITHUB_APP_INSTALLATION_ID", "").strip()
    if not installation.isdecimal():
        raise RefusedError("GITHUB_APP_ID is set, but GITHUB_APP_INSTALLATION_ID is not a number: set both")
    return github.Auth.AppAuth(app, _private_key()).get_installation_auth(int(installation))


def _private_key() -> str:
    key = os.environ.get("GITHUB_APP_PRIVATE_KEY", "")
    path = os.environ.get("GITHUB_APP_PRIVATE_KEY_PATH", "")
    if key:
        return key.replace("\\n", "\n")
    if not path:
        raise RefusedError("GITHUB_APP_ID is set: set GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_PATH too")
    try:
        return Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            f"GITHUB_APP_PRIVATE_KEY_PATH: {path} cannot be read ({type(error).__name__}); name the App's .pem file"
        ) from None


class Client:
    """One server; without credentials it shows public repositories only, and slowly.

    `usage` counts its requests; `quotas` holds, by resource, what it last said of its limits.
    """

    def __init__(self, api_url: str, cache: ResponseCache, patience: Patience) -> None:
        auth = credentials()
        self.api_url = api_url.rstrip("/")
        self.usage = Usage()
        self.quotas: dict[str, Quota] = {}
        self._cache = cache
        self._patience = patience
        self._waited = 0.0
        self._page_size = PER_PAGE
        self._secrets = [auth.token] if isinstance(auth, github.Auth.Token) else []
        self.has_credentials = auth is not None
        self._connection = _connection(self.api_url)
        # We retry ourselves: PyGithub neither retries broken bodies nor lets anybody see that it waits.
        self._github = github.Github(
            auth=auth,
            base_url=self.api_url,
            timeout=_TIMEOUT_SECONDS,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,  # A GraphQL query is a POST, but writes nothing.
        )

    def close(self) -> None:
        """Close the connection to the server."""
        self._connection.close()
        self._github.close()

    def quota(self) -> str:
        """What is left of the limit, as the last answer told, in words."""
        who = "with" if self.has_credentials else "without"
        return ", ".join([*map(str, self.quotas.values()), f"{who} credentials"])

    def get(self, path: str, shape: TypeAdapter[_T], **parameters: str | int) -> _T:
        """One resource; of its JSON only what `shape` keeps."""
        return self._page(path, shape, _texts(parameters)).value

    def pages(self, path: str, shape: TypeAdapter[_T], **parameters: str | int) -> Iterator[_T]:
        """Every page of a list."""
        asked: dict[str, str] | None = {**_texts(parameters), "per_page": str(PER_PAGE), "page": "1"}
        before: list[dict[str, str]] = []
        while asked is not None:
            if asked in before:
                raise UnexpectedAnswerError(f"{self._place(path)}: a page is followed by an earlier one")
            before.append(asked)
            page = self._page(path, shape, asked)
            yield page.value
            asked = page.following

    @property
    def attempts(self) -> int:
        """How often a request is sent at the most."""
        return self._patience.attempts

    def graphql(self, query: str, variables: dict[str, Any], attempts: int) -> tuple[Any, list[QueryError]]:
        """The data of a query (None where there is none) and its errors."""
        self.usage.graphql += 1
        question = {"query": query, "variables": variables}
        _, _, text = self._send("POST", self._github.requester.graphql_url, {}, {}, question, attempts)
        answer = orjson.loads(text)
        if not isinstance(answer, dict):
            raise UnexpectedAnswerError("GraphQL answered with something else than an object")
        try:
            errors = _QUERY_ERRORS.validate_python(answer.get("errors") or [])
        except ValidationError as error:
            raise UnexpectedAnswerError(f"the errors of a GraphQL answer: {explain(error)}") from None
        return answer.get("data"), [e.model_copy(update={"message": self._clean(e.message)[:200]}) for e in errors]

    def _page(self, path: str, shape: TypeAdapter[_T], asked: dict[str, str]) -> _Page[_T]:
        url = f"{self._place(path)}?{urlencode(sorted(asked.items()))}"
        stored = self._cache.find(url)
        condition = {"If-None-Match": stored.etag} if stored else {}
        self.usage.rest += 1
        status, headers, text = self._send("GET", path, asked, condition, None, self.attempts)
        if status == 304 and stored:
            self.usage.not_modified += 1
            try:
                value = shape.validate_json(stored.body)
            except ValidationError:  # an older program kept it in another shape
                self._cache.forget(url)
                return self._page(path, shape, asked)
            return _Page(value, self._following(value, asked, stored.following))
        try:
            value = shape.validate_json(text)
        except ValidationError as error:
            raise UnexpectedAnswerError(f"{self._place(path)}: {explain(error)}") from None
        following = _next_query(headers.get("link", ""))
        if following:
            self._learn_page_size(value)
        if "etag" in headers:
            body = redact_secrets(shape.dump_json(value))
            self._cache.keep(url, Stored(headers["etag"], body, following))
            # As it will be read from the cache: the same answer must not look changed the next time.
            value = shape.validate_json(body)
        return _Page(value, asked | following if following else None)

    def _following(
        self, value: object, asked: dict[str, str], following: dict[str, str] | None
    ) -> dict[str, str] | None:
        """What to ask for after a page that did not change.

        A page that was the last one stays as it is when another follows it: where it is full, it may not be the last
        any more. A server may give fewer items by page than it is asked for, which a page with a next one shows.
        """
        if following:
            self._learn_page_size(value)
            return asked | following
        if _items(value) < self._page_size or "page" not in asked:
            return None
        return asked | {"page": str(int(asked["page"]) + 1)}

    def _learn_page_size(self, value: object) -> None:
        self._page_size = min(self._page_size, _items(value) or PER_PAGE)

    def _place(self, path: str) -> str:
        return f"{self.api_url}{path}"

    def _send(
        self,
        verb: str,
        path: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: dict[str, Any] | None,
        attempts: int,
    ) -> tuple[int, dict[str, str], str]:
        """Ask until there is an answer or a reason to stop, also where the server has moved it to."""
        for _ in range(_MOST_REDIRECTS):
            try:
                return self._persist(verb, path, parameters, headers, body, attempts)
            except _RedirectedError as moved:
                path, query = self._own_address(moved.target)
                # GitHub's addresses of renamed repositories come with the query, others' without.
                parameters = query or parameters
        raise GitHubError(f"{path}: redirected {_MOST_REDIRECTS} times; check the name of the repository and api_url")

    def _own_address(self, target: str) -> tuple[str, dict[str, str]]:
        """Path and query of an address on this server.

        Raises:
            GitHubError: it is on another: the credentials are not for that one.
        """
        own, other = urlsplit(self.api_url), urlsplit(target)
        if other.netloc and _server_of(other) != _server_of(own):
            raise GitHubError(
                f"{self.api_url} redirects to {other.scheme}://{other.netloc}, another server, which is not asked; "
                "if it is the right one, set api_url to it"
            )
        return f"{own.scheme}://{own.netloc}{other.path}", dict(parse_qsl(other.query))

    def _persist(
        self,
        verb: str,
        path: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: dict[str, Any] | None,
        attempts: int,
    ) -> tuple[int, dict[str, str], str]:
        place = path if path.startswith("http") else self._place(path)
        retrying = Retrying(
            retry=retry_if_exception_type(_PassingError),
            stop=stop_after_attempt(attempts),
            wait=self._pause,
            sleep=lambda seconds: self._sleep(seconds, place),
            reraise=True,
        )
        try:
            return retrying(self._attempt, verb, path, place, parameters, headers, body)
        except _PassingError as error:
            raise UnreachableError(
                f"{place}: {self._clean(str(error))}, {attempts} times in a row; "
                "run again later: it goes on where it stopped"
            ) from None

    def _attempt(
        self,
        verb: str,
        path: str,
        place: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: dict[str, Any] | None,
    ) -> tuple[int, dict[str, str], str]:
        try:
            # PyGithub adds its own headers to the mapping it is given.
            status, answered, text = self._github.requester.requestJson(
                verb, path, parameters, dict(headers), body, cnx=self._connection
            )
        except (RequestException, ValueError) as error:  # ValueError: of a header that should be a number
            raise _PassingError(f"no answer ({type(error).__name__})") from None
        except GithubException as error:  # while an App asks for its token
            raise RefusedError(f"{self.api_url}: the GitHub App was refused (HTTP {error.status})") from None
        except RuntimeError as error:  # an App's token is asked for elsewhere than at `api_url`
            raise GitHubError(f"{self.api_url}: {self._clean(str(error))}") from None
        quota = quota_of(answered, _REST if body is None else _GRAPHQL)
        if quota:
            self.quotas[quota.resource] = quota
        if status in _REDIRECTS and answered.get("location"):
            raise _RedirectedError(answered["location"])
        if status == 304 and "If-None-Match" in headers:
            return status, answered, ""
        if (status >= 500 and status != 501) or status in (304, 408):
            raise _PassingError(f"HTTP {status}")
        if status >= 300:
            raise self._refusal(status, answered, text, place)
        _require_json(text)
        return status, answered, text

    def _refusal(self, status: int, headers: dict[str, str], text: str, place: str) -> Exception:
        message = self._clean(_message(text))
        wait = self._limit_wait(status, headers, message)
        if wait is not None:
            return _PassingError(f"HTTP {status}, limit reached", wait)
        told = f"{place}: HTTP {status}" + (f" ({message})" if message else "")
        need = "check that GITHUB_TOKEN is valid and may read" if self.has_credentials else "set GITHUB_TOKEN"
        if status == 401:
            return RefusedError(f"{told}; {need}")
        if status == 403:
            return NotShownError(f"{told}; {need}", status)
        return NotShownError(f"{told}; it does not exist, is blocked, or the credentials do not show it", status)

    def _limit_wait(self, status: int, headers: dict[str, str], message: str) -> float | None:
        """How long to wait where an answer means that a limit was reached; None where it means something else."""
        if status not in (403, 429):
            return None
        retry_after = headers.get("retry-after", "")
        if retry_after.isdecimal():
            return float(retry_after)
        reset = headers.get("x-ratelimit-reset", "").partition(".")[0]
        if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
            # One second more: the limit is renewed at some point within that second.
            return max(float(reset) - time.time(), 0.0) + 1.0
        if status == 429 or "rate limit" in message.lower():
            return self._patience.secondary_wait
        return None

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _PassingError) and error.wait is not None:
            return error.wait
        grow = wait_random_exponential(multiplier=self._patience.backoff, max=_LONGEST_BACKOFF_SECONDS)
        return grow(state)

    def _sleep(self, seconds: float, place: str) -> None:
        self._waited += seconds
        until = datetime.fromtimestamp(time.time() + seconds, UTC)
        if self._waited > self._patience.longest_wait:
            raise OutOfQuotaError(
                f"{place}: GitHub asks to wait until {until:%Y-%m-%d %H:%M:%S} UTC; "
                "run again then: it goes on where it stopped"
            )
        if seconds >= 1:
            _log.warning("waiting %.0f s for GitHub, until %s UTC", seconds, f"{until:%H:%M:%S}")
        time.sleep(seconds)

    def _clean(self, text: str) -> str:
        """`text` without credentials, should a server send them back."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return Redactor().everything([text])[0]


def _server_of(address: SplitResult) -> tuple[str, str | None, int | None]:
    default = {"https": 443, "http": 80}.get(address.scheme)
    return address.scheme, address.hostname, address.port or default


def _texts(parameters: dict[str, str | int]) -> dict[str, str]:
    return {key: str(value) for key, value in parameters.items()}


def _require_json(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _PassingError("an answer that is no valid JSON") from None


def _message(text: str) -> str:
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    return str(answer.get("message", ""))[:200] if isinstance(answer, dict) else ""


def _items(value: object) -> int:
    """How many things a page lists: in a list, or in the list of an object."""
    lists = (
        [value] if isinstance(value, list) else [inner for _, inner in value] if isinstance(value, BaseModel) else []
    )
    return sum(len(one) for one in lists if isinstance(one, list))


def _next_query(link: str) -> dict[str, str] | None:
    """The query of the next page by a Link header.

    Only this of its address is used: pages are asked for where the first one was, however the server calls itself.
    """
    found = (one.get("url", "") for one in parse_header_links(link) if one.get("rel") == "next")
    return next((dict(parse_qsl(urlsplit(url).query)) for url in found), None)
