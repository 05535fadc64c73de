"""The prompt plan from the texts that people write, and whether a target has a place for its prompts."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import PromptPlan, PromptSource
from streamgauge.loadgen.prompts.lengths import parse_length, parse_prefixes
from streamgauge.loadgen.traces.request import Request


class PromptOptions(TypedDict, total=False):
    """The keywords of `plan_from`."""

    prompt_file: Path | str | None
    prompt_tokens: str | None
    output_tokens: str | None
    prefix_tokens: str | None
    nonce: bool
    tokenizer: str | None


def plan_from(
    *,
    prompt_file: Path | str | None = None,
    prompt_tokens: str | None = None,
    output_tokens: str | None = None,
    prefix_tokens: str | None = None,
    nonce: bool = False,
    tokenizer: str | None = None,
) -> PromptPlan:
    """The plan of these options. Raises UsageError on text that cannot be read and on options that conflict."""
    if prompt_file is not None and prompt_tokens is not None:
        raise UsageError("--prompt-file and --prompt-tokens are both given", "choose one of them")
    prefixes = parse_prefixes(prefix_tokens) if prefix_tokens is not None else None
    return PromptPlan(
        file=str(Path(prompt_file).absolute()) if prompt_file is not None else None,
        prompt_tokens=parse_length(prompt_tokens, "--prompt-tokens") if prompt_tokens is not None else None,
        output_tokens=parse_length(output_tokens, "--output-tokens") if output_tokens is not None else None,
        prefix_tokens=prefixes.tokens if prefixes else 0,
        prefixes=prefixes.distinct if prefixes else 0,
        nonce=secrets.token_hex(8) if nonce else None,
        tokenizer=_absolute(tokenizer) if tokenizer is not None else None,
    )


def check_place(target: Target, prompts: PromptSource, recorded: Sequence[Request] = ()) -> None:
    """Raises UsageError when a request to this target has no place for the prompts, or for those of a trace."""
    has_messages = prompts.has_messages or any(request.messages for request in recorded)
    has_length = prompts.has_output_tokens or any(request.output_tokens for request in recorded)
    has_prompts = prompts.plan.varies or any(
        request.prompt_tokens or request.text or request.blocks for request in recorded
    )
    spec = target.request(messages=[] if has_messages else None, max_tokens=1 if has_length else None)
    if spec.prompt is None and has_prompts and not has_messages:
        raise UsageError(
            "the request has no place for a prompt, so it would be the same for every stream",
            "put {{prompt}} into the URL's query or into --body FILE, or drop the options for prompts"
            + (", or give a trace without lengths of prompts" if recorded else ""),
        )


def _absolute(tokenizer: str) -> str:
    kind, _, path = tokenizer.partition(":")
    return f"{kind}:{Path(path).absolute()}" if kind == "file" and path else tokenizer
