"""`aether run`: runs a document, shows how it goes, and says in its exit code how it went."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ..adapters.errors import CollectingSink
from ..app import Aether
from ..document import Metadata, TemplateRef, Workflow, WorkflowSpec, dump, load
from ..errors import Problem, Refused, Where
from ..record import ACTION_LOG, MEMORY, TIERS
from . import exits, output, verify, wiring
from .arguments import seconds_of, split_pairs
from .progress import progress
from .report import report_page
from .result import cron_result, refusal_result, run_result
from .session import Outcome, Plan, run_document

VERIFY_LIMIT = 5.0
_STORED = re.compile(r"[a-z0-9][-a-z0-9]{0,62}@[\w.+-]{0,64}")
EPILOG = "\b\nExit codes:\n" + "\n".join(
    f"  {code:<4} {text}" for code, text in exits.MEANINGS.items()
)


class Options(msgspec.Struct, kw_only=True):
    """The command line, as click hands it over."""

    file: str
    arguments: Sequence[str]
    variables: Sequence[str]
    templates: Sequence[str]
    report: str | None
    result: str | None
    verify: str | None
    timeout: str | None
    db: str
    persistence: str
    evaluator: str
    trigger: int | None
    lenient: bool
    json: bool


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option(
    "-a", "--argument", "arguments", multiple=True, metavar="NAME=VALUE",
    help="Give the workflow an argument. JSON if it is JSON, text otherwise.",
)  # fmt: skip
@click.option(
    "--vars", "variables", multiple=True, metavar="NAMESPACE.KEY=VALUE",
    help="Set a variable that expressions can use.",
)  # fmt: skip
@click.option(
    "--template", "templates", multiple=True, metavar="FILE",
    help="Store this WorkflowTemplate first, so that the document can refer to it.",
)  # fmt: skip
@click.option("--report", metavar="OUT.HTML", help="Write one self-contained page about the run.")
@click.option("--result", metavar="OUT.JSON", help="Write the result as JSON.")
@click.option(
    "--verify", metavar="ASSERTIONS.JSON",
    help="Check the run against this file; the exit code says only whether all checks hold.",
)  # fmt: skip
@click.option(
    "--timeout", metavar="DURATION",
    help="Stop watching after this long: 30s, 5m.  [default: none; 5s with --verify]",
)  # fmt: skip
@click.option(
    "--db", default="memory:", show_default=True, metavar="URL", help="Where runs are kept."
)
@click.option(
    "--persistence", type=click.Choice(TIERS), default=ACTION_LOG, show_default=True,
    help="How much of the run outlives this process.",
)  # fmt: skip
@click.option(
    "--evaluator", type=click.Choice(["cel", "simple"]), default="cel", show_default=True,
    help="The expression language.",
)  # fmt: skip
@click.option(
    "--trigger", type=click.IntRange(min=0), metavar="N",
    help="How often to fire a CronWorkflow.  [default: 1]",
)  # fmt: skip
@click.option("--lenient", is_flag=True, help="Unknown members of the document are only warnings.")
@click.option("--json", is_flag=True, help="Print one JSON object and nothing else.")
def command(**given: Any) -> int:
    """Run FILE (`-` is standard input) and show how it goes.

    FILE is a Workflow or a CronWorkflow, in JSON or YAML, or `name@version` of a stored template
    (`name@` is its latest version).
    """
    options = Options(**given)
    faults = CollectingSink()
    try:
        plan = _plan(options)
        text = _reference(options.file) or _read(options.file)
        templates = [(_read(name), name) for name in options.templates]
        app = wiring.open_app(
            options.db,
            evaluator=options.evaluator,
            variables=wiring.variables(options.variables, playground=plan.assertions is not None),
            history=plan.wants_history,
            faults=faults,
            tier=options.persistence,
        )
    except Refused as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
    outcome = asyncio.run(_run(app, options, plan, text, templates))
    code = exit_code(outcome)
    data = _as_json(options, outcome, code)
    try:
        _write_files(options, outcome, text, data)
    except Refused as exc:
        click.echo(str(exc), err=True)
        code = exits.USAGE if code == exits.OK else code
    for told in dict.fromkeys(output.fault_line(fault) for fault in faults.faults):
        click.echo(told, err=True)
    if options.json:
        click.echo(msgspec.json.encode(data))
    else:
        _tell(options, outcome)
    return code


def exit_code(outcome: Outcome) -> int:
    """A signal outweighs everything; checks, if there are any, outweigh phases."""
    if outcome.stopped_by is not None:
        return 128 + outcome.stopped_by
    if outcome.mismatches is not None:
        return exits.VERIFY if outcome.mismatches else exits.OK
    if outcome.refusal is not None:
        return exits.INVALID
    codes = [exits.of_phase(run.status) for run in outcome.runs]
    return max(codes, default=exits.OK)


def _plan(options: Options) -> Plan:
    assertions = None
    if options.verify is not None:
        assertions = verify.load_assertions(_read(options.verify), options.verify)
    limit = seconds_of(options.timeout, "--timeout") if options.timeout else None
    if limit is None and assertions is not None:
        limit = VERIFY_LIMIT
    split_pairs(options.arguments, "-a")
    return Plan(
        arguments=options.arguments,
        limit=limit,
        triggers=options.trigger,
        assertions=assertions,
        platform=wiring.platform_names(),
        lenient=options.lenient,
        wants_history=options.report is not None and options.persistence == ACTION_LOG,
    )


async def _run(
    app: Aether, options: Options, plan: Plan, text: bytes, templates: Sequence[tuple[bytes, str]]
) -> Outcome:
    async with app:
        with progress(quiet=options.json) as show:
            return await run_document(
                app,
                lambda: load(text, _shown(options.file)),
                plan,
                show,
                lambda: [load(each, _shown(name)) for each, name in templates],
            )


def _write_files(options: Options, outcome: Outcome, text: bytes, data: dict[str, Any]) -> None:
    if options.report is not None and outcome.runs:
        document = outcome.document.data if outcome.document is not None else None
        _write(options.report, report_page(outcome.runs[-1], text, document, outcome.history))
    if options.result is not None:
        _write(options.result, msgspec.json.format(msgspec.json.encode(data), indent=2))


def _tell(options: Options, outcome: Outcome) -> None:
    if outcome.refusal is not None:
        expected = outcome.mismatches == []
        click.echo(str(outcome.refusal), err=not expected)
    if outcome.stopped_by is not None:
        output.print_stopped(outcome.runs, outcome.active)
    if outcome.cron is not None:
        output.print_cron(outcome.cron, outcome.runs)
    elif outcome.execution is not None:
        output.print_run(outcome.execution)
    if exit_code(outcome) == exits.TIME_LIMIT:
        click.echo(f"time limit: the run was not over after {options.timeout}", err=True)
        if not options.db.startswith("memory:") and options.persistence != MEMORY:
            # The address of a server may hold a password.
            db = options.db if options.db.startswith("sqlite:") else "URL"
            told = f"aether continue {outcome.runs[-1].run_id} --db {db}"
            click.echo(f"go on with: {told}", err=True)
    if options.report is not None and outcome.runs:
        click.echo(f"report: {options.report}")
    if options.result is not None:
        click.echo(f"result: {options.result}")
    if outcome.mismatches is not None:
        output.print_verdict(outcome.mismatches, options.verify or "")


def _as_json(options: Options, outcome: Outcome, code: int) -> dict[str, Any]:
    if outcome.refusal is not None:
        data = refusal_result(outcome.refusal.problems, options.file)
    elif outcome.cron is not None:
        data = cron_result(outcome.cron, options.file)
    else:
        data = run_result(outcome.runs[0], options.file)
    data["exitCode"] = code
    if outcome.mismatches is not None:
        data["mismatches"] = outcome.mismatches
    return data


def _reference(name: str) -> bytes | None:
    """A document for `name@version`, a stored template, unless there is a file of that name."""
    template, at, version = name.partition("@")
    if not at or not _STORED.fullmatch(name) or Path(name).exists():
        return None
    reference = TemplateRef(name=template, version=version)
    spec = WorkflowSpec(workflow_template_ref=reference)
    return dump(Workflow(metadata=Metadata(name=template), spec=spec)).encode()


def _shown(name: str) -> str:
    return "<stdin>" if name == "-" else name


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        raise Refused(
            Problem(
                "file-unreadable",
                f"cannot read the file: {exc.strerror or exc}",
                Where(file=name),
                "give the path of a file that exists and can be read",
            )
        ) from exc


def _write(name: str, content: bytes | str) -> None:
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as exc:
        raise Refused(
            Problem(
                "file-unwritable",
                f"cannot write the file: {exc.strerror or exc}",
                Where(file=name),
                "give a path that can be written",
            )
        ) from exc
