"""Pages for people, without a build step: the list of runs, one run, its report, and the door.

They are whole without scripts; a script beside them loads them again when something has changed. Everything a
page shows is escaped where it is put in, and nothing of it can run: scripts come from files alone.
"""

from __future__ import annotations

import html
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from ...errors import NotSupported, Problem, ProblemError
from ...ports import Execution
from ...record import Phase, RunRow
from ..instants import moment, span
from .access import COOKIE, LOCAL, Principal
from .filters import ListQuery, query_of
from .messages import Rejected, Request, Response
from .runs import _Body, why
from .services import Services

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-frame-options": "DENY"}
_MEDIA = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ROWS = 50
_REASONS = 3
_LOG_PAGE, _LOG_MOST = 1000, 20_000
_LOOKS = {
    Phase.CREATED: "·",
    Phase.READY: "○",
    Phase.RUNNING: "▶",
    Phase.SUSPENDED: "⏸",
    Phase.SUCCEEDED: "✔",
    Phase.FAILED: "✘",
    Phase.ERROR: "!",
    Phase.TIMEOUT: "⏱",
    Phase.SKIPPED: "–",
    Phase.CANCELLED: "⊘",
}


class PageQuery(ListQuery, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The filters of a list, as its form sends them: what is left empty asks for nothing."""


class Login(_Body):
    token: str


async def openapi_document(services: Services, request: Request) -> Response:
    return Response(body=_openapi())


@lru_cache(maxsize=1)
def _openapi() -> bytes:
    from .openapi import openapi
    from .table import ROUTES

    return msgspec.json.encode(openapi(ROUTES))


async def list_page(services: Services, request: Request) -> Response:
    asked: PageQuery = request.query
    phases = [phase for phase in asked.phase if phase]
    labels = [label for label in asked.label if label]
    asked = replace(asked, phase=phases, label=labels)
    problem, rows, cursor = "", [], ""
    try:
        query = query_of(asked, request.who, services.clock.now())
        page = await services.control.list(replace(query, after=asked.after, limit=_ROWS))
        rows = [row for row in page.runs if request.who.sees(row.namespace)]
        cursor = page.cursor
    except ProblemError as error:
        problem = str(error)
    reasons = await why(services, rows)
    body = _filters(asked) + _problem(problem)
    if rows:
        lines = "".join(_line(row, reasons.get(row.run_id, [])) for row in rows)
        head = "<tr><th>state<th>run<th>workflow<th>created<th>took<th>tasks"
        body += f'<table class="runs"><thead>{head}</thead><tbody>{lines}</tbody></table>'
    elif not problem:
        body += (
            '<p class="none">No runs here yet.</p>'
            if _is_plain(asked)
            else '<p class="none">No run fits.</p>'
        )
    if cursor:
        body += f'<p><a rel="next" href="/?{_again(asked, cursor)}">older runs</a></p>'
    return _page("Runs", body, request.who, live="/events")


async def run_page(services: Services, request: Request) -> Response:
    run_id = request.names["run"]
    execution = await services.control.get(run_id)
    body = _headline(execution) + _facts(execution) + _waits(execution)
    if request.who.may("steer"):
        body += _actions(execution)
    if services.report is not None and request.who.may("values"):
        source = f"/pages/runs/{quote(run_id, safe='')}/report"
        body += (
            f'<p><a href="{source}">the report alone</a></p>'
            f'<iframe title="report of the run" sandbox="allow-scripts" data-seq="{execution.seq}" '
            f'src="{source}"></iframe>'
        )
    live = "" if execution.status.is_terminal else f"/runs/{quote(run_id, safe='')}/events"
    return _page(execution.name, body, request.who, live=live)


async def report(services: Services, request: Request) -> Response:
    """It brings a policy of its own, which lets its own script run and nothing else."""
    if services.report is None:
        raise NotSupported(Problem("no-report", "this server draws no reports"))
    draw = services.report
    run_id = request.names["run"]
    execution = await services.control.get(run_id)
    text = await services.control.document_of(run_id)
    history = await _history(services, run_id)

    def work() -> str:
        return draw(execution, text, _tree(text), history)

    page = await services.offload(work)
    headers = {"content-security-policy": "frame-ancestors 'self'", "x-frame-options": "SAMEORIGIN"}
    return Response(body=page.encode(), media="text/html", headers=headers)


async def _history(services: Services, run_id: str) -> list[Any]:
    """The log, as far as there is one and as long as a page can show."""
    entries: list[Any] = []
    try:
        while len(entries) < _LOG_MOST:
            after = entries[-1].seq if entries else 0
            page = await services.control.history(run_id, after, _LOG_PAGE)
            if not page:
                break
            entries += page
    except NotSupported:
        return []
    return entries


def _tree(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


async def login_page(services: Services, request: Request) -> Response:
    body = (
        '<h1>Aether</h1><form id="login"><label>Token <input name="token" type="password" required '
        'autocomplete="current-password" spellcheck="false"></label> <button>enter</button>'
        '<p role="alert" id="refused"></p></form><p><code>aether token create --role viewer</code> makes one.</p>'
    )
    return _page("Log in", body, None)


async def login(services: Services, request: Request) -> Response:
    token = request.body.token.strip()
    who = services.access.who({"authorization": f"Bearer {token}"})
    if who is LOCAL:
        return Response(status=204)  # nobody needs a token here
    cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
    return Response(status=204, headers={"set-cookie": cookie})


async def logout(services: Services, request: Request) -> Response:
    cookie = f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    return Response(status=204, headers={"set-cookie": cookie})


async def asset(services: Services, request: Request) -> Response:
    name = request.names["file"]
    body = _assets().get(name)
    if body is None:
        raise Rejected(404, Problem("no-such-path", f"there is no file '{name[:100]}'"))
    media = _MEDIA[name.rpartition(".")[2]]
    return Response(body=body, media=media, headers={"cache-control": "public, max-age=300"})


@lru_cache(maxsize=1)
def _assets() -> dict[str, bytes]:
    folder = resources.files(__package__).joinpath("static")
    return {
        each.name: each.read_bytes()
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in _MEDIA
    }


# Parts of pages


def _page(title: str, body: str, who: Principal | None, live: str = "") -> Response:
    told = f' data-live="{_text(live)}"' if live else ""
    leave = '<button id="leave">leave</button>' if who is not None and who.token_id else ""
    name = f"<span>{_text(who.name)}</span>" if who is not None and who.token_id else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_text(title)} · Aether</title>"
        '<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/page.css">'
        '<script src="/static/page.js" defer></script></head>'
        f'<body{told}><header><a href="/">Aether</a><nav><a href="/">runs</a></nav>{name}{leave}'
        '<output id="live" role="status"></output></header>'
        f"<main>{body}</main></body></html>"
    )
    return Response(body=text.encode(), media="text/html", headers=_HEADERS)


def _line(row: RunRow, reasons: list[str]) -> str:
    link = f"/pages/runs/{quote(row.run_id, safe='')}"
    told = "".join(f"<li>{_text(reason)}" for reason in reasons[:_REASONS])
    if len(reasons) > _REASONS:
        told += f"<li>and {len(reasons) - _REASONS} more"
    below = f'<ul class="waits">{told}</ul>' if told else ""
    if row.message:
        below += f'<p class="message">{_text(row.message[:300])}</p>'
    labels = "".join(
        f"<span class=label>{_text(k)}={_text(v)}</span>" for k, v in (row.labels or {}).items()
    )
    return (
        f"<tr><td>{_badge(row.phase, row.paused_at is not None)}"
        f'<td class="id"><a href="{_text(link)}">{_text(row.run_id)}</a>{below}'
        f"<td>{_text(row.name)} {labels}<td>{_when(moment(row.created_at))}"
        f"<td>{_took(span(row.started_at, row.finished_at))}"
        f"<td>{f'{row.done}/{row.total}' if row.total else ''}"
    )


def _headline(execution: Execution) -> str:
    return (
        f"<h1>{_text(execution.name)} {_badge(execution.status, execution.paused_at is not None)}</h1>"
        + (f'<p class="message">{_text(execution.message)}</p>' if execution.message else "")
    )


def _facts(execution: Execution) -> str:
    facts = {
        "run": _text(execution.run_id),
        "namespace": _text(execution.namespace),
        "cron": _text(execution.cron_id),
        "created": _when(execution.created_at),
        "took": _took(execution.metrics.duration),
        "tasks": _text(execution.progress),
        "step": str(execution.seq),
        "goes on from": _run_link(execution.origin.run_id) if execution.origin else "",
        "gone on from in": " ".join(_run_link(fork.run_id) for fork in execution.forks),
    }
    return (
        "<dl>"
        + "".join(f"<dt>{name}<dd>{value}" for name, value in facts.items() if value)
        + "</dl>"
    )


def _waits(execution: Execution) -> str:
    if not execution.waiting_for:
        return ""
    told = "".join(f"<li>{_text(reason)}" for reason in execution.waiting_for)
    return f'<h2>waits</h2><ul class="waits">{told}</ul>'


def _actions(execution: Execution) -> str:
    if execution.status.is_terminal:
        return ""
    run = f"/runs/{quote(execution.run_id, safe='')}"
    other = "unpause" if execution.paused_at is not None else "pause"
    return (
        f'<p class="actions"><button data-post="{_text(run)}/{other}">{other}</button> '
        f'<button data-post="{_text(run)}/cancel" data-sure="Cancel this run?">cancel</button></p>'
    )


def _filters(asked: PageQuery) -> str:
    options = "".join(
        f"<option{' selected' if str(phase) in asked.phase else ''}>{phase}" for phase in Phase
    )
    return (
        '<form class="filters" method="get" action="/">'
        f'<label>workflow <input name="name" value="{_text(asked.name)}"></label>'
        f'<label>state <select name="phase"><option value="">any</option>{options}</select></label>'
        f'<label>label <input name="label" placeholder="team=a" value="{_text(" ".join(asked.label[:1]))}"></label>'
        f'<label>text <input name="text" value="{_text(asked.text)}"></label>'
        f'<label>since <input name="since" placeholder="2h" value="{_text(asked.since)}"></label>'
        "<button>show</button></form>"
    )


def _again(asked: PageQuery, cursor: str) -> str:
    kept = {name: getattr(asked, name) for name in ("name", "phase", "label", "text", "since")}
    return _text(urlencode({k: v for k, v in kept.items() if v} | {"after": cursor}, doseq=True))


def _is_plain(asked: PageQuery) -> bool:
    return not any(
        getattr(asked, name)
        for name in PageQuery.__struct_fields__
        if name not in ("limit", "order")
    )


def _problem(text: str) -> str:
    return f'<pre role="alert">{_text(text)}</pre>' if text else ""


def _badge(phase: Phase, paused: bool) -> str:
    note = " paused" if paused and not phase.is_terminal else ""
    return f'<span class="badge {phase.value.lower()}">{_LOOKS[phase]} {phase.value}{note}</span>'


def _run_link(run_id: str) -> str:
    return f'<a href="/pages/runs/{quote(run_id, safe="")}">{_text(run_id)}</a>'


def _when(at: Any) -> str:
    if at is None:
        return ""
    return f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S}Z</time>'


def _took(length: Any) -> str:
    if length is None:
        return ""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _text(text: str) -> str:
    return html.escape(text, quote=True)
