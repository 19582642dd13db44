"""What every store moves: rows, changes of rows, and the one function that makes a change.

In: rows and changes. Out: rows. Never: rules about phases (plan), I/O of any kind, driver types.
Rows hold encoded values as bytes; whoever needs to look inside decodes them through `values`.
"""

from .chain import Link as Link
from .chain import check_entry as check_entry
from .chain import check_head as check_head
from .chain import decode_changes as decode_changes
from .chain import erase_payloads as erase_payloads
from .chain import has_erased as has_erased
from .chain import head_of as head_of
from .chain import seal as seal
from .changes import apply as apply
from .changes import encode_changes as encode_changes
from .changes import patch_hook as patch_hook
from .changes import patch_run as patch_run
from .changes import patch_task as patch_task
from .phase import Phase as Phase
from .rows import Change as Change
from .rows import CronRow as CronRow
from .rows import HookPatch as HookPatch
from .rows import HookRow as HookRow
from .rows import Instant as Instant
from .rows import RunPatch as RunPatch
from .rows import RunRow as RunRow
from .rows import RunRows as RunRows
from .rows import SchemaRow as SchemaRow
from .rows import TaskPatch as TaskPatch
from .rows import TaskRow as TaskRow
from .rows import TemplateRow as TemplateRow
from .rows import Token as Token
from .rows import hook_run_id as hook_run_id
from .rows import parse_task_run_id as parse_task_run_id
from .rows import patch_fields as patch_fields
from .rows import task_run_id as task_run_id
from .schema import Field as Field
from .schema import Schema as Schema
from .tiers import ACTION_LOG as ACTION_LOG
from .tiers import MEMORY as MEMORY
from .tiers import SNAPSHOT as SNAPSHOT
from .tiers import TIERS as TIERS
from .values import NamedValue as NamedValue
from .values import RawValue as RawValue
from .values import SecretRef as SecretRef
from .values import as_mapping as as_mapping
from .values import decode_json as decode_json
from .values import decode_raw_values as decode_raw_values
from .values import decode_values as decode_values
from .values import encode_json as encode_json
from .values import encode_values as encode_values
from .values import named_values as named_values
