"""The whole engine under one seed: engines, workers, broker and store in virtual time, and their bad days.

In: a seed. Out: a Report: what broke the rules, which faults struck, a digest that is the same each time.
Never: the machine's clock, a thread, a socket, or chance that the seed did not give.

    python -m aether.testing.simulation --seed 7
"""

from .faults import POINTS as POINTS
from .run import EVENTS as EVENTS
from .run import Report as Report
from .run import simulate as simulate
