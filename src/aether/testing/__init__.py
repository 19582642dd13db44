"""For whoever writes tests: of workflows, and of adapters.

`Environment`, `crash_at_every_step` and `replay` are for workflows. The contract suites are for adapters: in
an adapter, out a verdict on every sentence of its port's docstring. Never: needed to run a workflow.
Names are loaded when first used, so that one suite does not drag in what another needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifacts_contract import ArtifactRepositoryContract as ArtifactRepositoryContract
    from .broker_contract import BrokerContract as BrokerContract
    from .chance_contract import ChanceContract as ChanceContract
    from .cipher_contract import CipherContract as CipherContract
    from .clock_contract import ClockContract as ClockContract
    from .suites import ContractSuite as ContractSuite
    from .cron_contract import CronSchedulerContract as CronSchedulerContract
    from .dict_records import DictRecords as DictRecords
    from .errors_contract import ErrorSinkContract as ErrorSinkContract
    from .clock import FakeClock as FakeClock
    from .executor_contract import ExecutorContract as ExecutorContract
    from .executor_contract import ExecutorRegistryContract as ExecutorRegistryContract
    from .ids_contract import IdGeneratorContract as IdGeneratorContract
    from .notifier_contract import NotifierContract as NotifierContract
    from .records_contract import RecordsContract as RecordsContract
    from .secrets_contract import SecretProviderContract as SecretProviderContract
    from .store_contract import RowsContract as RowsContract
    from .store_contract import StoreContract as StoreContract
    from .timeouts_contract import TimeoutWatcherContract as TimeoutWatcherContract
    from .variables_contract import VarsSourceContract as VarsSourceContract
    from .journal_contract import JournalContract as JournalContract
    from .crashing import CrashReport as CrashReport
    from .crashing import crash_at_every_step as crash_at_every_step
    from .environment import Environment as Environment
    from .environment import ProcessDied as ProcessDied
    from .fakes import Fake as Fake
    from .replaying import replay as replay
    from .workers_contract import WorkerRegistryContract as WorkerRegistryContract
    from .suites import accepts as accepts
    from .suites import failures as failures
    from .suites import rejects as rejects

_FILES = {
    "ArtifactRepositoryContract": "artifacts_contract",
    "BrokerContract": "broker_contract",
    "ChanceContract": "chance_contract",
    "CipherContract": "cipher_contract",
    "ClockContract": "clock_contract",
    "ContractSuite": "suites",
    "CronSchedulerContract": "cron_contract",
    "DictRecords": "dict_records",
    "ErrorSinkContract": "errors_contract",
    "ExecutorContract": "executor_contract",
    "ExecutorRegistryContract": "executor_contract",
    "FakeClock": "clock",
    "IdGeneratorContract": "ids_contract",
    "NotifierContract": "notifier_contract",
    "RecordsContract": "records_contract",
    "SecretProviderContract": "secrets_contract",
    "RowsContract": "store_contract",
    "StoreContract": "store_contract",
    "TimeoutWatcherContract": "timeouts_contract",
    "VarsSourceContract": "variables_contract",
    "JournalContract": "journal_contract",
    "CrashReport": "crashing",
    "Environment": "environment",
    "Fake": "fakes",
    "ProcessDied": "environment",
    "WorkerRegistryContract": "workers_contract",
    "accepts": "suites",
    "crash_at_every_step": "crashing",
    "failures": "suites",
    "replay": "replaying",
    "rejects": "suites",
}

__all__ = list(_FILES)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FILES[name]}", __name__), name)
