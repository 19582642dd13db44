"""The command line: one file per command.

In: arguments and files. Out: text, JSON, an HTML report and an exit code of `exits`. Never: rules about
documents or runs; whatever is decided here could be decided by any other client.
"""


def main() -> None:
    import sys

    from .main import run_cli

    sys.exit(run_cli())
