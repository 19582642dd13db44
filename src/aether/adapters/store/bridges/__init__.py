"""Two bridges between the ports of storage: record calls on any store, a store on any record calls.

In: a Store or a Records. Out: the other one. Never: rows of their own.
"""

from ....ports import Records, Store
from .over_records import StoreOverRecords as StoreOverRecords
from .over_store import RecordsOver as RecordsOver


def store_from(records: Records) -> Store:
    """A Store on hand-written record calls, safe against a crash between any two of them.

    Record calls that stand on a store themselves are unwrapped: the store beneath commits better.
    """
    return records.store if isinstance(records, RecordsOver) else StoreOverRecords(records)
