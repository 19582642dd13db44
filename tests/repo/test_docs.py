"""README and docs tell the truth: links lead somewhere, examples run and print what they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, RUNNABLE, Block, Command, anchors, blocks, commands, links, pages

PROGRAMS = {
    "aether": [sys.executable, "-m", "aether.cli"],
    "python": [sys.executable],
    "cat": ["cat"],
}
TIME_LIMIT = 60


def run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AETHER_")},
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.run(
        argv,
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIME_LIMIT,
        check=False,
    )


def run_python(block: Block, before: str, folder: Path) -> None:
    script = folder / f"block_{block.line}.py"
    script.write_text(before + block.code, "utf-8")
    done = run([sys.executable, "-W", "error", script.name], folder)
    assert done.returncode == 0, f"{block.place} fails:\n{done.stdout}"


def run_console(block: Block, folder: Path) -> None:
    found = commands(block)
    assert found, f"{block.place}: no command; a line that runs begins with `$ `"
    for command in found:
        program, *arguments = shlex.split(command.text, comments=True)
        assert program in PROGRAMS, (
            f"{block.place}: `{program}` cannot run in a test; write `<!-- not run: reason -->` above it"
        )
        done = run([*PROGRAMS[program], *arguments], folder)
        assert done.returncode == command.exit_code, (
            f"{block.place}: `{command.text}` returned {done.returncode}:\n{done.stdout}"
        )
        assert command.matches(done.stdout), (
            f"{block.place}: `{command.text}` printed\n{done.stdout}\nand not\n{command.expected}"
        )


def run_page(page: Path, folder: Path) -> int:
    """Runs all that runs on `page`; answers how many blocks that were."""
    ran, python_so_far = 0, ""
    for block in blocks(page):
        kind, _, rest = block.marker.partition(":")
        if kind == "not run":
            assert rest.strip(), f"{block.place}: say why it is not run"
            continue
        if kind == "file":
            target = folder / rest.strip()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.code, "utf-8")
            continue
        if block.language not in RUNNABLE:
            continue
        ran += 1
        if block.language == "python":
            before = python_so_far if kind == "continues" else ""
            run_python(block, before, folder)
            python_so_far = before + block.code
        else:
            run_console(block, folder)
    return ran


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_of_the_page_runs_and_prints_what_it_shows(
    page: Path, tmp_path: Path
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target)
        ):
            broken.append(link)
    assert not broken


def page_with(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    return page


def test_a_python_block_that_fails_is_found(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```python\nraise SystemExit(3)\n```\n")
    with pytest.raises(AssertionError, match="fails"):
        run_page(page, tmp_path)


def test_output_that_is_not_printed_is_found(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```console\n$ python -c 'print(1)'\n2\n```\n")
    with pytest.raises(AssertionError, match="and not"):
        run_page(page, tmp_path)


def test_dots_stand_for_anything_and_exit_codes_are_compared(tmp_path: Path) -> None:
    page = page_with(
        tmp_path,
        "<!-- file: a.py -->\n```python\nprint('one 17 two'); raise SystemExit(4)\n```\n"
        "```console\n$ python a.py\none ... two\n(exit code 4)\n```\n",
    )
    assert run_page(page, tmp_path) == 1


def test_a_block_continues_the_one_above_only_when_it_says_so(tmp_path: Path) -> None:
    text = "```python\na = 1\n```\n{}\n```python\nprint(a)\n```\n"
    assert run_page(page_with(tmp_path, text.format("<!-- continues -->")), tmp_path) == 2
    with pytest.raises(AssertionError, match="fails"):
        run_page(page_with(tmp_path, text.format("")), tmp_path)


def test_a_block_is_left_alone_only_with_a_reason(tmp_path: Path) -> None:
    text = "<!-- not run:{} -->\n```console\n$ rm -rf nothing\n```\n"
    assert run_page(page_with(tmp_path, text.format(" needs a server")), tmp_path) == 0
    with pytest.raises(AssertionError, match="say why"):
        run_page(page_with(tmp_path, text.format("")), tmp_path)


def test_a_command_that_no_test_can_run_needs_a_marker(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```bash\n$ make run\n```\n")
    with pytest.raises(AssertionError, match="cannot run"):
        run_page(page, tmp_path)


def test_a_command_goes_on_in_the_next_line_after_a_backslash() -> None:
    block = Block(ROOT / "README.md", 1, "console", "$ aether run \\\n    x.yaml\nout\n$ aether\n")
    assert commands(block) == [Command("aether run x.yaml", "out"), Command("aether")]
