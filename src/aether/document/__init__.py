"""The protocol as written: structs, loading with line and column, dumping.

In: JSON or YAML text. Out: frozen structs and a position for every path. Never: judging what is
written (validate), filling defaults (plan), opening files (the caller reads them).
"""

from .duration import parse_duration as parse_duration
from .duration import parse_micros as parse_micros
from .duration import parse_rate as parse_rate
from .model import API_VERSION as API_VERSION
from .model import Aggregate as Aggregate
from .model import AnyDocument as AnyDocument
from .model import Archive as Archive
from .model import Artifact as Artifact
from .model import ArtifactSource as ArtifactSource
from .model import Backoff as Backoff
from .model import ContinueOn as ContinueOn
from .model import CronSpec as CronSpec
from .model import CronWorkflow as CronWorkflow
from .model import Dag as Dag
from .model import ExecutorRef as ExecutorRef
from .model import Hook as Hook
from .model import Hooks as Hooks
from .model import Limit as Limit
from .model import Loop as Loop
from .model import Metadata as Metadata
from .model import Outputs as Outputs
from .model import Parameter as Parameter
from .model import Part as Part
from .model import PhaseConditions as PhaseConditions
from .model import Resources as Resources
from .model import Retry as Retry
from .model import SecretKeyRef as SecretKeyRef
from .model import Task as Task
from .model import Template as Template
from .model import TemplateRef as TemplateRef
from .model import ValueFrom as ValueFrom
from .model import Values as Values
from .model import Workflow as Workflow
from .model import WorkflowSpec as WorkflowSpec
from .model import WorkflowTemplate as WorkflowTemplate
from .source import Path as Path
from .source import Source as Source
from .text import KINDS as KINDS
from .text import decode as decode
from .text import dump as dump
from .text import encode as encode
from .text import load as load
from .text import load_all as load_all
