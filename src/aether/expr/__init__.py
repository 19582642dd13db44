"""The expression language and `{{ }}` placeholders, behind the Evaluator port.

In: text, then values by key. Out: JSON values, or InvalidExpression with a column. Never: clock,
chance, files, attribute access on Python objects, work without a budget.
"""

from .bound import compile_expression as compile_expression
from .evaluator import Env as Env
from .evaluator import Evaluator as Evaluator
from .evaluator import Program as Program
from .limits import MAX_SOURCE as MAX_SOURCE
from .program import CelEvaluator as CelEvaluator
from .reference import MISSING as MISSING
from .reference import Key as Key
from .reference import is_key as is_key
from .site import BAD_EXPRESSION as BAD_EXPRESSION
from .site import EXPRESSION_BUDGET as EXPRESSION_BUDGET
from .site import EXPRESSION_ERROR as EXPRESSION_ERROR
from .template import ANY_ROOT as ANY_ROOT
from .template import KNOWN_ROOTS as KNOWN_ROOTS
from .template import UNKNOWN_PLACEHOLDER as UNKNOWN_PLACEHOLDER
from .template import Template as Template
from .template import Warn as Warn
from .template import compile_template as compile_template
from .template import lone_reference as lone_reference
from .values import printed as printed
