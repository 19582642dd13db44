"""Judging documents: `check` gives `Checked`, or every problem at once.

In: a Source, a struct or a dict, and what is Known about the place that is to run it. Out: Checked,
the only thing that plan accepts, or InvalidDocument. Never: stopping at the first problem, filling
defaults, changing what was written, I/O.
"""

from .checked import Checked as Checked
from .checked import check as check
from .checked import seal as seal
from .codes import CODES as CODES
from .cron import MACROS as MACROS
from .cron import schedule_problem as schedule_problem
from .schema import json_schema as json_schema
from .known import Known as Known
from .stored import references as references
from .stored import resolve as resolve
from .types import TYPES as TYPES
from .types import fits as fits
from .types import in_enum as in_enum
from .types import type_name as type_name
from .workflow import nesting_limit as nesting_limit
