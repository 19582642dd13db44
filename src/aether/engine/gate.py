"""The gate: who holds a slot of which key, who waits for one, and whose turn it is.

In: the rows of runs with limits, as they are loaded and as they change. Out: offers of slots, which a run
takes in a decision of its own. Never: a truth that rows do not tell. A row that says that it has taken its
slots holds them, until it is over or says otherwise; so whoever dies leaves nothing behind, and nothing
is offered before every row that may hold something has been seen.

Those that wait are served by priority, then by turns of their groups, then in the order in which they
came. Who wants slots of several keys gets them one after the other, in the order of the keys' names: as
everybody does so, nobody waits for anybody who waits for him, and nobody is passed for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import UNSET

from ..errors import Problem, Refused
from ..plan import RUN, AnyPlan, AnyState, Event, SlotsGranted, TimePassed, is_held
from ..ports import Clock
from ..record import Change, Cut, Instant, RunPatch, RunRow, Slots, TaskPatch, TaskRow, Want
from .lines import Key, Place, Ticket
from .live import Joining


class Offer(Joining):
    """Slots for a run to take."""

    __slots__ = ("_answered", "_granted", "ticket")

    def __init__(
        self, granted: SlotsGranted, ticket: Ticket, answered: Callable[[Ticket], None]
    ) -> None:
        self._granted = granted
        self.ticket = ticket
        self._answered = answered

    @property
    def event(self) -> Event:  # type: ignore[override]  # what others keep, this one may take back
        """An offer that was taken back in time says nothing any more."""
        return TimePassed(self._granted.at) if self.ticket.gone else self._granted

    def done(self) -> None:
        self._answered(self.ticket)

    def refused(self, error: BaseException) -> None:
        self._answered(self.ticket)


class Gate:
    """`offer` gives a run an event to decide; `state_of` says how a run stands, None if that is not known.
    Nothing is offered before `open`."""

    def __init__(
        self,
        clock: Clock,
        offer: Callable[[str, Offer], None],
        state_of: Callable[[str], AnyState | None],
    ) -> None:
        self._clock = clock
        self._offer = offer
        self._state_of = state_of
        self._keys: dict[str, Key] = {}
        self._runs: dict[str, dict[int, Ticket]] = {}
        self._reset_count = 0
        self._born = self._known_from = clock.now()
        self._looking = False
        self._singles: dict[str, str] = {}  # runs that are about to be created, by their key
        self.is_open = False
        self.is_shared = False
        self.is_sole = False
        self.look_back: Callable[[Instant], None] = lambda since: None
        self.stop_looking: Callable[[], Awaitable[None]] = _nothing

    # Life

    def mark(self) -> int:
        """What `open` wants to hear of the moment at which somebody began to look at all rows."""
        return self._reset_count

    def open(self, mark: int) -> None:
        """Every row that may hold something has been seen."""
        if mark != self._reset_count or self.is_open or not self.keeps_limits:
            return
        self.is_open = True
        for name in list(self._keys):
            self._serve(name)

    def reset(self) -> None:
        """Nothing is known any more."""
        self._reset_count += 1
        self.is_open = False
        self._born = self._known_from = self._clock.now()
        self._looking = False
        for tickets in self._runs.values():
            for ticket in tickets.values():
                ticket.gone = True
        for key in self._keys.values():
            if key.alarm is not None:
                key.alarm.cancel()
                key.alarm = None
        self._keys.clear()
        self._runs.clear()

    async def stop(self) -> None:
        self.reset()
        await self.stop_looking()

    @property
    def keeps_limits(self) -> bool:
        """Engines that share a store would each count only what they hold themselves."""
        return self.is_sole or not self.is_shared

    def check(self, plan: AnyPlan, run: RunRow) -> None:
        """Raises Refused for a run with limits where they are not kept."""
        if self.keeps_limits or not (run.slots is not None or getattr(plan, "limited", False)):
            return
        raise Refused(
            Problem(
                "limits-not-kept",
                f"'{run.name}' has limits, and other engines may use this store: each would count alone",
                fix="if this engine is the only one on its store, say so: Aether(url, sole=True)",
            )
        )

    def remember(self, since: Instant, takes: list[tuple[str, Instant]]) -> None:
        """All slots that were taken since then; those after this engine began are known."""
        self._looking = False
        if since >= self._known_from:
            return
        for name, at in takes:
            if at <= min(self._born, self._known_from):
                key = self._keys.setdefault(name, Key())
                key.span = max(key.span, self._clock.now() - since)
                key.recent.append(at)
        self._known_from = since
        for key in self._keys.values():
            key.recent.sort()
        for name in list(self._keys):
            self._serve(name)

    def _knows_enough(self, want: Want, now: Instant) -> bool:
        if not want.count or now - want.span >= self._known_from:
            return True
        if not self._looking:
            self._looking = True
            self.look_back(now - want.span)
        return False

    def single(self, name: str, run_id: str) -> str:
        """The run that holds this key or waits for it; "" if there is none: `run_id` is to be the one."""
        key = self._keys.get(name)
        there = self._singles.get(name, "")
        if key is not None and not there:
            places = [*key.holders, *(ticket.place for ticket in key.line.tickets())]
            there = places[0][0] if places else ""
        if there in ("", run_id):
            self._singles[name] = run_id
            return ""
        return there

    def begun(self, name: str, run_id: str) -> None:
        """The run exists now, or will not."""
        if name and self._singles.get(name) == run_id:
            del self._singles[name]

    # What rows say

    def changed(self, run_id: str, state: AnyState, changes: Sequence[Change]) -> None:
        """A decision about this run has been committed."""
        if state.run.phase.is_terminal:
            self.forget(run_id)
            return
        known = self._runs.get(run_id, {})
        for change in changes:
            kind = type(change)
            if kind is TaskPatch:
                if change.ordinal in known or type(change.slots) is Slots:  # type: ignore[union-attr]
                    self._look(run_id, state, change.ordinal)  # type: ignore[union-attr]
            elif kind is TaskRow:
                if change.slots is not None:  # type: ignore[union-attr]
                    self._look(run_id, state, change.ordinal)  # type: ignore[union-attr]
            elif kind is RunRow or kind is Cut or _concerns_all(change):
                self.see(run_id, state)
                return

    def see(self, run_id: str, state: AnyState) -> None:
        """All that the rows of this run say."""
        if state.run.phase.is_terminal:
            self.forget(run_id)
            return
        self._look(run_id, state, RUN)  # first: what the run holds its tasks need not wait for
        ordinals = {ordinal for ordinal, node in state.nodes.items() if node.row.slots is not None}
        for ordinal in sorted(ordinals | self._runs.get(run_id, {}).keys() - {RUN}):
            self._look(run_id, state, ordinal)

    def forget(self, run_id: str) -> None:
        """The run is over, or another engine's."""
        for ticket in list(self._runs.pop(run_id, {}).values()):
            self._drop(ticket)

    def give_up(self, run_id: str) -> None:
        """This engine cannot go on with the run; what its tasks hold may still be at work."""
        for ticket in list(self._runs.get(run_id, {}).values()):
            if not ticket.held:
                self._leave(ticket)

    def _look(self, run_id: str, state: AnyState, ordinal: int) -> None:
        slots = _slots_of(state, ordinal)
        ticket = self._runs.get(run_id, {}).get(ordinal)
        if ticket is not None and (slots is None or slots.number != ticket.number):
            self._leave(ticket)
            ticket = None
        if slots is None:
            return
        if slots.taken is not None:
            self._hold(ticket or self._ticket(run_id, state, ordinal, slots), slots)
        elif ticket is not None and (ticket.offered or ticket.held):
            return  # its run will say
        elif not _may_stand_in_line(state, ordinal, slots):
            if ticket is not None:
                self._leave(ticket)
        elif ticket is None:
            self._stand_in_line(self._ticket(run_id, state, ordinal, slots))

    def _ticket(self, run_id: str, state: AnyState, ordinal: int, slots: Slots) -> Ticket:
        wants = slots.wants
        whole = state.run.slots
        if ordinal != RUN and whole is not None:
            covered = {*whole.covered, *(want.key for want in whole.wants)}
            wants = tuple(want for want in wants if want.key not in covered)
        ticket = Ticket((run_id, ordinal), slots, wants)
        self._runs.setdefault(run_id, {})[ordinal] = ticket
        return ticket

    def _hold(self, ticket: Ticket, slots: Slots) -> None:
        """Its row says that it has them, so it has, whatever the limits are."""
        if ticket.held:
            return
        ticket.held, ticket.offered = True, False
        if ticket.got < len(ticket.wants):
            fresh = Ticket(ticket.place, slots, ticket.wants)
            ticket.gone = True  # in whatever line it stands
            fresh.held, fresh.got = True, len(ticket.wants)
            self._runs[ticket.place[0]][ticket.place[1]] = fresh
            for want in ticket.wants:
                key = self._key(want)
                if ticket.place not in key.holders and (slots.taken or 0) > self._born:
                    key.note(slots.taken or 0)
                key.holders[ticket.place] = fresh

    # Lines

    def _key(self, want: Want) -> Key:
        key = self._keys.get(want.key)
        if key is None:
            key = self._keys[want.key] = Key()
        key.span = max(key.span, want.span)
        return key

    def _stand_in_line(self, ticket: Ticket) -> None:
        if ticket.got == len(ticket.wants):
            self._tell(ticket)
            return
        want = ticket.want
        self._key(want).line.add(ticket)
        self._serve(want.key)

    def _serve(self, name: str) -> None:
        key = self._keys.get(name)
        if key is None or not self.is_open:
            return
        now = self._clock.now()
        while (ticket := key.line.head()) is not None:
            want = ticket.want
            if want.concurrency and len(key.holders) >= want.concurrency:
                break
            if not self._knows_enough(want, now):
                break
            free = key.begun(want, now)
            if free is not None:
                self._wake_at(name, key, free, now)
                break
            key.line.take(ticket)
            key.holders[ticket.place] = ticket
            key.note(now)
            ticket.got += 1
            self._stand_in_line(ticket)
        if not key.is_of_use(now):
            self._keys.pop(name, None)

    def _wake_at(self, name: str, key: Key, at: Instant, now: Instant) -> None:
        if key.alarm is not None:
            key.alarm.cancel()

        def ring() -> None:
            key.alarm = None
            self._serve(name)

        key.alarm = self._clock.call_in(max(1, at - now), ring)

    def _tell(self, ticket: Ticket) -> None:
        ticket.offered = True
        run_id, ordinal = ticket.place
        event = SlotsGranted(ordinal, ticket.number, self._clock.now())
        self._offer(run_id, Offer(event, ticket, self._answered))

    def _answered(self, ticket: Ticket) -> None:
        """Its run has taken the slots, or has not; the row says which."""
        if ticket.gone or not ticket.offered:
            return
        ticket.offered = False
        run_id, ordinal = ticket.place
        state = self._state_of(run_id)
        slots = None if state is None else _slots_of(state, ordinal)
        if slots is not None and slots.number == ticket.number and slots.taken is not None:
            ticket.held = True
            return
        self._leave(ticket)
        if state is not None and not state.run.phase.is_terminal:
            self._look(run_id, state, ordinal)

    def _leave(self, ticket: Ticket) -> None:
        run_id, ordinal = ticket.place
        tickets = self._runs.get(run_id)
        if tickets is not None and tickets.get(ordinal) is ticket:
            del tickets[ordinal]
            if not tickets:
                del self._runs[run_id]
        self._drop(ticket)

    def _drop(self, ticket: Ticket) -> None:
        """Out of every line, and its slots to the next."""
        if ticket.gone:
            return
        ticket.gone = True
        for want in ticket.wants[: ticket.got + 1]:
            key = self._keys.get(want.key)
            if key is None:
                continue
            if key.holders.get(ticket.place) is ticket:
                del key.holders[ticket.place]
            self._serve(want.key)

    # For people

    def obstacles(self, run_id: str) -> dict[int, Obstacle]:
        """What those of this run that stand in line wait for, by ordinal."""
        found: dict[int, Obstacle] = {}
        for ordinal, ticket in self._runs.get(run_id, {}).items():
            if (obstacle := self._obstacle(ticket)) is not None:
                found[ordinal] = obstacle
        return found

    def _obstacle(self, ticket: Ticket) -> Obstacle | None:
        if ticket.held or ticket.got == len(ticket.wants):
            return None
        want, key = ticket.want, self._keys.get(ticket.want.key)
        if key is None or not self.is_open:
            return None
        return Obstacle(want, tuple(key.holders), key.begun(want, self._clock.now()))

    def holders(self, name: str) -> list[Place]:
        """Who has a slot of this key, or is about to."""
        key = self._keys.get(name)
        return [] if key is None else list(key.holders)


class Obstacle(msgspec.Struct, frozen=True):
    """`free_at` is when the rate lets the next one begin; None if that is no obstacle."""

    want: Want
    holders: tuple[Place, ...]
    free_at: Instant | None = None


def _slots_of(state: AnyState, ordinal: int) -> Slots | None:
    if ordinal == RUN:
        whole = state.run.slots
        return whole if whole is not None and (whole.since or whole.taken) else None
    node = state.nodes.get(ordinal)
    slots = None if node is None else node.row.slots
    return slots if slots is not None and (slots.waits or slots.taken is not None) else None


def _may_stand_in_line(state: AnyState, ordinal: int, slots: Slots) -> bool:
    """A paused run takes nothing, and of a run that is not begun nothing waits but the run itself."""
    if state.run.paused_at is not None or not slots.waits:
        return False
    return ordinal == RUN or not is_held(state.run)


def _concerns_all(change: Change) -> bool:
    if type(change) is not RunPatch:
        return False
    return change.slots is not UNSET or change.paused_at is not UNSET


async def _nothing() -> None:
    """There is nobody who looks."""
