"""`aether check-deploy APP.PY`: whether code fits the runs that are under way, before it is deployed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import linecache
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec

from ..app.fitting import Fitting
from ..engine import read_lines
from ..flow import Misfit, WorkflowDefinition
from ..ports import RunQuery, Store
from ..record import Phase, RunRows
from ..sdk import Workflow
from ..sdk.functions import Functions
from . import exits
from .inspection import echo_json, reading

_OPEN = (Phase.CREATED, Phase.READY, Phase.RUNNING, Phase.SUSPENDED)
_PAGE = 100


class Checked(msgspec.Struct):
    """What was found about the runs of one workflow."""

    name: str
    version: str
    runs: int = 0
    misfits: list[tuple[str, str, Misfit]] = []  # run id, version it began with, why

    @property
    def fit(self) -> int:
        return self.runs - len(self.misfits)


@click.command("check-deploy", short_help="Check that code fits the runs that are under way.")
@click.argument("target", metavar="APP.PY[:APP]")
@click.option(
    "--db", "--url", "url", metavar="URL",
    help="Where the runs are kept.  [default: AETHER_URL, else sqlite:///data/aether.db]",
)  # fmt: skip
@click.option(
    "--history", "files", multiple=True, metavar="FILE", type=click.Path(exists=True, dir_okay=False),
    help="A run that `aether audit export` wrote, instead of a database; may be repeated.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(target: str, url: str | None, files: tuple[str, ...], as_json: bool) -> int:
    """Replay the workflows of APP.PY against the record of each unfinished run of theirs.

    Nothing is executed and nothing is changed: steps are answered from the record. APP.PY is a file or a
    module; `:APP` names the app in it where there are several. Works beside a running engine.

    Exit code 0 if all of them fit, 7 if any does not.
    """
    definitions = {each.name: each for each in workflows_of(target)}
    with Fitting(definitions.values()) as fitting:
        exported = _exported(files, definitions)
        if files and url is None:
            return asyncio.run(_check(fitting, definitions, _all_of(exported, None), as_json))

        async def look(store: Store) -> int:
            runs = _all_of(exported, _unfinished(store, definitions))
            return await _check(fitting, definitions, runs, as_json)

        return reading(url, look)


async def _check(
    fitting: Fitting,
    definitions: dict[str, WorkflowDefinition],
    runs: AsyncIterator[tuple[RunRows, str]],
    as_json: bool,
) -> int:
    found = {name: Checked(name, each.version) for name, each in definitions.items()}
    async for rows, version in runs:
        checked = found[rows.run.name]
        checked.runs += 1
        misfit = await fitting.misfit(rows.run.name, rows)
        if misfit is not None:
            checked.misfits.append((rows.run.run_id, version, misfit))
    if as_json:
        echo_json(_as_json(found.values()))
    else:
        _show(found.values())
    return exits.VERIFY if any(each.misfits for each in found.values()) else exits.OK


# The runs


async def _unfinished(
    store: Store, definitions: dict[str, WorkflowDefinition]
) -> AsyncIterator[tuple[RunRows, str]]:
    for name in definitions:
        query = RunQuery(name=name, phases=_OPEN, limit=_PAGE)
        while True:
            page = await store.runs(query)
            for rows in await store.load([run.run_id for run in page.runs]):
                if rows is not None and _is_function(rows) and not rows.run.phase.is_terminal:
                    yield rows, version_of(await store.document(rows.run.document))
            if not page.cursor:
                break
            query = msgspec.structs.replace(query, after=page.cursor)


def _exported(
    files: Iterable[str], definitions: dict[str, WorkflowDefinition]
) -> list[tuple[RunRows, str]]:
    found = []
    for file in files:
        text = Path(file).read_bytes().splitlines()
        rows = read_lines(text, file)
        header = msgspec.json.decode(text[0])
        if not _is_function(rows) or rows.run.name not in definitions:
            known = ", ".join(sorted(definitions))
            raise click.UsageError(
                f"{file} is a run of '{rows.run.name}', and the workflows are: {known}"
            )
        found.append((rows, version_of(header["document"].encode())))
    return found


async def _all_of(
    exported: Iterable[tuple[RunRows, str]], stored: AsyncIterator[tuple[RunRows, str]] | None
) -> AsyncIterator[tuple[RunRows, str]]:
    for each in exported:
        yield each
    if stored is not None:
        async for each in stored:
            yield each


def _is_function(rows: RunRows) -> bool:
    root = rows.tasks.get(0)
    return root is not None and root.kind == "workflow"


def version_of(document: bytes | None) -> str:
    """The version of the code that a run of a function began with, out of what stands for its document."""
    try:
        told = msgspec.json.decode(document or b"{}")
    except msgspec.DecodeError:
        return ""
    is_function = isinstance(told, dict) and told.get("kind") == "Function"
    return str(told.get("version", "")) if is_function else ""


# The code


def workflows_of(target: str) -> list[WorkflowDefinition]:
    """The workflows of a module, or of the app that is named in it."""
    place, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    if not place.endswith(".py") and target.endswith(".py"):
        place, name = target, ""  # a path with a colon in it
    module = _load(place)
    if name:
        app = getattr(module, name, None)
        if not isinstance(app, Functions):
            raise click.UsageError(f"{place} has no app named '{name}'")
        holders: list[Any] = [app]
    else:
        holders = list(vars(module).values())
    found: dict[str, WorkflowDefinition] = {}
    for holder in holders:
        workflows = [holder] if isinstance(holder, Workflow) else ()
        if isinstance(holder, Functions):
            workflows = list(holder.workflows().values())
        found.update({each.name: each.definition for each in workflows})
    if not found:
        raise click.UsageError(f"{target} has no workflow")
    return list(found.values())


def _load(place: str) -> ModuleType:
    path = Path(place)
    sys.path.insert(0, str(path.resolve().parent if place.endswith(".py") else Path.cwd()))
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.exists():
            raise click.UsageError(f"{place} cannot be read")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except click.UsageError:
        raise
    except Exception as error:
        raise click.UsageError(
            f"{place} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module


# What is said


def _show(found: Iterable[Checked]) -> None:
    for checked in found:
        runs = f"{checked.runs:,} unfinished {'run' if checked.runs == 1 else 'runs'}"
        bad = len(checked.misfits)
        if not checked.runs:
            verdict = "no unfinished run"
        elif not bad:
            verdict = f"{runs}: all fit" if checked.runs > 1 else f"{runs}: it fits"
        else:
            verdict = f"{runs}: {checked.fit:,} fit, {bad:,} {'does' if bad == 1 else 'do'} not"
        colour = "red" if bad else "green"
        click.echo(click.style(f"{'✘' if bad else '✔'} {checked.name}", fg=colour) + f"  {verdict}")
        for run_id, version, misfit in checked.misfits:
            click.echo(f"  {run_id}, begun with code {version}; this is {checked.version}")
            click.echo(f"    recorded  {misfit.recorded}  {misfit.recorded_at}")
            click.echo(f"    the code  {misfit.called or 'calls nothing new'}  {misfit.called_at}")
            if source := source_at(misfit.called_at):
                click.echo(f"              > {source}")
            click.echo(f"    {misfit.text}")
    if any(checked.misfits for checked in found):
        click.echo(
            "guard the change with ctx.patched, or serve the old code until these runs are over"
        )


def _as_json(found: Iterable[Checked]) -> dict[str, Any]:
    return {
        "fits": not any(checked.misfits for checked in found),
        "workflows": [
            {
                "name": checked.name,
                "version": checked.version,
                "runs": checked.runs,
                "fit": checked.fit,
                "misfits": [
                    {
                        "runID": run_id,
                        "version": version,
                        "recorded": {"call": misfit.recorded, "at": misfit.recorded_at},
                        "code": {
                            "call": misfit.called,
                            "at": misfit.called_at,
                            "source": source_at(misfit.called_at),
                        },
                        "message": misfit.text,
                    }
                    for run_id, version, misfit in checked.misfits
                ],
            }
            for checked in found
        ],
    }


def source_at(where: str) -> str:
    """The line of code at `file:line`, as it is now."""
    file, _, line = where.rpartition(":")
    return linecache.getline(file, int(line)).strip() if file and line.isdecimal() else ""
