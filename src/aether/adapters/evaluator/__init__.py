"""Evaluators beside the default one, which lives in `aether.expr`.

In: text. Out: programs. Never: more than the Evaluator port promises.
"""

from .simple import SimpleEvaluator as SimpleEvaluator
