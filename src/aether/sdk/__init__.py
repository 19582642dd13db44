"""Code-first: plain Python functions as durable workflows, steps and activities.

In: functions. Out: starts and questions, through ports.FunctionRuns. Never: an engine, a store, a thread.
"""

from .blocking import Blocking as Blocking
from .blocking import BlockingHandle as BlockingHandle
from .executors import ActivityExecutor as ActivityExecutor
from .functions import Functions as Functions
from .functions import Served as Served
from .handle import Handle as Handle
from .handle import value_of as value_of
from .steps import Activity as Activity
from .steps import AsyncActivity as AsyncActivity
from .steps import AsyncStep as AsyncStep
from .steps import PlainActivity as PlainActivity
from .steps import PlainStep as PlainStep
from .steps import Step as Step
from .steps import activity as activity
from .steps import step as step
from .workflow import Schedule as Schedule
from .workflow import Workflow as Workflow
from .workflow import workflow as workflow
