"""`python -m aether.server.http` prints the OpenAPI document."""

import json
import sys

from . import ROUTES, openapi

sys.stdout.write(json.dumps(openapi(ROUTES), indent=1, ensure_ascii=False) + "\n")
