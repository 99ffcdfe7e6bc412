"""Collecting the configured trace sources: files where a path is given, a server where a url is.

Belongs here: which files a source means, and what went wrong in words. Does not: reading them (`landing/`).
"""

from pathlib import Path

from prodlens_pipeline.landing.assets import Landing
from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.collector import collect, find_files
from prodlens_pipeline.landing.redaction import Privacy, Redactor
from prodlens_pipeline.settings import Settings, Source
from prodlens_pipeline.traces.formats import PullError, TraceFormat, UnreachableError
from prodlens_pipeline.warehouse.lake import Lake


def files_of(settings: Settings, source: Source, trace_format: TraceFormat) -> list[Path]:
    """The files that a source with a path means."""
    return find_files(settings.resolve(str(source.path)), trace_format.form.pattern)


def collect_traces(lake: Lake, settings: Settings, trace_format: TraceFormat) -> Landing:
    """Land what is new in every configured source of a format; a source that is not there hinders no other."""
    landing = Landing({}, [])
    redactor = Redactor.of(settings.redact)
    for source in settings.sources:
        if source.type == trace_format.name:
            privacy = Privacy(source.capture, redactor)
            read = _read_files if source.path else _pull
            landing.collected[source.name] = read(lake, settings, source, trace_format, privacy, landing)
    return landing


def _read_files(
    lake: Lake, settings: Settings, source: Source, trace_format: TraceFormat, privacy: Privacy, landing: Landing
) -> Collected:
    files = files_of(settings, source, trace_format)
    if not files:
        landing.problems.append(f"{source.name}: no file matches {settings.resolve(str(source.path))}")
    collected = collect(lake, settings.landing, trace_format.form, source.name, files, privacy=privacy)
    landing.problems += [f"{source.name}: {problem}" for problem in collected.unreadable]
    return collected


def _pull(
    lake: Lake, settings: Settings, source: Source, trace_format: TraceFormat, privacy: Privacy, landing: Landing
) -> Collected:
    if trace_format.pull is None:
        landing.problems.append(f"{source.name}: sources of type {source.type} have no server to read; give a path")
        return Collected()
    try:
        return trace_format.pull(lake, settings.landing, source.name, source, privacy)
    except PullError as error:
        landing.problems.append(str(error))
        landing.may_pass |= isinstance(error, UnreachableError)
        return Collected()
