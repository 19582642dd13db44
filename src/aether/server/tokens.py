"""Tokens: who may come in. They lie in a file beside the database, as hashes.

A token is `aether_<id>_<secret>`; the secret is 32 bytes of chance, so its plain SHA-256 tells nobody
anything. The file is read again whenever it has changed, so that a token which is revoked opens nothing
from then on, without a word to the server.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import tempfile
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import NotFound, Problem, Refused
from ..ports import Chance
from ..record import Instant

_FORM = re.compile(r"aether_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[\w.@ +-]{1,64}")


FRESH = 100_000
"""Microseconds for which a server goes by what it saw last. A clock that is set back makes it look again."""


class Token(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """`namespaces` empty: all of them. `values`: it may see what runs were given and what they gave back, also
    where its role alone may not."""

    token_id: str
    name: str
    role: str
    digest: str
    namespaces: tuple[str, ...] = ()
    values: bool = False
    created_at: Instant
    expires_at: Instant | None = None
    revoked_at: Instant | None = None

    def is_good(self, now: Instant) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class _File(msgspec.Struct):
    tokens: list[Token] = []


class Tokens:
    """The tokens of one server."""

    def __init__(self, path: Path, fresh: int = FRESH) -> None:
        self.path = path
        self._fresh = fresh
        self._looked_at: Instant | None = None
        self._seen: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def exist(self, now: Instant | None = None) -> bool:
        """Whether any token was ever made: from then on nobody comes in without one, not even after the last of
        them was revoked."""
        self._look(now)
        return bool(self._tokens)

    def all(self) -> list[Token]:
        self._look()
        return list(self._tokens.values())

    def check(self, text: str, now: Instant) -> Token | None:
        """The token that `text` is, if it opens anything now."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        self._look(now)
        token = self._tokens.get(form[1])
        digest = _digest(form[2])  # also for one that nobody knows: it takes as long
        known = "" if token is None else token.digest
        if not hmac.compare_digest(digest, known) or token is None or not token.is_good(now):
            return None
        return token

    def create(
        self,
        chance: Chance,
        *,
        name: str,
        role: str,
        now: Instant,
        namespaces: tuple[str, ...] = (),
        values: bool = False,
        expires_at: Instant | None = None,
    ) -> tuple[Token, str]:
        """The token, and the text that is shown this once. Raises Refused `bad-token-name`."""
        if not _NAME.fullmatch(name):
            what = f"'{name}' is no name for a token"
            raise Refused(Problem("bad-token-name", what, fix="use letters, digits, and . @ + - _"))
        self._look()
        token_id = chance.token(6).hex()
        secret = urlsafe_b64encode(chance.token(32)).decode().rstrip("=")
        token = Token(
            token_id=token_id,
            name=name,
            role=role,
            digest=_digest(secret),
            namespaces=namespaces,
            values=values,
            created_at=now,
            expires_at=expires_at,
        )
        self._tokens[token_id] = token
        self._write()
        return token, f"aether_{token_id}_{secret}"

    def revoke(self, which: str, now: Instant) -> Token:
        """By id, by name if one good token has it, or by its text. Raises NotFound, Refused `ambiguous-token`."""
        self._look()
        form = _FORM.fullmatch(which)
        found = [
            token
            for token in self._tokens.values()
            if token.token_id == (form[1] if form else which)
            or (token.name == which and token.is_good(now))
        ]
        if not found:
            raise NotFound(
                Problem("token-not-found", f"there is no token '{which}'", fix="aether token list")
            )
        if len(found) > 1:
            what = f"several tokens are called '{which}'"
            raise Refused(Problem("ambiguous-token", what, fix="give the id: aether token list"))
        found[0].revoked_at = found[0].revoked_at or now
        self._write()
        return found[0]

    def _look(self, now: Instant | None = None) -> None:
        if now is not None and self._looked_at is not None:
            if 0 <= now - self._looked_at < self._fresh:
                return
        self._looked_at = now
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._tokens = None, {}
            return
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen:
            return
        try:
            file = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError) as exc:
            raise Refused(
                Problem(
                    "bad-token-file",
                    f"{self.path} cannot be read: {exc}",
                    fix="restore the file; while it is bad nobody comes in",
                )
            ) from exc
        self._seen = seen
        self._tokens = {token.token_id: token for token in file.tokens}

    def _write(self) -> None:
        text = msgspec.json.format(
            msgspec.json.encode(_File(list(self._tokens.values()))), indent=1
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tokens-", dir=self.path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
        self._seen = self._looked_at = None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
