"""The shell around the plan: facts in, decisions committed, commands performed.

In: calls of `Engine` and what brokers report. Out: commits to the Store, and after them assignments,
hook events and answers. Never: a rule about phases (plan), a vendor's name, time or chance except
through ports.
"""

from .audit_file import export_lines as export_lines
from .audit_file import import_lines as import_lines
from .audit_file import read_lines as read_lines
from .chain_check import Verdict as Verdict
from .chain_check import run_ids as run_ids
from .chain_check import verify_run as verify_run
from .copying import Copied as Copied
from .copying import copy_store as copy_store
from .copying import verify_copy as verify_copy
from .auditor import audit as audit
from .callers import ask as ask
from .engine import Engine as Engine
from .documents import Submittable as Submittable
from .comparison import compare as compare
from .merged import whole_page as whole_page
from .forks import forks_of as forks_of
from .forks import forks_of_each as forks_of_each
from .instants import moment as moment
from .keeping import Retention as Retention
from .keeping import drop_artifacts as drop_artifacts
from .keeping import expired as expired
from .keyring import Keyring as Keyring
from .keyring import Reserved as Reserved
from .payloads import THRESHOLD as THRESHOLD
from .payloads import with_payloads as with_payloads
from .sentences import full_path as full_path
from .shortcuts import ForkShortcuts as ForkShortcuts
from .sizes import LIMIT as LIMIT
from .slots_view import obstacles_of as obstacles_of
from .travel import log_entries as log_entries
from .travel import rows_at as rows_at
from .travel import steps as steps
from .view import execution_of as execution_of
from .view import origin_of as origin_of
