"""Two rules of the rooms that import contracts cannot say.

1. The rooms up to `engine` need nothing but the standard library and msgspec. Exceptions: YAML
   where text is read, the cron library where schedules are judged.
2. Nothing inside the package imports plain `aether`: the public face is for users, and loading it
   from within would load everything.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "aether"
LEAN_ROOMS = (
    "document",
    "record",
    "expr",
    "validate",
    "plan",
    "ports",
    "flow",
    "engine",
    "errors.py",
)
ALWAYS = {*sys.stdlib_module_names, "msgspec"}
# (path under src/aether, module): a whole room needs YAML only where text is read.
ALLOWED = {("document/yaml_text.py", "yaml"), ("validate/cron.py", "cronsim")}


def imports(tree: ast.AST) -> Iterator[tuple[int, str, int, list[str]]]:
    """(line, module, level of a relative import, names) of every import, nested ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, 0, []
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", node.level, [alias.name for alias in node.names]


def findings(source: Path) -> Iterator[str]:
    rooms = {path.stem for path in source.iterdir()}
    for path in sorted(source.rglob("*.py")):
        inside = path.relative_to(source)
        lean = inside.parts[0] in LEAN_ROOMS
        for line, module, level, names in imports(ast.parse(path.read_text("utf-8"))):
            top = module.partition(".")[0]
            place = f"src/aether/{inside}:{line}"
            if level == 0 and top == "aether":
                yield f"{place}: imports `{module}`; inside the package imports are relative"
            elif level == len(inside.parts) and not module and not set(names) <= rooms:
                yield f"{place}: imports plain `aether`; import from the room instead"
            elif lean and level == 0 and top not in ALWAYS and (str(inside), top) not in ALLOWED:
                yield f"{place}: imports `{top}`; this room needs only the standard library and msgspec"


def main() -> int:
    found = list(findings(SOURCE))
    print(
        "\n".join(found) or "rooms: nothing but the standard library and msgspec up to the engine"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
