"""Places where secrets live: the environment, a directory of files."""

from .directory import DirectorySecrets as DirectorySecrets
from .environment import EnvSecrets as EnvSecrets
