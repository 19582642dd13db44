"""Settings of a server: a flag counts before the environment, that before the file, that before the default.

In: flags, environment variables, the text of an `aether.toml`. Out: each value with where it came from. Never: a
key that nobody reads, or a value that was quietly taken for another.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from ..document import parse_duration
from ..errors import Problem, Refused, Where
from ..record import ACTION_LOG, TIERS

FILE = "aether.toml"
FILE_VARIABLE = "AETHER_CONFIG"


class Setting(msgspec.Struct, frozen=True):
    """`key` is `section.name` in the file, `variable` its name in the environment, `flag` that of `serve`."""

    key: str
    default: Any
    variable: str
    flag: str
    about: str
    choices: tuple[str, ...] = ()
    is_port: bool = False
    is_duration: bool = False


SETTINGS = (
    Setting("server.host", "127.0.0.1", "AETHER_HOST", "--host", "The address to listen on."),
    Setting("server.http_port", 7234, "AETHER_HTTP_PORT", "--http-port", "REST, events and pages.",
            is_port=True),
    Setting("server.grpc_port", 7233, "AETHER_GRPC_PORT", "", "Kept for gRPC; not listened on by `serve`.",
            is_port=True),
    Setting("server.db_path", "./data/aether.db", "AETHER_URL", "--db",
            "Where runs are kept: the path of a SQLite file, or a URL."),
    Setting("server.grace", "10s", "AETHER_GRACE", "--grace",
            "How long running tasks get to end when the server is stopped.", is_duration=True),
    Setting("persistence.mode", ACTION_LOG, "AETHER_PERSISTENCE", "--persistence",
            "How much of a run outlives the server, unless its submit says so.", choices=TIERS),
    Setting("metrics.enabled", True, "AETHER_METRICS", "--metrics / --no-metrics",
            "Whether there is a page for Prometheus."),
    Setting("metrics.port", 9090, "AETHER_METRICS_PORT", "--metrics-port", "Where that page is.",
            is_port=True),
    Setting("security.tokens", "", "AETHER_TOKENS", "--tokens",
            "The file of tokens; without it, beside the database."),
    Setting("security.hosts", [], "AETHER_HOSTS", "--allow-host",
            "Names under which browsers may reach the server, besides its addresses."),
    Setting("logs.json", False, "AETHER_JSON_LOGS", "--json-logs", "Log lines as JSON objects."),
)  # fmt: skip
_BY_KEY = {setting.key: setting for setting in SETTINGS}


class Chosen(msgspec.Struct, frozen=True):
    value: Any
    origin: str  # such as "flag --host", "environment AETHER_HOST", "aether.toml", "default"


class Settings:
    def __init__(self, chosen: Mapping[str, Chosen]) -> None:
        self.chosen = dict(chosen)

    def text(self, key: str) -> str:
        return str(self.chosen[key].value)

    def number(self, key: str) -> int:
        return int(self.chosen[key].value)

    def is_on(self, key: str) -> bool:
        return bool(self.chosen[key].value)

    def texts(self, key: str) -> Sequence[str]:
        return list(self.chosen[key].value)

    def seconds(self, key: str) -> float:
        span = parse_duration(self.text(key))
        return 0.0 if span is None else span.total_seconds()


def resolve(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file_text: str = "",
    file_name: str = FILE,
) -> Settings:
    """Raises Refused with every problem of the file, or with that of a variable. A flag that is None was not
    given; so was a variable that is empty."""
    from_file = read_file(file_text, file_name)
    chosen = {}
    for setting in SETTINGS:
        flag = flags.get(setting.key)
        variable = environment.get(setting.variable, "")
        if flag is not None:
            origin = f"flag {setting.flag.partition(' ')[0]}"
            chosen[setting.key] = Chosen(_checked(setting, flag, origin), origin)
        elif variable:
            origin = f"environment {setting.variable}"
            value = _from_text(setting, variable, origin)
            chosen[setting.key] = Chosen(_checked(setting, value, origin), origin)
        elif setting.key in from_file:
            chosen[setting.key] = Chosen(from_file[setting.key], file_name)
        else:
            chosen[setting.key] = Chosen(setting.default, "default")
    return Settings(chosen)


def read_file(text: str, name: str) -> dict[str, Any]:
    """The settings of a file by key. Raises Refused with every problem of it."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise Refused(
            Problem(
                "bad-config", f"the file is no TOML: {exc}", Where(file=name), "correct that place"
            )
        ) from exc
    sections = sorted({setting.key.partition(".")[0] for setting in SETTINGS})
    found: dict[str, Any] = {}
    problems = []
    for section, members in tree.items():
        if section not in sections or not isinstance(members, dict):
            problems.append(_unknown(name, f"[{section}]", section, sections))
            continue
        names = [key.partition(".")[2] for key in _BY_KEY if key.startswith(f"{section}.")]
        for member, value in members.items():
            if member not in names:
                problems.append(_unknown(name, f"{section}.{member}", member, names))
                continue
            try:
                key = f"{section}.{member}"
                found[key] = _checked(_BY_KEY[key], value, name)
            except Refused as exc:
                problems += exc.problems
    if problems:
        raise Refused(problems)
    return found


def _unknown(file: str, what: str, name: str, known: Sequence[str]) -> Problem:
    near = get_close_matches(name, known, 1)
    fix = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
    return Problem(
        "unknown-setting", f"there is no setting {what}", Where(file=file, path=what), fix
    )


def _from_text(setting: Setting, text: str, origin: str) -> Any:
    if isinstance(setting.default, bool):
        known = {"true": True, "1": True, "yes": True, "on": True}
        known |= {"false": False, "0": False, "no": False, "off": False}
        if text.lower() not in known:
            raise _bad(setting, text, origin, "true or false")
        return known[text.lower()]
    if isinstance(setting.default, int):
        if not text.isascii() or not text.isdigit():
            raise _bad(setting, text, origin, "a number")
        return int(text)
    if isinstance(setting.default, list):
        return [each.strip() for each in text.split(",") if each.strip()]
    return text


def _checked(setting: Setting, value: Any, origin: str) -> Any:
    default = setting.default
    if isinstance(default, list):
        value = list(value) if isinstance(value, tuple) else value
        fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
        wanted = "a list of texts"
    elif isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        fits, wanted = type(value) is int, "a number"
    else:
        fits, wanted = isinstance(value, str), "a text"
    if fits and setting.is_port:
        fits, wanted = 0 <= value <= 65535, "a port from 0 to 65535"
    if fits and setting.choices:
        fits, wanted = value in setting.choices, " or ".join(setting.choices)
    if fits and setting.is_duration:
        fits, wanted = parse_duration(value) is not None, "a duration such as 10s"
    if not fits:
        raise _bad(setting, value, origin, wanted)
    return value


def _bad(setting: Setting, value: Any, origin: str, wanted: str) -> Refused:
    section, _, name = setting.key.partition(".")
    problem = Problem(
        "bad-setting",
        f"{name} is '{value}' in {origin}",
        Where(path=f"{section}.{name}"),
        f"it is {wanted}",
    )
    return Refused(problem)
