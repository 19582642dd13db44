"""Cron schedulers: one that follows the clock, and one that fires when told.

In: schedules in their zones, and the Clock port. Out: calls with the instant meant. Never: polling,
threads, a time of its own, or knowledge of runs.
"""

from .manual import ManualScheduler as ManualScheduler
from .scheduler import CronsimScheduler as CronsimScheduler
