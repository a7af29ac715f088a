"""From a scenario file to what a run needs: models, executors, data, thresholds."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from siploadgen.config import schema
from siploadgen.config.schema import File, UsersEntry, WorkEntry
from siploadgen.errors import ScenarioError, UsageError
from siploadgen.load.executors import Executor, ParameterError
from siploadgen.load.feeds import Feed, pair, parse_pick
from siploadgen.load.rows import Rows, generated_users, joined
from siploadgen.load.sources import Table, csv_table, ndjson_rows, sqlite_rows
from siploadgen.model import scenario as tree
from siploadgen.model.builtin import MODELS
from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.located import Fault, FileError, load, path_text, place, plain, read_text
from siploadgen.model.python import CallModel, load_models
from siploadgen.model.yaml import call_models, value_text
from siploadgen.run.plan import Workload

YAML_FILES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Work:
    """One entry of `scenarios:`: which calls, started by what, with which data."""

    name: str
    calls: tuple[tuple[str, float], ...]  # name of a call model, weight
    executor: Executor | None  # None: as the command line says
    users: str = ""
    callees: str = ""
    start_after: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario file that was read: checked as far as it can be without a target."""

    name: str
    file: File
    calls: Mapping[str, CallModel]
    answers: Mapping[str, CallModel]
    works: tuple[Work, ...]
    tables: Mapping[str, tuple[Table, UsersEntry]]
    thresholds: tuple[str, ...] = ()
    threshold_paths: tuple[tuple[str | int, ...], ...] = ()  # where in the file each stands
    path: str = ""
    profile: str = ""  # that was put over it
    root: Any = None  # of a YAML file: all of it, with places

    def profiled(self) -> list[list[str]]:
        """Paths of what the profile says."""
        own = (self.root.get("profiles") or {}).get(self.profile) or {} if self.profile else {}
        return [str(key).split(".") for key in own]

    def model(self, name: str) -> CallModel:
        """Return a call model of the file, or a built-in one."""
        return self.calls[name] if name in self.calls else MODELS[name].caller

    @property
    def target(self) -> str | None:
        """URI of the target, if the file names one."""
        return self.file.target.uri if self.file.target is not None else None


class _Loader:
    """Reads one file, and gathers its faults."""

    def __init__(self, path: str, profile: str = "", elsewhere: Iterable[str] = ()) -> None:
        self.path = path
        self.faults: list[Fault] = []
        self.paths: list[tuple[str | int, ...]] = []  # of the thresholds
        self.root = load(read_text(path), path)
        self.profile = profile
        if profile:
            self._apply(profile, set(elsewhere))

    def fault(self, path: Sequence[str | int], message: str, mend: str = "") -> None:
        line, column = place(self.root, path)
        self.faults.append(Fault(self.path, line, column, path_text(path), message, mend))

    def _apply(self, profile: str, elsewhere: set[str]) -> None:
        """Put the values of a profile over those of the file; keys may be dotted paths."""
        profiles = self.root.get("profiles") or {}
        if not isinstance(profiles, dict) or not isinstance(profiles.get(profile, {}), dict):
            return  # told by the check of the whole file
        if profile not in profiles:
            if profile not in elsewhere:
                self.fault(["profiles"], f"there is no profile {profile}",
                           nearest(profile, [*profiles, *elsewhere]))
                raise FileError(self.faults)
            return
        for key, value in profiles[profile].items():
            node, steps = self.root, str(key).split(".")
            where = profiles[profile].lc.data[key]
            for step in steps[:-1]:
                if not isinstance(node.get(step), dict):
                    node[step] = type(self.root)()
                    node.lc.add_kv_line_col(step, where)
                node = node[step]
            node[steps[-1]] = value
            node.lc.add_kv_line_col(steps[-1], where)

    def check(self, model: type[BaseModel] | TypeAdapter[Any], value: Any,
              path: list[str | int], skip: int = 0) -> Any:
        """Validate; None when there are faults, which are kept."""
        try:
            return (model.validate_python(value) if isinstance(model, TypeAdapter)
                    else model.model_validate(value))
        except ValidationError as error:
            for one in error.errors(include_url=False):
                loc = [*path, *one["loc"][skip:]]
                if one["type"] == "extra_forbidden":
                    known = _fields(model, one["loc"])
                    self.fault(loc, "unknown key", nearest(str(loc[-1]), known))
                elif one["type"] == "missing":
                    self.fault(loc[:-1] or loc, f"no {loc[-1]}", f"give {loc[-1]}")
                else:
                    message = str(one["msg"]).removeprefix("Value error, ")
                    if loc[-1:] == ["limits"]:  # the reader of the table names the key
                        key, _, message = message.partition(": ")
                        loc = [*loc, key]
                    self.fault(loc, message[:1].lower() + message[1:])
            return None

    def job(self) -> Job:
        """Read everything. FileError with all faults."""
        # what begins with x- is only there to be named by aliases
        data = {key: value for key, value in plain(self.root).items() if not key.startswith("x-")}
        file = self.check(File, data, [])
        calls = self._models("calls", tree.Role.CALLER)
        answers = self._models("answers", tree.Role.ANSWERER)
        tables = {} if file is None else self._tables(file)
        works = () if file is None else self._works(file, calls, tables)
        thresholds = () if file is None else self._thresholds(file.thresholds)
        if self.faults or file is None:
            raise FileError(self.faults)
        return Job(Path(self.path).stem, file, calls, answers, works, tables, thresholds,
                   tuple(self.paths), self.path, self.profile, self.root)

    def _models(self, section: str, role: tree.Role) -> dict[str, CallModel]:
        try:
            return call_models(self.root, self.path, role, section)
        except FileError as error:
            self.faults += error.faults
            return {}

    def _tables(self, file: File) -> dict[str, tuple[Table, UsersEntry]]:
        found = {}
        for name, entry in file.users.items():
            try:
                found[name] = (read_users(entry, Path(self.path).parent), entry)
            except (ScenarioError, UsageError) as error:
                self.fault(["users", name], str(error))
        return found

    def _works(self, file: File, calls: Mapping[str, CallModel],
               tables: Mapping[str, Any]) -> tuple[Work, ...]:
        if not file.scenarios:
            if len(calls) == 1:
                users = next(iter(tables), "")
                return (Work(next(iter(calls)), ((next(iter(calls)), 1.0),), None, users),)
            if calls:
                self.fault(["calls"], "several calls and no scenarios",
                           "say under scenarios: which are made, and when")
            elif not file.answers and not file.calls:
                self.fault([], "nothing to do", "write calls: or scenarios:")
            return ()
        found = []
        for name, entry in file.scenarios.items():
            work = self._work(name, dict(entry), file, calls, tables)
            if work is not None:
                found.append(work)
        return tuple(found)

    def _work(self, name: str, entry: dict[str, Any], file: File,
              calls: Mapping[str, CallModel], tables: Mapping[str, Any]) -> Work | None:
        path: list[str | int] = ["scenarios", name]
        before = len(self.faults)
        kind = entry.get("executor")
        if kind is not None and kind not in schema.EXECUTORS:
            self.fault([*path, "executor"], f"there is no executor {kind}",
                       nearest(str(kind), schema.EXECUTORS))
            return None
        own: Mapping[str, Any] = schema.EXECUTORS[str(kind)].model_fields if kind else {}
        common = {key: entry[key] for key in entry if key in WorkEntry.model_fields}
        work = self.check(WorkEntry, common, path)
        mine = {key: value for key, value in entry.items() if key in own}
        if kind and file.warmup and "warmup" not in mine:
            mine["warmup"] = file.warmup // 1_000_000
            mine["warmup"] = f"{mine['warmup']}ms"
        executor = self._executor(kind, mine, path, tables, common.get("users")) if kind else None
        if work is None:
            return None
        names = tuple(work.mix.items()) if work.mix else (((work.call or name), 1.0),)
        settings = {**{key: value for key, value in entry.items()
                       if key not in own and key not in common}, **work.settings}
        self._settings(names, settings, own, path, calls, "mix" if work.mix else "call")
        trace = getattr(executor, "trace", None)
        if trace is not None and trace.models:  # each call names its own
            try:
                trace.model_of(np.empty(0, np.uint64), [call for call, _ in names])
            except ScenarioError as error:
                self.fault([*path, "file"], str(error))
        for what in ("users", "callees"):
            table = getattr(work, what)
            if table is not None and table not in tables and table not in file.users:
                self.fault([*path, what], f"there are no users {table}",
                           nearest(table, file.users) if file.users else "name them under users:")
        if len(self.faults) > before:
            return None
        users = work.users or (next(iter(tables)) if len(tables) == 1 else "")
        return Work(name, names, executor, users, work.callees or "", work.start_after,
                    {key: setting_text(value) for key, value in settings.items()})

    def _executor(self, kind: str, mine: dict[str, Any], path: list[str | int],
                  tables: Mapping[str, Any], users: Any) -> Executor | None:
        if kind == "per-user" and "users_count" not in mine and users in tables:
            mine["users_count"] = tables[users][0].rows.count
        if kind == "replay" and isinstance(mine.get("file"), str):
            mine["file"] = str(Path(self.path).parent / mine["file"])
        entry = self.check(TypeAdapter(schema.ExecutorEntry), mine, path, skip=1)
        if entry is None:
            return None
        try:
            return entry.make()  # type: ignore[no-any-return]
        except ParameterError as error:
            steps = [int(one) if one.isdigit() else one for one in error.parameter.split(".")]
            self.fault([*path, *steps], error.message)
        except (UsageError, ScenarioError) as error:
            self.fault(path, str(error))
        return None

    def _settings(self, names: Iterable[tuple[str, float]], settings: Mapping[str, Any],
                  own: Iterable[str], path: list[str | int], calls: Mapping[str, CallModel],
                  key: str) -> None:
        """Refuse calls that there are not, and settings that none of them has."""
        known: dict[str, Any] = {}
        for name, _ in names:
            if name in calls:
                known |= calls[name].settings
            elif name in MODELS:
                known |= MODELS[name].settings
            else:
                where = [*path, key] if key == "call" else [*path, key, name]
                self.fault(where, f"there is no call {name}", nearest(name, [*calls, *MODELS]))
                return
        for name, value in settings.items():
            if name not in known:
                close = difflib.get_close_matches(
                    name, [*own, *WorkEntry.model_fields, *known], n=1)
                self.fault([*path, name], "unknown key",
                           f'did you mean "{close[0]}"?' if close else
                           f"known: {', '.join(sorted([*own, *WorkEntry.model_fields, *known]))}")
                continue
            try:
                known[name].read(setting_text(value), name)
            except ModelError as error:
                self.fault([*path, name], error.message, error.mend)

    def _thresholds(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Expressions as the command line has them."""
        from siploadgen.report.thresholds import parse_threshold

        found = []
        for metric, conditions in given.items():
            rows = conditions if isinstance(conditions, list) else [conditions]
            for number, row in enumerate(rows):
                path: list[str | int] = ["thresholds", metric,
                                         *([number] if isinstance(conditions, list) else [])]
                texts = row if isinstance(row, dict) else {row: {}}
                for text, options in texts.items():
                    where = [*path, text] if isinstance(row, dict) else path
                    read = self.check(schema.ThresholdOptions, options or {}, where)
                    if read is None:
                        continue
                    words = ["abort"] if read.abort else []
                    words += [f"delay {options['delay']}"] if "delay" in (options or {}) else []
                    words += ["warn"] if read.severity == "warn" else []
                    expression = " ".join([f"{metric}: {text}", *words])
                    try:
                        parse_threshold(expression)
                    except UsageError as error:
                        self.fault(where, str(error).removeprefix("threshold "))
                    found.append(expression)
                    self.paths.append(tuple(where))
        return tuple(found)


def _fields(model: Any, loc: Sequence[str | int]) -> Iterable[str]:
    """Fields of the mapping that an unknown key stands in."""
    if isinstance(model, TypeAdapter):
        if len(loc) > 2:  # in a list of it
            if loc[1] == "table":
                return schema.TablePoint.model_fields
            return (schema.CallStageEntry.model_fields if loc[0] == "ramping-calls"
                    else schema.RateStageEntry.model_fields)
        return schema.EXECUTORS[str(loc[0])].model_fields if loc[0] in schema.EXECUTORS else ()
    if len(loc) == 1:
        return list(model.__pydantic_fields__)
    nested: dict[str, type[BaseModel]] = {"users": UsersEntry, "target": schema.TargetEntry}
    return nested[str(loc[0])].model_fields if loc[0] in nested else ()


def setting_text(value: Any) -> str:
    """Write a value as `--set` has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value_text(value)


def read_users(entry: UsersEntry, folder: Path) -> Table:
    """Read a table of users. ScenarioError and UsageError with the place."""
    sources = [name for name in ("csv", "ndjson", "sqlite", "generated")
               if getattr(entry, name) is not None]
    if len(sources) != 1:
        raise UsageError("give exactly one of csv, ndjson, sqlite and generated")
    if entry.csv is not None:
        return csv_table(folder / entry.csv, entry.fields, header=entry.header)
    if entry.ndjson is not None:
        return Table(ndjson_rows(folder / entry.ndjson, entry.fields))
    if entry.sqlite is not None:
        return Table(sqlite_rows(folder / entry.sqlite, entry.table, entry.query, entry.fields))
    return Table(generated_users(entry.fields or ("user", "password"), entry.generated or 1))


def load_job(path: str, profile: str = "", elsewhere: Iterable[str] = ()) -> Job:
    """Read a scenario file, YAML or Python. FileError with all faults; ModelError of Python.

    Of the profiles `elsewhere` the file need not know anything.
    """
    if path.endswith(YAML_FILES):
        return _Loader(path, profile, elsewhere).job()
    models = load_models(path)
    calls = {name: one for name, one in models.items() if one.role is tree.Role.CALLER}
    answers = {name: one for name, one in models.items() if one.role is tree.Role.ANSWERER}
    if len(calls) > 1:
        raise FileError([Fault(path, 0, 0, "", f"{len(calls)} call models: {', '.join(calls)}",
                               "say in a YAML file or by Run(...) which are made, and when")])
    works = tuple(Work(name, ((name, 1.0),), None) for name in calls)
    return Job(Path(path).stem, File(), calls, answers, works, {})


@dataclass(frozen=True, slots=True)
class Built:
    """A job for a target: one program, its workloads and their data."""

    program: Any
    workloads: tuple[Workload, ...]
    rows: tuple[Rows, ...]


def build(job: Job, target_uri: str, default: Executor | None = None, *,
          settings: Mapping[str, str] | None = None, compact: bool = False,
          users: Rows | None = None) -> Built:
    """Record and compile the calls of a job. ModelError and FileError with the place.

    `default` starts the workloads that have no executor of their own, `users` are those of
    workloads without a table, `settings` come before those of the file.
    """
    from siploadgen.compile.assemble import compile_scenarios

    scenarios: list[tree.Scenario] = []
    faults: list[Fault] = []
    feeds = [_feeds(job, work, users) for work in job.works]
    entries: list[list[tuple[int, float]]] = []
    for work, mine in zip(job.works, feeds, strict=True):
        columns = [name for feed in mine for name in feed.rows.names]
        entries.append([])
        for name, weight in work.calls:
            model = job.model(name)
            own = {key: text for key, text in {**work.settings, **(settings or {})}.items()
                   if key in model.settings}
            try:
                recorded = model.record(target=target_uri, settings=own, columns=columns,
                                        compact=compact)
            except FileError as error:
                faults += error.faults
                continue
            entries[-1].append((len(scenarios), weight))
            scenarios.append(recorded)
    for answer in job.answers.values():
        try:
            scenarios.append(answer.record(settings={
                key: text for key, text in (settings or {}).items() if key in answer.settings},
                compact=compact))
        except FileError as error:
            faults += error.faults
    if faults:
        raise FileError(faults)
    program = compile_scenarios(*scenarios)
    tables, offsets = _tables(feeds)
    workloads = tuple(
        Workload(work.name, work.executor or _needed(default, work), tuple(chosen), mine, starts,
                 work.start_after)
        for work, chosen, mine, starts in zip(job.works, entries, feeds, offsets, strict=True))
    return Built(program, workloads, tables)


def _needed(default: Executor | None, work: Work) -> Executor:
    if default is None:
        raise UsageError(f"scenarios.{work.name}: no executor; give one")
    return default


def _feeds(job: Job, work: Work, users: Rows | None) -> tuple[Feed, ...]:
    """Tables of a workload: its users, and the callees under their prefix."""
    if not work.users:
        return (Feed("users", users),) if users is not None else ()
    table, entry = job.tables[work.users]
    if entry.pick is not None:
        callers = Feed("users", table.rows, entry.pick, entry.exhaust)
    else:
        callers = Feed("users", table.rows, parse_pick(table.pick), entry.exhaust)
    if not work.callees:
        return (callers,)
    other, about = job.tables[work.callees]
    rows = table.rows if other is table else other.rows
    callees = Feed("callee", rows, about.pick or callers.pick, about.exhaust)
    first, second = pair(callers, callees)
    named = Rows(second.rows.count, tuple(f"callee.{name}" for name in second.rows.names),
                 second.rows.blobs, second.rows.offsets)
    return first, replace(second, rows=named)


def _tables(feeds: Sequence[tuple[Feed, ...]]) -> tuple[tuple[Rows, ...],
                                                        list[tuple[int, ...]]]:
    """One table for each place of a feed, and where each workload's rows begin in it."""
    most = max((len(one) for one in feeds), default=0)
    tables: list[Rows] = []
    starts: list[list[int]] = [[] for _ in feeds]
    for place_ in range(most):
        distinct: list[Rows] = []
        which: list[int | None] = []
        for mine in feeds:
            if place_ >= len(mine):
                which.append(None)
                continue
            rows = mine[place_].rows
            known = next((n for n, one in enumerate(distinct)
                          if one.blobs is rows.blobs and one.names == rows.names), None)
            if known is None:
                known = len(distinct)
                distinct.append(rows)
            which.append(known)
        table, begins = joined(distinct)
        tables.append(table)
        for at, number in enumerate(which):
            if number is not None:
                starts[at].append(begins[number])
    return tuple(tables), [tuple(one) for one in starts]
