"""Which file a URL names.

In: `sqlite:` URLs. Out: paths. Never: a file opened.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ....errors import Problem, Refused

_FIX = "write sqlite:///data/aether.db, or sqlite:////var/lib/aether.db for an absolute path"


def sqlite_path(url: str) -> Path:
    """`sqlite:///data/aether.db` is relative to the working directory, `sqlite:////var/aether.db`
    absolute, as elsewhere. Raises Refused `bad-store-url`."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc:
        raise _bad(url, f"two slashes name a host, here '{parts.netloc}'")
    if url.startswith("sqlite:///"):
        path = path[1:]
    return _checked(url, path, parts.query or parts.fragment)


def _checked(url: str, path: str, rest: str) -> Path:
    if rest:
        raise _bad(url, f"nothing may follow the path, here '{rest}'")
    if not path or path.endswith("/"):
        raise _bad(url, "it names no file")
    if path == ":memory:":
        raise Refused(
            Problem("bad-store-url", f"'{url}' would lose everything", fix="write memory: instead")
        )
    return Path(path)


def _bad(url: str, why: str) -> Refused:
    return Refused(Problem("bad-store-url", f"'{url}' names no database: {why}", fix=_FIX))
