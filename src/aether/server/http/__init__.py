"""REST, events and pages over HTTP: an ASGI application, its routes, and the listener that serves it.

In: HTTP requests. Out: JSON as the views of `ports.api` have it, problems as `application/problem+json`,
server-sent events, pages. Never: a route that is not in the table, or one whose rights nobody stated.
"""

from .access import Access as Access
from .access import ROLES as ROLES
from .application import Application as Application
from .listener import Listener as Listener
from .openapi import openapi as openapi
from .probes import MetricsPage as MetricsPage
from .services import Limits as Limits
from .services import Services as Services
from .table import ROUTES as ROUTES
