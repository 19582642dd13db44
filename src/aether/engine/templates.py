"""Stored WorkflowTemplates: kept under `name@version`, never changed once they are.

In: checked WorkflowTemplates, and documents that refer to them. Out: templates by name and version.
Never: putting them together, which `validate.resolve` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from ..document import AnyDocument, TemplateRef, WorkflowTemplate
from ..errors import NotFound, Problem, Refused, TokenMismatch
from ..ports import Clock, Store
from ..record import TemplateRow
from ..validate import references

_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_TRIES = 50
_MOST_REFERENCES = 1000


class Templates:
    """Versions of one name are ordered by the moment they were stored; the last one is the latest."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def put_template(self, document: WorkflowTemplate) -> tuple[str, str]:
        """Store the template; its name and version.

        The version is `metadata.version`, or else the next whole number, from "1". Storing the same
        content under the same version again does nothing; other content raises Refused
        `template-exists`.
        """
        if document.metadata.version:
            return await self._put(document)
        for _ in range(_TRIES):
            version = await self._next_version(document.metadata.name)
            metadata = replace(document.metadata, version=version)
            try:
                return await self._put(replace(document, metadata=metadata), new=True)
            except TokenMismatch:
                continue  # somebody else took that number
        raise TokenMismatch(
            f"{_TRIES} numbers for template '{document.metadata.name}' were taken by others"
        )

    async def _put(self, document: WorkflowTemplate, new: bool = False) -> tuple[str, str]:
        name, version = document.metadata.name, document.metadata.version
        _check_version(version)
        row = TemplateRow(
            name=name,
            version=version,
            document=msgspec.json.encode(document),
            created_at=self._clock.now(),
        )
        try:
            await self._store.put_template(row)
        except TokenMismatch:
            if new:
                raise
            stored = await self._store.template(name, version)
            if stored is None or _canonical(_decode(stored)) != _canonical(document):
                raise Refused(
                    Problem(
                        "template-exists",
                        f"template '{name}@{version}' is stored already, with other content",
                        fix="give metadata.version another value, or leave it out for the next number",
                    )
                ) from None
        return name, version

    async def _next_version(self, name: str) -> str:
        rows = await self._store.templates(name)
        taken = [int(row.version) for row in rows if _is_number(row.version)]
        return str(max(taken, default=0) + 1)

    async def get_template(self, name: str, version: str = "") -> WorkflowTemplate:
        """That version, or the latest. Its `metadata.version` says which it is.

        Raises NotFound `template-not-found`.
        """
        row = await self._store.template(name, version)
        if row is None:
            raise await self._not_found(name, version)
        return _decode(row)

    async def list_templates(self, name: str = "") -> list[TemplateRow]:
        """Every version of every template, or of one: by name, oldest version first."""
        return list(await self._store.templates(name))

    async def delete_template(self, name: str, version: str = "") -> int:
        """Delete that version, or all of them; how many. Runs keep what they began with.

        Raises NotFound `template-not-found`.
        """
        versions = (
            [version] if version else [row.version for row in await self._store.templates(name)]
        )
        deleted = [await self._store.delete_template(name, one) for one in versions]
        if not any(deleted):
            raise await self._not_found(name, version)
        return sum(deleted)

    async def load_references(
        self, document: AnyDocument
    ) -> Mapping[tuple[str, str], WorkflowTemplate]:
        """Every stored template that the document refers to, and that these refer to, and so on.

        A reference without a version is looked up once, as (name, ""), so that all such references of a
        document mean the same version; the template is under its own version too. What is not stored
        is left out: `validate.resolve` knows the line to complain about. Raises Refused
        `too-many-references`.
        """
        found: dict[tuple[str, str], WorkflowTemplate] = {}
        seen: set[tuple[str, str]] = set()
        waiting = [_key(ref) for ref in references(document)]
        while waiting:
            name, version = waiting.pop()
            if (name, version) in seen:
                continue
            seen.add((name, version))
            if len(seen) > _MOST_REFERENCES:
                raise Refused(
                    Problem(
                        "too-many-references",
                        f"'{document.metadata.name}' leads to more than {_MOST_REFERENCES} templates",
                        fix="split it into runs that start one another",
                    )
                )
            row = await self._store.template(name, version)
            if row is None:
                continue
            pinned = found.get((name, row.version)) or _decode(row)
            found[name, version] = found[name, row.version] = pinned
            waiting += [_key(ref) for ref in references(pinned)]
        return found

    async def _not_found(self, name: str, version: str) -> NotFound:
        versions = [row.version for row in await self._store.templates(name)]
        if versions:
            fix = f"stored versions are {', '.join(versions[-10:])}"
        else:
            fix = "store it first; the list of templates shows what there is"
        title = f"{name}@{version}" if version else name
        return NotFound(Problem("template-not-found", f"there is no template '{title}'", fix=fix))


def parse_name_version(text: str) -> tuple[str, str]:
    """`name@version` or `name`, taken apart; the version is "" when there is none.

    Raises Refused `bad-template-name`.
    """
    name, at, version = text.partition("@")
    if not name or (at and not version) or "@" in version or text != "".join(text.split()):
        raise Refused(
            Problem(
                "bad-template-name",
                f"'{text[:80]}' does not name a template",
                fix="write name@version, or name alone for the latest version",
            )
        )
    return name, version


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise Refused(
            Problem(
                "bad-template-version",
                f"'{version[:80]}' cannot be a template's version",
                fix="write 1 to 64 letters, digits, '.', '-', '_' or '+', such as 1.4.0",
            )
        )


def _is_number(version: str) -> bool:
    return version.isascii() and version.isdigit() and len(version) < 18


def _key(ref: TemplateRef) -> tuple[str, str]:
    return ref.name, ref.version


def _decode(row: TemplateRow) -> WorkflowTemplate:
    return msgspec.json.decode(row.document, type=WorkflowTemplate)


def _canonical(document: WorkflowTemplate) -> bytes:
    """What was written, whatever the order of its members."""
    return msgspec.json.encode(document, order="deterministic")
