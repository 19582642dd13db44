"""Aether with every port set to its default: the only room that picks adapters.

In: a URL and settings. Out: a running engine with its worker. Never: a rule of its own.
"""

from .aether import Aether as Aether
from .parts import Engine as Engine
from .parts import Worker as Worker
from .parts import keyring_of as keyring_of
