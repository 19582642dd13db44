"""Aether: durable workflows as documents or plain Python, from one script to a cluster.

In: nothing. Out: the public names, loaded when first used so that an import costs next to nothing. Never:
code; nothing inside imports this module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import graph as graph
    from .adapters.broker import LocalBroker as LocalBroker
    from .adapters.errors import CollectingSink as CollectingSink
    from .adapters.ids import CounterIds as CounterIds
    from .adapters.ids import UuidV7Ids as UuidV7Ids
    from .adapters.schemas import schema_of as schema_of
    from .adapters.store import MemoryStore as MemoryStore
    from .app import Aether as Aether
    from .app import Engine as Engine
    from .app import Worker as Worker
    from .engine import Retention as Retention
    from .errors import AetherError as AetherError
    from .errors import CommitUnknown as CommitUnknown
    from .errors import EngineBug as EngineBug
    from .errors import InvalidDocument as InvalidDocument
    from .errors import InvalidExpression as InvalidExpression
    from .errors import InvalidState as InvalidState
    from .errors import NotFound as NotFound
    from .errors import NotSupported as NotSupported
    from .errors import Problem as Problem
    from .errors import ProblemError as ProblemError
    from .errors import Refused as Refused
    from .errors import StoreError as StoreError
    from .errors import StoreUnavailable as StoreUnavailable
    from .errors import TokenMismatch as TokenMismatch
    from .errors import WaitTimeout as WaitTimeout
    from .errors import Where as Where
    from .errors import WorkflowCancelled as WorkflowCancelled
    from .errors import WorkflowFailed as WorkflowFailed
    from .errors import WorkflowTimedOut as WorkflowTimedOut
    from .expr import CelEvaluator as CelEvaluator
    from .flow import BlockingContext as BlockingContext
    from .flow import Context as Context
    from .flow import Limit as Limit
    from .flow import Retry as Retry
    from .flow import SignalTimeout as SignalTimeout
    from .flow import StepFailed as StepFailed
    from .ports import Assignment as Assignment
    from .ports import CronExecution as CronExecution
    from .ports import Execution as Execution
    from .ports import Fence as Fence
    from .ports import HookEvent as HookEvent
    from .ports import Outcome as Outcome
    from .ports import Request as Request
    from .ports import RunQuery as RunQuery
    from .ports import Schema as Schema
    from .ports import TaskExecution as TaskExecution
    from .ports import TaskResult as TaskResult
    from .record import Phase as Phase
    from .sdk import Handle as Handle
    from .sdk import Workflow as Workflow
    from .sdk import activity as activity
    from .sdk import step as step
    from .sdk import workflow as workflow

_HOMES = {
    "Aether": "app",
    "AetherError": "errors",
    "Assignment": "ports",
    "BlockingContext": "flow",
    "CelEvaluator": "expr",
    "CollectingSink": "adapters.errors",
    "CommitUnknown": "errors",
    "Context": "flow",
    "CounterIds": "adapters.ids",
    "CronExecution": "ports",
    "Engine": "app",
    "EngineBug": "errors",
    "Execution": "ports",
    "Fence": "ports",
    "Handle": "sdk",
    "HookEvent": "ports",
    "InvalidDocument": "errors",
    "InvalidExpression": "errors",
    "InvalidState": "errors",
    "Limit": "flow",
    "LocalBroker": "adapters.broker",
    "MemoryStore": "adapters.store",
    "NotFound": "errors",
    "NotSupported": "errors",
    "Outcome": "ports",
    "Phase": "record",
    "Problem": "errors",
    "ProblemError": "errors",
    "Refused": "errors",
    "Request": "ports",
    "Retention": "engine",
    "Retry": "flow",
    "RunQuery": "ports",
    "Schema": "ports",
    "SignalTimeout": "flow",
    "StepFailed": "flow",
    "StoreError": "errors",
    "StoreUnavailable": "errors",
    "TaskExecution": "ports",
    "TaskResult": "ports",
    "TokenMismatch": "errors",
    "UuidV7Ids": "adapters.ids",
    "WaitTimeout": "errors",
    "Where": "errors",
    "Worker": "app",
    "Workflow": "sdk",
    "WorkflowCancelled": "errors",
    "WorkflowFailed": "errors",
    "WorkflowTimedOut": "errors",
    "activity": "sdk",
    "graph": "",
    "schema_of": "adapters.schemas",
    "step": "sdk",
    "workflow": "sdk",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one list of names is enough


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if not home:
        return import_module(f".{name}", __name__)  # a room of its own
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return list(__all__)
