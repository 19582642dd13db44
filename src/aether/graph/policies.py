"""Policies of documents under the names of the protocol."""

from ..document import Backoff as Backoff
from ..document import Retry as Retry
