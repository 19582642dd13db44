"""Settings: which of flag, environment, file and default counts, and what is refused."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from aether.errors import Refused
from aether.server.logs import JsonFormatter
from aether.server.settings import SETTINGS, resolve

# As the readme of the first system of that name has it.
ORIGINAL = """
[server]
grpc_port = 7233
http_port = 7234
db_path = "./data/aether.db"

[persistence]
mode = "snapshot"

[metrics]
enabled = true
port = 9090
"""


def test_the_file_of_the_original_works_as_written() -> None:
    settings = resolve({}, {}, ORIGINAL)
    assert settings.number("server.http_port") == 7234
    assert settings.text("persistence.mode") == "snapshot"
    assert settings.is_on("metrics.enabled")
    assert settings.chosen["server.db_path"].origin == "aether.toml"


def test_a_flag_counts_before_the_environment_before_the_file_before_the_default() -> None:
    text = "[server]\nhttp_port = 1\n"
    names = {"AETHER_HTTP_PORT": "2"}
    key = "server.http_port"
    found = [
        resolve({key: 3}, names, text).chosen[key],
        resolve({key: None}, names, text).chosen[key],
        resolve({}, {"AETHER_HTTP_PORT": ""}, text).chosen[key],
        resolve({}, {}).chosen[key],
    ]
    assert [each.value for each in found] == [3, 2, 1, 7234]
    assert [each.origin for each in found] == [
        "flag --http-port", "environment AETHER_HTTP_PORT", "aether.toml", "default",
    ]  # fmt: skip


def test_unknown_keys_are_errors_with_a_suggestion_all_at_once() -> None:
    text = "[server]\nhtpp_port = 1\n[metrics]\nenabled = 1\n[persistance]\nmode = 'memory'\n[x]\n"
    with pytest.raises(Refused) as refused:
        resolve({}, {}, text)
    problems = {problem.where.path: problem for problem in refused.value.problems}
    assert problems["server.htpp_port"].fix == "did you mean 'http_port'?"
    assert problems["[persistance]"].fix == "did you mean 'persistence'?"
    assert problems["metrics.enabled"].code == "bad-setting"
    assert problems["[x]"].code == "unknown-setting"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("AETHER_HTTP_PORT", "many"),
        ("AETHER_HTTP_PORT", "70000"),
        ("AETHER_METRICS", "perhaps"),
        ("AETHER_PERSISTENCE", "disk"),
        ("AETHER_GRACE", "soon"),
    ],
)
def test_a_variable_with_a_value_that_is_none_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        resolve({}, {variable: text})
    assert refused.value.code == "bad-setting"
    assert variable in str(refused.value)


def test_a_file_that_is_no_toml_says_where() -> None:
    with pytest.raises(Refused) as refused:
        resolve({}, {}, "[server\n", "my.toml")
    assert refused.value.code == "bad-config"
    assert "my.toml" in str(refused.value)


def test_lists_come_from_the_environment_with_commas() -> None:
    assert resolve({}, {"AETHER_HOSTS": "a.example, b.example"}).texts("security.hosts") == [
        "a.example",
        "b.example",
    ]


def test_every_setting_is_on_the_page_with_its_variable_and_flag() -> None:
    page = (Path(__file__).parents[3] / "docs" / "server.md").read_text("utf-8")
    for setting in SETTINGS:
        [row] = re.findall(rf"(?m)^\| `{re.escape(setting.key)}` .*$", page)
        assert f"`{setting.variable}`" in row
        for flag in setting.flag.split(" / "):
            assert f"`{flag}`" in row or not flag


def test_a_log_line_is_one_json_object_whatever_it_holds() -> None:
    record = logging.makeLogRecord(
        {"name": "aether", "levelname": "INFO", "msg": "two\nlines %s", "args": ("x",), "run": {1}}
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["level"], told["run"]) == ("two\nlines x", "info", [1])
