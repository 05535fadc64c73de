"""The prompt plan from the texts that people write, and whether a target has a place for its prompts."""

import secrets
from pathlib import Path
from typing import TypedDict

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import PromptPlan, PromptSource
from streamgauge.loadgen.prompts.lengths import parse_length, parse_prefixes


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


def check_place(target: Target, prompts: PromptSource, *, with_length: bool) -> None:
    """Raises UsageError when a request to this target has no place for the prompts.

    `with_length`: a trace gives lengths of answers too, so the request also needs a place for a length.
    """
    spec = target.request(
        messages=[] if prompts.has_messages else None,
        max_tokens=1 if with_length or prompts.has_output_tokens else None,
    )
    if spec.prompt is None and prompts.plan.varies and not prompts.has_messages:
        raise UsageError(
            "the request has no place for a prompt, so it would be the same for every stream",
            "put {{prompt}} into the URL's query or into --body FILE, or drop the options for prompts",
        )


def _absolute(tokenizer: str) -> str:
    kind, _, path = tokenizer.partition(":")
    return f"{kind}:{Path(path).absolute()}" if kind == "file" and path else tokenizer
