"""Runs what a broker delivers: fetch, prepare, execute, judge, report.

In: deliveries and cancellations from a TaskBroker, executors from an ExecutorRegistry. Out: starts,
results, faults, heartbeats. Never: phases, retries and deadlines (the plan's), a store, a clock, an id
or a thread of its own.
"""

from .archives import pack as pack
from .archives import unpack as unpack
from .outcome import Verdict as Verdict
from .outcome import judge as judge
from .outcome import judge_exception as judge_exception
from .worker import Worker as Worker
