"""Each kind of run as it goes without kills.

In: nothing. Out: signatures by kind and argument. Never: a file that stays.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from aether.adapters.store import MemoryStore
from aether.app import Aether
from crash.checks import Signature, signature
from crash.driving import Effects, act, equip
from crash.kinds import ACTED_UPON, KINDS, TEMPLATE

Reference = dict[tuple[str, int], Signature]


async def without_kills() -> Reference:
    found: Reference = {}
    with tempfile.TemporaryDirectory() as place:
        effects = Effects(Path(place) / "effects")
        store = MemoryStore()
        app = Aether(store=store)
        equip(app, effects)
        async with app:
            await app.put_template(TEMPLATE)
            for kind, document in KINDS.items():
                for n in range(3):
                    run_id = await app.submit(document, {"n": n})
                    if kind in ACTED_UPON:
                        await act(app, run_id, "reference", lambda line: None)
                    await app.wait(run_id, 10)
                    while await store.unfinished():  # its hooks
                        await asyncio.sleep(0)
                    (rows,) = await store.load([run_id])
                    assert rows is not None
                    found[kind, n] = signature(rows)
        effects.close()
    return found
