"""The runtime of function runs: what makes a plain Python function survive its process.

In: a function, its journal. Out: facts for the journal. Never: a store, the engine, wall time or chance.

A `Runtime` holds what function runs share in a process; `register` gives the executor of one workflow, a
`FunctionHost`. A function works with a `Context`, or a `BlockingContext` if it is a plain one. How it goes:

* `loop`      ready callbacks and nothing else; every task is a branch, numbered by the one that made it
* `run`       lets the function go on until it is quiet, and hands it one result; `history` is its replay
* `recorder`  what goes to the journal and comes from there, and when the run parks
* `local`     steps; `threads`: plain functions; `gather`: many calls at once; `endings`: how it ends
"""

from .codec import decode as decode
from .codec import encode as encode
from .codec import from_plain as from_plain
from .codec import plain as plain
from .definition import ActivityDefinition as ActivityDefinition
from .definition import StepDefinition as StepDefinition
from .definition import WorkflowDefinition as WorkflowDefinition
from .definition import is_async as is_async
from .definition import name_of as name_of
from .errors import Recorded as Recorded
from .errors import StepFailed as StepFailed
from .errors import encode_error as encode_error
from .errors import read_error as read_error
from .errors import rebuild as rebuild
from .errors import rebuilt as rebuilt
from .limits import Limit as Limit
from .limits import wants_of as wants_of
from .options import Retry as Retry
from .options import Span as Span
from .options import activity_options as activity_options
from .options import aware as aware
from .options import labels_of as labels_of
from .options import micros as micros
from .blocking import BlockingContext as BlockingContext
from .calls import SignalTimeout as SignalTimeout
from .context import Context as Context
from .context import current_context as current_context
from .host import FunctionHost as FunctionHost
from .host import Runtime as Runtime
from .handlers import encode_call as encode_call
from .history import Misfit as Misfit
from .making import RunInfo as RunInfo
from .making import FunctionReference as FunctionReference
from .making import WorkflowReference as WorkflowReference
from .places import result_type as result_type
