"""Who may do what: roles, the rights they hold, and the one place where a request's credentials are judged.

A route names the one right that it needs; nothing else is looked at. Where no token was ever made everybody
may do everything: such a server listens on the loopback interface only, see `serve`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ...errors import Problem
from ...ports import Clock
from ..tokens import Tokens

Right = Literal["open", "look", "values", "steer", "work", "write", "manage"]

ROLES: dict[str, frozenset[Right]] = {
    "viewer": frozenset({"open", "look"}),
    "operator": frozenset({"open", "look", "steer"}),
    "developer": frozenset({"open", "look", "values", "steer", "write"}),
    "worker": frozenset({"open", "look", "work"}),
    "admin": frozenset({"open", "look", "values", "steer", "work", "write", "manage"}),
}
"""`look` at runs, crons, workers and queues; see `values` that went in and came out; `steer` what exists: cancel,
pause, resume, signal; `work`: take tasks and report on them; `write`: submit, fork, retry, and store crons and
templates; `manage`: delete."""

COOKIE = "aether_token"
_SCHEME = "bearer "


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever makes a request. `namespaces` empty: all of them."""

    name: str
    rights: frozenset[Right]
    namespaces: tuple[str, ...] = ()
    token_id: str = ""

    def may(self, right: Right) -> bool:
        return right in self.rights

    def sees(self, namespace: str) -> bool:
        return not self.namespaces or namespace in self.namespaces

    @property
    def by(self) -> str:
        """As the record of a run names whoever cancelled or paused it."""
        return self.name if self.token_id else "the user"


LOCAL = Principal(name="local", rights=ROLES["admin"])
NOBODY = Principal(name="nobody", rights=frozenset({"open"}))


class Denied(Exception):
    """401 without good credentials, 403 with some that do not suffice."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.what)
        self.status = status
        self.problem = problem


class Access:
    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    def who(self, headers: dict[str, str]) -> Principal:
        """Raises Denied for credentials that are no good, whatever the route needs."""
        now = self._clock.now()
        if not self._tokens.exist(now):
            return LOCAL
        text = given(headers)
        if not text:
            return NOBODY
        token = self._tokens.check(text, now)
        if token is None:
            raise Denied(
                401,
                Problem(
                    "bad-credentials",
                    "the token is unknown, revoked or past its end",
                    fix="aether token create",
                ),
            )
        rights = ROLES.get(token.role, frozenset())
        if token.values:
            rights |= {"values"}
        return Principal(
            name=token.name,
            rights=rights,
            namespaces=token.namespaces,
            token_id=token.token_id,
        )

    def permit(self, who: Principal, right: Right) -> None:
        if who.may(right):
            return
        if who is NOBODY:
            raise Denied(
                401,
                Problem(
                    "no-credentials",
                    "this server asks for a token",
                    fix="send `Authorization: Bearer aether_…`; aether token create makes one",
                ),
            )
        raise Denied(
            403,
            Problem(
                "not-permitted",
                f"token '{who.name}' has not the right to {right}",
                fix="use a token of another role; aether token list shows them",
            ),
        )


def given(headers: dict[str, str]) -> str:
    """The token text of a request: in its header, else in the cookie that pages are given."""
    authorization = headers.get("authorization", "")
    if authorization:
        return (
            authorization[len(_SCHEME) :].strip()
            if authorization.lower().startswith(_SCHEME)
            else "?"
        )
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
