"""Ways to tell somebody that a hook fired: the log, a webhook, several at once."""

from .composite import CompositeNotifier as CompositeNotifier
from .log import LogNotifier as LogNotifier
from ..signature import SIGNATURE_HEADER as SIGNATURE_HEADER
from ..signature import sign as sign
from ..signature import verify_signature as verify_signature
from .webhook import WebhookNotifier as WebhookNotifier
