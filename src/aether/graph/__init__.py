"""Documents written in Python: `from aether import graph`.

In: calls. Out: `aether/v1` documents, as structs, JSON or YAML. Never: an engine; what is built here is run
like any other document.
"""

from .builder import Body as Body
from .builder import Dag as Dag
from .builder import Node as Node
from .builder import Workflow as Workflow
from .expressions import Expression as Expression
from .expressions import index as index
from .expressions import item as item
from .expressions import literal as literal
from .expressions import parameter as parameter
from .expressions import secret as secret
from .policies import Backoff as Backoff
from .policies import Retry as Retry
