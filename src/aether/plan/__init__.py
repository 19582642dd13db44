"""The rules: given a run's state and a fact, what changes and what is to be done.

In: a checked document, then events. Out: decisions, made of changes and commands. Never: clock,
chance, I/O, await, or a row touched by anything but a Turn.
"""

from .artifacts import kept_at as kept_at
from .compile import compile_plan as compile_plan
from .decision import decide as decide
from .decision import decide_all as decide_all
from .events import CancelTask as CancelTask
from .events import Command as Command
from .events import Decision as Decision
from .events import DispatchHook as DispatchHook
from .events import DispatchTask as DispatchTask
from .events import Event as Event
from .events import HookCompleted as HookCompleted
from .events import HookNotified as HookNotified
from .events import HookStarted as HookStarted
from .events import NotifyHook as NotifyHook
from .events import RunCancelled as RunCancelled
from .events import RunFailed as RunFailed
from .events import RunPaused as RunPaused
from .events import RunSubmitted as RunSubmitted
from .events import RunTakenOver as RunTakenOver
from .events import RunUnpaused as RunUnpaused
from .events import TaskCompleted as TaskCompleted
from .events import TaskResumed as TaskResumed
from .events import TaskStarted as TaskStarted
from .events import TimePassed as TimePassed
from .events import Warn as Warn
from .events import WorkerLost as WorkerLost
from .leaf import MAX_LOSSES as MAX_LOSSES
from .phase import CONTAINER_MOVES as CONTAINER_MOVES
from .phase import LEAF_MOVES as LEAF_MOVES
from .phase import RUN_MOVES as RUN_MOVES
from .spec import HookSpec as HookSpec
from .spec import NodeSpec as NodeSpec
from .spec import Plan as Plan
from .state import Node as Node
from .state import State as State
