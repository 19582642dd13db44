"""The limits of the language: numbers only, so that docs and tests can name them.

A step is about 0.1 microseconds of work. None of these depends on the machine: the same text over
the same values always meets the same limit.
"""

from __future__ import annotations

MAX_SOURCE = 65_536  # characters of one expression
MAX_TOKENS = 4_096  # words, numbers, strings and signs of one expression
MAX_NAMES = 64  # in one dotted reference
MAX_NESTING = 40  # brackets, calls and conditionals inside one another
MAX_HEIGHT = 120  # operators and calls that wait for one another

STEPS = 200_000  # one evaluation
STEPS_PER_ERROR = 25  # an error that `&&`, `||`, `all` or `exists` takes in
MAX_TEXT = 1_048_576  # characters of one string that an expression builds
CHARACTERS_PER_STEP = 64  # searching and copying text
MAX_RESULT_DEPTH = 100  # lists and maps inside one another, in a result that was built

MAX_PATTERN = 1_000  # characters of a pattern for matches()
MAX_PATTERN_STATES = 1_000  # after `{n,m}` has been written out
MAX_PATTERN_NESTING = 30
MAX_REPEAT = 1_000

MAX_RENDERED = 8_388_608  # characters that the placeholders of one text may add up to

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1
MAX_PLACEHOLDERS = 1_000  # in one value
MAX_BRACES = 20_000  # braces that one text is searched for
