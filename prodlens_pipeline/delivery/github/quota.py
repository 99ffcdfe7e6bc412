"""What a GitHub server last said of its limits, in `ops.github_quota`.

Belongs here: reading the headers of an answer and keeping the newest word by server and resource.
Does not: waiting for a limit to be renewed (`client.py`), showing it (`automation/exposition.py`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from prodlens_pipeline.warehouse.lake import Lake

_MOST_DIGITS = 10
"""Seconds since 1970 have no more until the year 2286; what has more is in another unit."""
_RESOURCE = re.compile("[a-z_]{1,40}")
"""Nothing else that a server may send there is kept."""


@dataclass(frozen=True)
class Quota:
    """The limit of one resource (REST is `core`), in GitHub's points: what it allows, what is left, when it is renewed.

    `told_at` is when the server said so. Both times are UTC without a zone, as the lake keeps them.
    """

    resource: str
    quota: int
    remaining: int
    resets_at: datetime
    told_at: datetime

    def __str__(self) -> str:
        return f"{self.remaining:,} of {self.quota:,} requests left"


def quota_of(headers: Mapping[str, str], asked: str) -> Quota | None:
    """What the headers of an answer say, by their names in lower case; None where the server has no such limits.

    `asked` is the resource where the headers name none, as on older servers.
    """
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    # Some servers put a fraction of a second into the last.
    numbers = [headers.get(name, "").partition(".")[0] for name in names]
    if not all(number.isdecimal() and len(number) <= _MOST_DIGITS for number in numbers):
        return None
    quota, remaining, reset = map(int, numbers)
    resets_at = datetime.fromtimestamp(reset, UTC).replace(tzinfo=None)
    told_at = datetime.now(UTC).replace(tzinfo=None)
    resource = headers.get("x-ratelimit-resource", "")
    return Quota(resource if _RESOURCE.fullmatch(resource) else asked, quota, remaining, resets_at, told_at)


def record_quotas(lake: Lake, api_url: str, quotas: Iterable[Quota]) -> None:
    """Replace what is known of these resources of the server, in one transaction."""
    told = list(quotas)
    if told:
        lake.retrying(lambda: _replace(lake, api_url, told))


def _replace(lake: Lake, api_url: str, told: Sequence[Quota]) -> None:
    with lake.transaction():
        lake.execute(
            "delete from ops.github_quota where api_url = $api_url and list_contains($resources, resource)",
            {"api_url": api_url, "resources": [one.resource for one in told]},
        )
        for one in told:
            lake.execute(
                "insert into ops.github_quota by name select $api_url as api_url, $resource as resource, "
                "$quota as quota, $remaining as remaining, $resets_at as resets_at, $told_at as told_at",
                asdict(one) | {"api_url": api_url},
            )
