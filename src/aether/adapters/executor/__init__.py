"""Executors: what runs a task, the registry that finds it, and schemas out of type hints.

In: Requests. Out: Outcomes. Never: phases, retries, reports; a blocking call on the event loop.
"""

from ..schemas import schema_of as schema_of
from ..schemas import schema_of_function as schema_of_function
from ..threads import ThreadPool as ThreadPool
from .await_ import AwaitExecutor as AwaitExecutor
from .echo import EchoExecutor as EchoExecutor
from .function import FunctionExecutor as FunctionExecutor
from .http import HttpExecutor as HttpExecutor
from .registry import Executors as Executors
from .shell import ShellExecutor as ShellExecutor
