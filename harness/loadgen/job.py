"""The environment variables that carry a load's job to the processes which make its streams. Declared here only.

`load` sets them for Locust; a master sends them to its workers on other machines; `streamgauge.scenarios` reads them.
They go through the environment and not through a file, so that no key is written to disk.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from streamgauge.endpoint.credentials import secrets_of
from streamgauge.endpoint.target import Target
from streamgauge.loadgen.prompts import PromptPlan
from streamgauge.loadgen.workload import Workload
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
    target = msgspec.json.decode(text, type=Target)
    learn(secrets_of(target))
    return target


def given_workload(environment: Mapping[str, str] = os.environ) -> Workload | None:
    """The load model of this process's job; None when plain Locust runs the scenario."""
    text = environment.get(WORKLOAD_ENV)
    return msgspec.json.decode(text, type=Workload) if text else None


def given_prompts(environment: Mapping[str, str] = os.environ) -> PromptPlan | None:
    """The prompt plan of this process's job; None when plain Locust runs the scenario."""
    text = environment.get(PROMPTS_ENV)
    return msgspec.json.decode(text, type=PromptPlan) if text else None
