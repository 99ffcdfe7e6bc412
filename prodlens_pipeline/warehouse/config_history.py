"""Which configuration was in force since when: `ops.config_history`, one row per change, the first configuration too.

Belongs here: noting a change when a run starts, and reading the changes. Does not: what came of them (`analysis/`).
Only the names of the keys that changed are kept, and hashes of their values: no value, and no secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import orjson

from prodlens_pipeline.warehouse.lake import Lake


@dataclass(frozen=True)
class ConfigChange:
    """A configuration, the UTC day of the first run with it, and the top-level keys that differ from the one before.

    `changed` is None where the keys of the one before are not known.
    """

    config_hash: str
    day: date
    changed: tuple[str, ...] | None


def record_configuration(lake: Lake, config_hash: str, digests: Mapping[str, str], run_id: str | None) -> None:
    """Note the configuration of a run where it is another than that of the run before; going back is a change, too.

    `digests` maps the top-level keys that are set to hashes of their values.
    """
    earlier, known = _newest(lake)
    if earlier == config_hash and known is not None:
        return
    new = {
        "config_hash": config_hash,
        "now": datetime.now(UTC).replace(tzinfo=None),
        "run_id": run_id,
        "digests": orjson.dumps(dict(digests)).decode(),
    }

    def note() -> None:
        with lake.transaction():
            earlier, known = _newest(lake)  # again: another run may have noted it meanwhile
            if earlier == config_hash:
                complete = "update ops.config_history set digests = $digests where config_hash = $config_hash"
                lake.execute(f"{complete} and digests is null", new)
                return
            changed = None if known is None else _differing(orjson.loads(known), digests)
            lake.execute(
                "insert into ops.config_history values ($config_hash, $now, $run_id, $changed::varchar[], $digests)",
                new | {"changed": changed},
            )

    lake.retrying(note)


def configuration_history(lake: Lake) -> list[ConfigChange]:
    """Every configuration in the order of time, the first of all included."""
    rows = lake.rows("select config_hash, first_seen_at::date, changed from ops.config_history order by first_seen_at")
    return [ConfigChange(name, day, None if changed is None else tuple(changed)) for name, day, changed in rows]


def _newest(lake: Lake) -> tuple[str | None, str | None]:
    """Hash and digests of the newest configuration; None where there is none, or where they were not noted yet."""
    rows = lake.rows("select config_hash, digests from ops.config_history order by first_seen_at desc limit 1")
    return rows[0] if rows else (None, None)


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
