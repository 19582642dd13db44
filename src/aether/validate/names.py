"""Names, and the one that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

LONGEST_NAME = 63
NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_FEW = 60


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def shown(text: object) -> str:
    """`text` short enough for one line of a message."""
    plain = str(text).encode("utf-8", "replace").decode()
    plain = "".join(char if char.isprintable() else "?" for char in plain[:61])
    return plain if len(plain) <= 60 else plain[:57] + "..."


class Speller:
    """Suggests known words. Large vocabularies are searched a few times only: a document full of
    mistakes must not cost more than a good one."""

    def __init__(self) -> None:
        self._searches = 4

    def nearest(self, word: str, known: Collection[str]) -> str:
        if not word or len(word) > LONGEST_NAME:
            return ""
        if len(known) > _FEW:
            self._searches -= 1
            if self._searches < 0:
                return ""
        words = {name.lower(): name for name in known}
        low = word.lower()
        if low in words:
            return words[low]
        if len(words) > _FEW:
            near = [name for name in words if abs(len(name) - len(low)) <= 1]
            words = {name: words[name] for name in near[:200]}
        found = get_close_matches(low, words, 1, 0.6)
        return words[found[0]] if found else ""

    def did_you_mean(self, word: str, known: Collection[str], otherwise: str) -> str:
        found = self.nearest(word, known)
        return f"did you mean '{shown(found)}'? Otherwise {otherwise}" if found else otherwise
