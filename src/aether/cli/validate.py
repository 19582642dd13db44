"""`aether validate`: every problem of every file, at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from ..document import load_all
from ..errors import InvalidDocument, Problem
from ..expr import CelEvaluator, Evaluator
from ..validate import check
from . import exits

_COLOURS = {"error": "red", "warning": "yellow"}


class FileResult(msgspec.Struct):
    """What `--json` prints for each file."""

    file: str
    valid: bool
    problems: tuple[Problem, ...]


@click.command(short_help="Check documents and report every problem of them.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--lenient", is_flag=True, help="Unknown members are warnings, not errors.")
@click.option(
    "--evaluator",
    "language",
    type=click.Choice(["cel", "simple"]),
    default="cel",
    show_default=True,
    help="The language of the expressions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of text.")
def command(files: tuple[str, ...], lenient: bool, language: str, as_json: bool) -> int:
    """Check each FILE (JSON or YAML, '-' for standard input) and report every problem at once.

    Exit code 0: all are valid; 3: at least one is not; 2: a file cannot be read.
    """
    texts = [(file, _read(file)) for file in files]
    evaluator = _evaluator(language)
    results = [_check_file(file, text, evaluator, lenient) for file, text in texts]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(results), indent=2).decode())
    else:
        _show(results)
    return exits.OK if all(result.valid for result in results) else exits.INVALID


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise click.UsageError(f"cannot read {file}: {exc.strerror or exc}") from exc


def _evaluator(language: str) -> Evaluator:
    if language == "cel":
        return CelEvaluator()
    from ..adapters.evaluator import SimpleEvaluator

    return SimpleEvaluator()


def _check_file(file: str, text: bytes, evaluator: Evaluator, lenient: bool) -> FileResult:
    name = "<stdin>" if file == "-" else file
    problems: list[Problem] = []
    valid = True
    try:
        sources = load_all(text, name)
    except InvalidDocument as exc:
        return FileResult(name, False, exc.problems)
    for source in sources:
        try:
            problems += check(source, evaluator=evaluator, lenient=lenient).warnings
        except InvalidDocument as exc:
            valid = False
            problems += exc.problems
    return FileResult(name, valid, tuple(problems))


def _show(results: list[FileResult]) -> None:
    for result in results:
        for problem in result.problems:
            head, *rest = str(problem).split("\n")
            label, _, what = head.partition(":")
            click.echo(click.style(label, fg=_COLOURS[problem.severity], bold=True) + ":" + what)
            for line in rest:
                click.echo(line)
            click.echo()
    for result in results:
        errors = sum(1 for problem in result.problems if problem.severity == "error")
        warnings = len(result.problems) - errors
        counts = [_count(errors, "error")] if errors else []
        counts += [_count(warnings, "warning")] if warnings else []
        verdict = "valid" if result.valid else "not valid"
        click.echo(f"{result.file}: {verdict}" + (f", {' and '.join(counts)}" if counts else ""))


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
