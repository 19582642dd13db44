"""Pages: what they show, and that nothing of it can run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from http_world import ECHO, WAITS, World, world

from aether.cli.report import report_page


class Tags(HTMLParser):
    """Tags with their attributes, as a browser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def test_the_list_shows_how_runs_stand_and_why_they_wait(there: World) -> None:
    waiting, _ = await there.suspended()
    page = (await there.ask("GET", "/")).body.decode()
    assert f'href="/pages/runs/{waiting}"' in page
    assert "waiting for a resume" in page
    assert 'data-live="/events"' in page
    empty = (await there.ask("GET", "/?name=hello&phase=&label=&text=&since=")).body.decode()
    assert "No run fits" in empty


async def test_a_filter_that_makes_no_sense_is_told_on_the_page(there: World) -> None:
    reply = await there.ask("GET", "/?since=yesterday")
    assert reply.status == 200
    assert "neither an instant nor an age" in reply.body.decode()


async def test_what_a_run_is_called_never_becomes_markup(there: World) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    run_id = await there.submitted(labels={evil: evil}, runId=evil)
    for path in (
        "/",
        "/?name=%22%3E%3Cscript%3E",
        "/pages/runs/" + "".join(f"%{b:02x}" for b in run_id.encode()),
    ):
        reply = await there.ask("GET", path)
        assert reply.status == 200, path
        tags = Tags(reply.body.decode()).found
        assert not any(tag == "img" for tag, _ in tags)
        assert [a.get("src") for tag, a in tags if tag == "script"] == ["/static/page.js"]
        assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


async def test_a_run_that_is_over_offers_nothing_to_stop_and_is_not_followed(there: World) -> None:
    run_id = await there.submitted(ECHO)
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    page = (await there.ask("GET", f"/pages/runs/{run_id}")).body.decode()
    assert "data-post" not in page
    assert "data-live" not in page
    assert "Succeeded" in page


async def test_buttons_are_for_those_who_may_press_them(there: World) -> None:
    run_id, _ = await there.suspended()
    page = (await there.ask("GET", f"/pages/runs/{run_id}")).body.decode()
    assert f'data-post="/runs/{run_id}/cancel"' in page
    viewer = there.ask.with_token(there.token("viewer"))
    assert "data-post" not in (await viewer("GET", f"/pages/runs/{run_id}")).body.decode()


async def test_the_report_of_a_run_stands_in_its_page_and_by_itself(tmp_path: Path) -> None:
    async with world(tmp_path, report=report_page) as there:
        run_id = await there.submitted(WAITS)
        page = (await there.ask("GET", f"/pages/runs/{run_id}")).body.decode()
        [frame] = [a for tag, a in Tags(page).found if tag == "iframe"]
        assert frame["sandbox"] == "allow-scripts"
        reply = await there.ask("GET", str(frame["src"]))
        assert reply.status == 200
        assert reply.headers["content-security-policy"] == "frame-ancestors 'self'"
        assert "script-src 'sha256-" in reply.body.decode()
        viewer = there.ask.with_token(there.token("viewer"))
        assert (await viewer("GET", str(frame["src"]))).status == 403


async def test_pages_need_nothing_from_elsewhere(there: World) -> None:
    for path in ("/", "/login"):
        for tag, attributes in Tags((await there.ask("GET", path)).body.decode()).found:
            for name in ("src", "href", "action"):
                assert (attributes.get(name) or "/").startswith("/"), (path, tag)
    style = (await there.ask("GET", "/static/page.css")).body.decode()
    assert not re.search(r"url\(|@import", style)
    assert "prefers-color-scheme: dark" in style
    for name in ("../page.py", "pages.py", "x.css"):
        assert (await there.ask("GET", f"/static/{name.replace('/', '%2F')}")).status == 404


async def test_older_runs_are_a_page_further_and_keep_the_filter(there: World) -> None:
    for _ in range(51):
        await there.submitted(WAITS)
    page = (await there.ask("GET", "/?name=approval")).body.decode()
    [link] = [a["href"] for tag, a in Tags(page).found if a.get("rel") == "next"]
    assert link is not None
    assert "name=approval" in link
    older = (await there.ask("GET", link)).body.decode()
    assert older.count("<tr><td>") == 1
