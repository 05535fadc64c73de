"""The environment variables that carry a load's job to the processes which make its streams. Declared here only.

`load` sets them for Locust; a master sends some of them to its workers on other machines; `streamgauge.scenarios` reads
them. They go through the environment and not through a file, so that no key is written to disk.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from streamgauge.endpoint.credentials import secrets_of
from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import PromptPlan
from streamgauge.loadgen.workload import Workload
from streamgauge.protocol.typed import from_json
from streamgauge.secrets import learn

TARGET_ENV: Final = "STREAMGAUGE_TARGET"  # a Target as JSON
WORKLOAD_ENV: Final = "STREAMGAUGE_WORKLOAD"  # a Workload as JSON
PROMPTS_ENV: Final = "STREAMGAUGE_PROMPTS"  # a PromptPlan as JSON
PARENT_ENV: Final = "STREAMGAUGE_PARENT"  # process id of the process that started Locust
SHIP_ENV: Final = "STREAMGAUGE_SHIP"  # set when the records come from workers on other machines; never sent
SHIPS: Final = "1"
SCENARIOS_ENV: Final = "STREAMGAUGE_SCENARIOS"  # for these workers: file names in scenarios/, separated by commas

FOR_WORKERS: Final = (TARGET_ENV, WORKLOAD_ENV, PROMPTS_ENV, SCENARIOS_ENV)
"""The variables that travel to other machines. No other variable does."""

PROMPTS_FILE: Final = "prompts"
TRACE_FILE: Final = "trace"
TOKENIZER_FILE: Final = "tokenizer"
_TOKENIZER_PATH: Final = "file:"


class LocalFiles(NamedTuple):
    """The files that a target may name on the machine of a worker. Only the person who starts the worker names them."""

    ca: str | None = None
    cert: str | None = None
    unix_socket: str | None = None


def job(target: Target, workload: Workload, prompts: PromptPlan) -> dict[str, str]:
    """The variables for Locust as a child of this process."""
    return {
        TARGET_ENV: encoded(target),
        WORKLOAD_ENV: encoded(workload),
        PROMPTS_ENV: encoded(prompts),
        PARENT_ENV: str(os.getpid()),
    }


def shipped(scenarios: Sequence[str]) -> dict[str, str]:
    """The variables that a master has besides: its workers run these scenarios and send their records to it."""
    return {SHIP_ENV: SHIPS, SCENARIOS_ENV: ",".join(scenarios)}


def for_workers(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a master sends to its workers, or that a worker accepts from its master."""
    return {name: environment[name] for name in FOR_WORKERS if name in environment}


def files_of(environment: Mapping[str, str]) -> dict[str, Path]:
    """The files that the processes of this job read, by their role. They are on the machine of the master."""
    prompts, workload = given_prompts(environment), given_workload(environment)
    files = {}
    if prompts is not None and prompts.file is not None:
        files[PROMPTS_FILE] = Path(prompts.file)
    if prompts is not None and prompts.tokenizer is not None and prompts.tokenizer.startswith(_TOKENIZER_PATH):
        files[TOKENIZER_FILE] = Path(prompts.tokenizer.removeprefix(_TOKENIZER_PATH))
    if workload is not None and workload.replay is not None:
        files[TRACE_FILE] = Path(workload.replay)
    return files


def with_files(environment: Mapping[str, str], copies: Mapping[str, Path]) -> dict[str, str]:
    """The same job with the paths of a worker's own copies, so that it holds no path of the master.

    Raises KeyError when a file of the job has no copy.
    """
    files = files_of(environment)
    changed = dict(environment)
    prompts, workload = given_prompts(environment), given_workload(environment)
    if prompts is not None and PROMPTS_FILE in files:
        prompts = msgspec.structs.replace(prompts, file=str(copies[PROMPTS_FILE]), file_name=files[PROMPTS_FILE].name)
    if prompts is not None and TOKENIZER_FILE in files:
        prompts = msgspec.structs.replace(prompts, tokenizer=f"{_TOKENIZER_PATH}{copies[TOKENIZER_FILE]}")
    if prompts is not None:
        changed[PROMPTS_ENV] = encoded(prompts)
    if workload is not None and TRACE_FILE in files:
        changed[WORKLOAD_ENV] = encoded(msgspec.structs.replace(workload, replay=str(copies[TRACE_FILE])))
    return changed


def with_local_files(target: Target, local: LocalFiles) -> Target:
    """The target with files of this machine in place of the master's. Raises UsageError when one has no replacement."""
    for name, path in local._asdict().items():
        if path is None and getattr(target, name) is not None:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"the master's endpoint needs {option}, and a master cannot name a file of this machine",
                f"start the worker with {option} and a path of its own",
            )
    return msgspec.structs.replace(target, **local._asdict())


def encoded(part: Target | Workload | PromptPlan) -> str:
    """The value of a variable."""
    return msgspec.json.encode(part).decode()


def given_target(environment: Mapping[str, str] = os.environ) -> Target | None:
    """The target of this process's job; None when plain Locust runs the scenario.

    The target's secrets are hidden from now on.
    """
    text = environment.get(TARGET_ENV)
    if not text:
        return None
    target = from_json(text, Target)
    learn(secrets_of(target))
    return target


def given_workload(environment: Mapping[str, str] = os.environ) -> Workload | None:
    """The load model of this process's job; None when plain Locust runs the scenario."""
    text = environment.get(WORKLOAD_ENV)
    return from_json(text, Workload) if text else None


def given_prompts(environment: Mapping[str, str] = os.environ) -> PromptPlan | None:
    """The prompt plan of this process's job; None when plain Locust runs the scenario."""
    text = environment.get(PROMPTS_ENV)
    return from_json(text, PromptPlan) if text else None
