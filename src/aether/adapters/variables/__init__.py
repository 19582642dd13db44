"""Sources of variables: the machine, the environment, a mapping."""

from .sources import EnvVars as EnvVars
from .sources import StaticVars as StaticVars
from .sources import SystemVars as SystemVars
