"""The cases, by what they put to the test. Importing this registers all of them."""

from . import documents as documents
from . import expressions as expressions
from . import functions as functions
from . import postgres as postgres
from . import recovery as recovery
from . import runs as runs
from . import server as server
from . import shapes as shapes
from . import sqlite as sqlite
from . import startup as startup
