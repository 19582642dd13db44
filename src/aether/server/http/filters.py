"""Which runs a request is about: the parameters, and the query that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from ...document import parse_duration
from ...ports import RunQuery
from ...record import STATES, Instant, Phase
from ..feed import Event
from ..instants import instant_of
from .access import Principal
from .messages import bad_request

_MICROSECOND = timedelta(microseconds=1)


class RunFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """All that are given must hold. Times are instants (RFC 3339, UTC without a zone) or ages such as `2h`."""

    phase: list[str] = []
    state: list[str] = []
    unfinished: bool = False
    name: str = ""
    namespace: str = ""
    cron: str = ""
    label: list[str] = []
    id_prefix: str = ""
    since: str = ""
    until: str = ""
    finished_since: str = ""
    finished_until: str = ""
    text: str = ""


class ListQuery(RunFilter, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A page of runs. `waiting` adds why each of them waits, at the price of reading its tasks."""

    limit: int = 100
    after: str = ""
    order: str = "newest"
    waiting: bool = False


def query_of(filters: RunFilter, who: Principal, now: Instant) -> RunQuery:
    """Raises Refused `bad-request`. Where `who` may see one namespace alone, it is that one."""
    namespace = filters.namespace
    if not namespace and len(who.namespaces) == 1:
        namespace = who.namespaces[0]
    return RunQuery(
        phases=phases_of(filters),
        name=filters.name,
        namespace=namespace,
        cron_id=filters.cron,
        id_prefix=filters.id_prefix,
        labels=labels_of(filters.label),
        created_from=_instant("since", filters.since, now),
        created_to=_instant("until", filters.until, now),
        finished_from=_instant("finishedSince", filters.finished_since, now),
        finished_to=_instant("finishedUntil", filters.finished_until, now),
        text=filters.text,
    )


def is_empty(filters: RunFilter) -> bool:
    return all(not getattr(filters, name) for name in RunFilter.__struct_fields__)


def phases_of(filters: RunFilter) -> tuple[Phase, ...]:
    known = {str(phase).lower(): phase for phase in Phase}
    found: set[Phase] = set()
    for text in filters.phase:
        if text.lower() not in known:
            raise bad_request(f"there is no phase '{text}'", f"one of {', '.join(Phase)}")
        found.add(known[text.lower()])
    for text in filters.state:
        if text.upper() not in STATES:
            raise bad_request(f"there is no state '{text}'", f"one of {', '.join(STATES)}")
        found |= set(STATES[text.upper()])
    if filters.unfinished:
        found |= {phase for phase in Phase if not phase.is_terminal}
    return tuple(sorted(found))


def labels_of(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise bad_request(f"label '{text}' names no value", "write label=name=value")
        found[name] = value
    return found


def matcher(filters: RunFilter, who: Principal, run_id: str = "") -> Callable[[Event], bool]:
    """The filter for events: what a run is called, where it is, and how it stands. Times and texts are for
    lists: an event is of now."""
    phases, labels = frozenset(phases_of(filters)), labels_of(filters.label)

    def wanted(event: Event) -> bool:
        return (
            (not run_id or event.run_id == run_id)
            and (not phases or event.phase in phases)
            and (not filters.name or event.name == filters.name)
            and (not filters.namespace or event.namespace == filters.namespace)
            and (not filters.cron or event.cron_id == filters.cron)
            and event.run_id.startswith(filters.id_prefix)
            and who.sees(event.namespace)
            and (not labels or labels.items() <= (event.labels or {}).items())
        )

    return wanted


def _instant(name: str, text: str, now: Instant) -> Instant | None:
    if not text:
        return None
    age = parse_duration(text)
    if age is not None:
        return now - age // _MICROSECOND
    try:
        return instant_of(datetime.fromisoformat(text))
    except ValueError:
        raise bad_request(
            f"`{name}={text}` is neither an instant nor an age",
            f"write {name}=2026-03-01T08:30:00Z, or {name}=2h for two hours ago",
        ) from None
