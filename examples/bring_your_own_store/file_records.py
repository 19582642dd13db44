"""Records as files: one JSON file for each run, task run, cron, template and executor schema.

All of them are held in memory too, so reading costs nothing; whatever is written goes to a file first.
"""

import os
from copy import deepcopy
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from secrets import randbits

import msgspec

from aether.errors import NotFound, Problem, Refused, TokenMismatch
from aether.ports import RunRecord, TaskRecord
from aether.record import CronRow, SchemaRow, TemplateRow


class Drawer:
    """Records of one kind: a dict, and a directory that says the same."""

    def __init__(self, folder, kind, *key, order=()):
        self.folder, self.decode, self.records = folder, msgspec.json.Decoder(kind).decode, {}
        self.key_of, self.order = attrgetter(*key), attrgetter(*(order or key))

    def open(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for half in self.folder.glob("*.new"):
            half.unlink()  # the process ended before this one counted
        found = (self.decode(path.read_bytes()) for path in sorted(self.folder.iterdir()))
        self.records = {self.key_of(record): record for record in found}

    def path(self, key):
        return self.folder / f"{sha256(repr(key).encode()).hexdigest()[:40]}.json"

    def put(self, key, record):
        """The file is there whole, or as it was before: a rename is the moment at which it counts."""
        path, data = self.path(key), msgspec.json.encode(record)
        half = path.with_suffix(".new")
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        self.sync()
        self.records[key] = self.decode(data)
        return self.decode(data)

    def drop(self, key, kind):
        self.get(key, kind)
        self.path(key).unlink(missing_ok=True)
        self.sync()
        del self.records[key]

    def sync(self):
        handle = os.open(self.folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    def get(self, key, kind):
        if key not in self.records:
            raise NotFound(Problem(f"{kind}-not-found", f"there is no {kind} {key!r}"))
        return deepcopy(self.records[key])

    def list(self, matching=lambda record: True):
        return deepcopy(sorted(filter(matching, self.records.values()), key=self.order))

    def create(self, key, new):
        """A record with a token: a new one at each change, and never one that was there before."""
        if key in self.records:
            raise TokenMismatch(f"{key!r} exists already")
        return self.put(key, msgspec.structs.replace(new, token=randbits(62)))

    def update(self, key, patch, token, kind):
        held = self.get(key, kind)
        if held.token != token:
            raise TokenMismatch(f"{key!r} has changed since {token} was its token")
        for name, value in msgspec.structs.asdict(patch).items():
            if value is not msgspec.UNSET and name != "ordinal":
                setattr(held, name, value)
        return self.put(key, msgspec.structs.replace(held, token=randbits(62)))


class Template(msgspec.Struct):
    number: int  # two versions of one instant are told apart by the order in which they came
    row: TemplateRow
    token: int = 0


class FileRecords:
    """The record calls that `store_from` makes a store of."""

    def __init__(self, folder):
        folder = Path(folder)
        by_creation, by_ordinal = ("created_at", "run_id"), ("run_id", "ordinal")
        by_age = ("row.name", "row.created_at", "number")
        self.runs = Drawer(folder / "runs", RunRecord, "run_id", order=by_creation)
        self.tasks = Drawer(folder / "tasks", TaskRecord, "task_run_id", order=by_ordinal)
        name, version = "row.name", "row.version"
        self.templates = Drawer(folder / "templates", Template, name, version, order=by_age)
        self.crons = Drawer(folder / "crons", CronRow, "cron_id")
        self.schemas = Drawer(folder / "schemas", SchemaRow, "worker_id", "type")

    async def open(self):
        for drawer in (self.runs, self.tasks, self.crons, self.templates, self.schemas):
            drawer.open()
        for task in list(self.tasks.records.values()):
            if task.run_id not in self.runs.records:  # the process ended while its run was deleted
                self.tasks.drop(task.task_run_id, "task-run")

    async def close(self):
        pass  # everything is on disk already

    async def create_run(self, new):
        return self.runs.create(new.run_id, new)

    async def get_run(self, run_id):
        return self.runs.get(run_id, "run")

    async def update_run(self, run_id, patch, token):
        return self.runs.update(run_id, patch, token, "run")

    async def list_runs(self):
        return self.runs.list()

    async def list_active_runs(self):
        return self.runs.list(lambda run: not run.phase.is_terminal or run.redo is not None)

    async def list_runs_by_cron(self, cron_id):
        return self.runs.list(lambda run: run.cron_id == cron_id)

    async def delete_run(self, run_id):
        self.runs.drop(run_id, "run")
        for task in await self.list_task_runs(run_id):
            self.tasks.drop(task.task_run_id, "task-run")

    async def create_task_run(self, new):
        self.runs.get(new.run_id, "run")
        for task in await self.list_task_runs(new.run_id):
            if task.key == new.key:
                return task
            if task.ordinal == new.ordinal:
                raise Refused(Problem("task-run-exists", f"{task.task_run_id} is {task.key}"))
        return self.tasks.create(new.task_run_id, new)

    async def get_task_run(self, task_run_id):
        return self.tasks.get(task_run_id, "task-run")

    async def update_task_run(self, task_run_id, patch, token):
        return self.tasks.update(task_run_id, patch, token, "task-run")

    async def list_task_runs(self, run_id):
        return self.tasks.list(lambda task: task.run_id == run_id)

    async def list_children(self, run_id, parent):
        return [task for task in await self.list_task_runs(run_id) if task.parent == parent]

    async def list_active_task_runs(self):
        return self.tasks.list(lambda task: not task.phase.is_terminal)

    async def upsert_schema(self, row):
        self.schemas.put((row.worker_id, row.type), row)

    async def list_schemas(self):
        return self.schemas.list()

    async def delete_schemas(self, executor_type="", worker_id=""):
        keys = [key for key in self.schemas.records if worker_id in ("", key[0])]
        keys = [key for key in keys if executor_type in ("", key[1])]
        for key in keys:
            self.schemas.drop(key, "schema")
        return len(keys)

    async def create_cron(self, new):
        return self.crons.create(new.cron_id, new)

    async def get_cron(self, cron_id):
        return self.crons.get(cron_id, "cron")

    async def update_cron(self, cron_id, patch, token):
        return self.crons.update(cron_id, patch, token, "cron")

    async def list_crons(self):
        return self.crons.list()

    async def delete_cron(self, cron_id):
        self.crons.drop(cron_id, "cron")

    async def create_template(self, new):
        number = max((each.number for each in self.templates.records.values()), default=0) + 1
        self.templates.create((new.name, new.version), Template(number, new))

    async def list_templates(self, name=""):
        found = self.templates.list(lambda each: name in ("", each.row.name))
        return [each.row for each in found]

    async def delete_template(self, name, version):
        self.templates.drop((name, version), "template")
