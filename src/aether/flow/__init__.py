"""The runtime of function runs: what makes a plain Python function survive its process.

In: a function, its journal. Out: facts for the journal. Never: a store, the engine, wall time or chance.
"""

from .codec import decode as decode
from .codec import encode as encode
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
from .options import Retry as Retry
from .options import Span as Span
from .options import activity_options as activity_options
from .options import micros as micros
from .blocking import BlockingContext as BlockingContext
from .calls import SignalTimeout as SignalTimeout
from .context import Context as Context
from .context import current_context as current_context
from .host import FunctionHost as FunctionHost
from .host import Runtime as Runtime
from .handlers import encode_call as encode_call
from .making import RunInfo as RunInfo
from .making import WorkflowReference as WorkflowReference
