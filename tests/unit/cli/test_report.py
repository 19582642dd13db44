"""The HTML report: what it holds, that values cannot escape, and that its deltas add up."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from cli_runs import BEGAN, Recorder, execution, task, values

from aether.cli.report import data as report_data_module
from aether.cli.report import report_page
from aether.cli.report.data import report_data
from aether.cli.report.edges import dependencies
from aether.cli.report.page import embedded_json
from aether.ports import HookExecution, LogEntry, Omitted
from aether.record import NamedValue, Phase, SecretRef, TaskPatch, encode_changes, encode_values

DOCUMENT = {
    "spec": {
        "templates": [
            {"task": {"name": "echo"}},
            {
                "dag": {
                    "name": "main",
                    "tasks": [
                        {"name": "a"},
                        {"name": "b", "dependencies": ["a"]},
                        {"name": "c", "dependencies": ["a", "b"]},
                    ],
                }
            },
        ]
    }
}
NASTY = "</script><script>alert(1)</script><!-- \u2028 & ]]> @@DATA@@"


class Page(HTMLParser):
    """The scripts of a page, its attributes that could load something, and its policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.loads: list[str] = []
        self.policy = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = tag
        if tag == "script":
            self.scripts.append((given, ""))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        self.loads += [
            name for name in ("src", "href", "srcset", "action", "style") if name in given
        ]
        self.loads += [name for name in given if name.startswith("on")]

    def handle_data(self, text: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], text)
        elif self._inside == "style":
            self.styles.append(text)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    @property
    def data(self) -> Any:
        (text,) = [text for given, text in self.scripts if given.get("id") == "data"]
        return json.loads(text)


def recorded() -> Recorder:
    recorder = Recorder()
    main = recorder.create("main", kind="dag", template_name="main")
    a = recorder.create("a", main, executor="echo")
    recorder.step()
    recorder.set(a, Phase.READY, inputs={"n": 1})
    recorder.step()
    recorder.set(a, Phase.RUNNING, worker="w1")
    recorder.step()
    recorder.set(a, Phase.SUCCEEDED, outputs={"text": NASTY})
    b = recorder.create("b", main, executor="echo")
    recorder.step()
    recorder.set(b, Phase.FAILED, message="boom", inputs={"n": 2})
    recorder.omitted = [Omitted("c", "main/", "b is Failed")]
    recorder.set(main, Phase.FAILED, message="b failed")
    recorder.finish(Phase.FAILED, "b failed")
    return recorder


def page_of(recorder: Recorder) -> Page:
    text = json.dumps(DOCUMENT)
    return Page(report_page(recorder.view(), text, DOCUMENT, recorder.history))


def test_a_value_cannot_end_its_script_or_begin_another() -> None:
    page = page_of(recorded())
    assert len(page.scripts) == 2
    assert page.data["tasks"][1]["outputs"] == [["text", "", NASTY]]


def test_names_messages_and_the_document_cannot_escape_either() -> None:
    run = execution(task(NASTY, message=NASTY), name=NASTY, message=NASTY, warnings=[NASTY])
    page = Page(report_page(run, NASTY, {"spec": NASTY}))
    assert len(page.scripts) == 2
    assert page.data["run"]["name"] == NASTY
    assert page.data["document"] == NASTY


def test_embedded_json_holds_no_character_that_html_or_a_script_would_read() -> None:
    text = embedded_json({NASTY: [NASTY]})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {NASTY: [NASTY]}


def test_the_page_asks_for_nothing_and_its_policy_fits_its_own_code_alone() -> None:
    page = page_of(recorded())
    assert page.loads == []
    (code,) = [text for given, text in page.scripts if "id" not in given]
    for text, source in ((code, "script-src"), ("".join(page.styles), "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in page.policy
    assert "default-src 'none'" in page.policy
    assert "unsafe" not in page.policy
    assert not re.search(r"https?://(?!www\.w3\.org)", code)


def test_steps_applied_one_after_the_other_end_in_what_the_run_ended_with() -> None:
    data = page_of(recorded()).data
    tasks: list[dict[str, Any]] = [{} for _ in data["tasks"]]
    run: dict[str, Any] = {}
    for step in data["steps"]:
        run.update(step.get("run", {}))
        for place, fields, _ in step.get("tasks", []):
            for name, value in fields.items():
                tasks[place][name] = data["tasks"][place][name] if value == "=" else value
    assert run["phase"] == data["run"]["phase"] == "Failed"
    for have, want in zip(tasks, data["tasks"], strict=True):
        for name in ("phase", "message", "started_at", "finished_at"):
            assert (have.get(name) or None) == (want[name] or None), name
        for name in ("inputs", "outputs"):
            assert have.get(name, []) == want[name]


def test_a_payload_stands_in_the_page_once_however_often_it_was_written() -> None:
    recorder = recorded()
    text = report_page(recorder.view(), "{}", DOCUMENT, recorder.history)
    assert text.count("alert(1)") == 1


def test_steps_hold_what_changed_and_not_whole_states() -> None:
    def size(tasks: int) -> int:
        recorder = Recorder()
        main = recorder.create("main", kind="dag")
        for number in range(tasks):
            one = recorder.create(f"t{number}", main)
            recorder.set(one, Phase.SUCCEEDED, outputs={"n": number})
            recorder.step()
        return len(report_page(recorder.view(), "", None, recorder.history))

    empty, small, large = size(0), size(100), size(1000)
    assert large - empty < 11 * (small - empty)


def test_an_old_value_that_was_replaced_later_stays_in_its_step() -> None:
    recorder = Recorder()
    one = recorder.create("a")
    recorder.set(one, Phase.SUSPENDED, outputs={"n": 1})
    recorder.step()
    recorder.set(one, Phase.SUCCEEDED, outputs={"n": 2})
    recorder.step()
    steps = report_data(recorder.view(), "", None, recorder.history)["steps"]
    assert steps[0]["tasks"][-1][1]["outputs"] == [["n", "", 1]]
    assert steps[1]["tasks"][-1][1]["outputs"] == "="


def test_a_secret_of_the_history_is_not_shown() -> None:
    run = execution(task("a"))
    secret = NamedValue("token", "string", "hunter2", SecretRef("vault", "token"))
    body = encode_changes([TaskPatch(0, inputs=encode_values([secret]))])
    data = report_data(run, "", None, [LogEntry(1, 0, body)])
    assert data["steps"][0]["tasks"][0][1]["inputs"] == [["token", "string", "***"]]


def test_a_value_of_unreasonable_size_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_data_module, "LONGEST_VALUE", 10)
    data = report_data(execution(task("a", outputs=values(x="é" * 50))), "", None, [])
    (shown,) = data["tasks"][0]["outputs"]
    assert shown[2].endswith("(102 bytes, cut)")


def test_edges_come_from_the_document_and_nodes_never_reached_are_there() -> None:
    edges, omitted = dependencies(recorded().view(), DOCUMENT)
    assert edges == [[], [], [1]]
    assert omitted == [
        {
            "name": "c",
            "scope": "main/",
            "reason": "b is Failed",
            "parent": 0,
            "dependencies": ["a", "b"],
        }
    ]


ODD_NODES = [1, {"name": 2}, {"name": "b", "dependencies": "a"}]


@pytest.mark.parametrize(
    "document",
    [
        None,
        1,
        [],
        {"spec": []},
        {"spec": {"templates": [1, {"dag": {"name": "main", "tasks": ODD_NODES}}]}},
    ],
)
def test_a_document_that_tells_nothing_gives_a_graph_without_edges(document: Any) -> None:
    edges, _ = dependencies(recorded().view(), document)
    assert edges == [[], [], []]


def test_a_report_without_history_has_the_run_as_it_ended() -> None:
    recorder = recorded()
    data = Page(report_page(recorder.view(), "{}", DOCUMENT)).data
    assert data["steps"] == []
    assert [one["phase"] for one in data["tasks"]] == ["Failed", "Succeeded", "Failed"]


def test_hooks_are_shown_beside_the_tasks_and_not_among_them() -> None:
    hook = HookExecution(
        hook_run_id="r.h0", hook="onSuccess", scope="task", task_run_id="r.0", status=Phase.FAILED
    )
    data = report_data(execution(task("a"), hooks=[hook]), "", None, [])
    assert len(data["tasks"]) == 1
    assert data["hooks"][0]["task"] == 0


def test_instants_are_milliseconds_since_the_run_began() -> None:
    one = task("a", created_at=BEGAN + timedelta(microseconds=2500))
    assert report_data(execution(one), "", None, [])["tasks"][0]["created"] == 2.5


def test_two_thousand_tasks_make_a_page_of_reasonable_size() -> None:
    recorder = Recorder()
    main = recorder.create("main", kind="dag")
    for number in range(2000):
        recorder.create(f"t{number}", main)
    recorder.step()
    for number in range(1, 2001):
        recorder.set(number, Phase.SUCCEEDED, outputs={"n": number})
        recorder.step()
    assert len(report_page(recorder.view(), "", None, recorder.history)) < 2_000_000
