"""`python -m aether.cli` is the same as `aether`."""

from . import main

main()
