"""Places where artifacts are kept, and the check of a source against those that are registered."""

from .http import HttpArtifacts as HttpArtifacts
from .local import LocalArtifacts as LocalArtifacts
from .sources import check_source as check_source
