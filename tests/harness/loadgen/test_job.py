"""What a worker makes of the job of its master: no path of the master is left in it."""

from pathlib import Path

import msgspec
import pytest

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.job import (
    LocalFiles,
    files_of,
    given_prompts,
    given_workload,
    job,
    with_files,
    with_local_files,
)
from streamgauge.loadgen.prompts import PromptPlan, source
from streamgauge.loadgen.workload import Workload

TARGET = Target(url="http://127.0.0.1:9/chat")
PATHS = job(
    TARGET,
    Workload(length_ns=5, replay="/master/trace.csv"),
    PromptPlan(file="/master/prompts.jsonl", tokenizer="file:/master/tokenizer.json"),
)


def test_a_job_knows_the_files_that_its_processes_read() -> None:
    assert files_of(PATHS) == {
        "prompts": Path("/master/prompts.jsonl"),
        "tokenizer": Path("/master/tokenizer.json"),
        "trace": Path("/master/trace.csv"),
    }
    assert files_of(job(TARGET, Workload(length_ns=5), PromptPlan(text="Hi", tokenizer="tiktoken:o200k_base"))) == {}
    assert files_of({}) == {}


def test_a_workers_job_names_its_copies_only() -> None:
    settings = with_files(PATHS, {role: Path(f"/worker/{role}") for role in files_of(PATHS)})
    assert "/master" not in "".join(settings.values())
    prompts, workload = given_prompts(settings), given_workload(settings)
    assert prompts is not None
    assert workload is not None
    assert (prompts.file, prompts.tokenizer) == ("/worker/prompts", "file:/worker/tokenizer")
    assert workload.replay == "/worker/trace"


def test_a_path_without_a_copy_is_not_left_as_it_was() -> None:
    for role in files_of(PATHS):
        copies = {other: Path("/worker") for other in files_of(PATHS) if other != role}
        with pytest.raises(KeyError):
            with_files(PATHS, copies)


def test_a_copy_is_read_in_the_format_that_the_name_of_its_original_tells(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_text('{"prompt": "Hello"}\n')
    settings = with_files(PATHS, dict.fromkeys(files_of(PATHS), copy))
    prompts = given_prompts(settings)
    assert prompts is not None
    assert source(msgspec.structs.replace(prompts, tokenizer=None)).take(0).text == "Hello"


@pytest.mark.parametrize("name", LocalFiles._fields)
def test_a_master_cannot_name_a_file_of_the_workers_machine(name: str) -> None:
    target = msgspec.structs.replace(TARGET, **{name: "/etc/of-the-worker"})
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        with_local_files(target, LocalFiles())
    assert getattr(with_local_files(target, LocalFiles(**{name: "own"})), name) == "own"


def test_a_target_without_files_stays_as_it_is() -> None:
    assert with_local_files(TARGET, LocalFiles()) == TARGET
