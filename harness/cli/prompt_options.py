"""The options that say what a load asks, as one `PromptPlan`."""

import functools
import inspect
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import PromptPlan, PromptSource
from streamgauge.loadgen.prompts.lengths import parse_length, parse_prefixes

_PANEL: Final = "Prompts"

PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--prompt-file",
        metavar="FILE",
        help='Prompts in turn: .jsonl with "text", {"prompt": ...} or {"messages": [...]} a line, each with '
        "output_tokens if wanted; any other file one a line.",
        rich_help_panel=_PANEL,
    ),
]
PromptTokens = Annotated[
    str | None,
    typer.Option(
        "--prompt-tokens",
        metavar="LENGTH",
        help="Write prompts of so many tokens: 480, 'N(480,240)', 'U(100,900)', 'lognormal(480,0.5)'. "
        "Without --tokenizer a token is a common English word: approximate.",
        rich_help_panel=_PANEL,
    ),
]
OutputTokens = Annotated[
    str | None,
    typer.Option(
        "--output-tokens",
        metavar="LENGTH",
        help="Cap each answer at so many tokens, sent as max_tokens or the body's own field; may be drawn likewise.",
        rich_help_panel=_PANEL,
    ),
]
PrefixTokens = Annotated[
    str | None,
    typer.Option(
        "--prefix-tokens",
        metavar="N*P",
        help="Put one of P shared prefixes of N tokens before each prompt, to see what a prefix cache does.",
        rich_help_panel=_PANEL,
    ),
]
Nonce = Annotated[
    bool,
    typer.Option(
        "--nonce",
        help="Make every prompt unique, in other runs too, so that no cache can answer; a shared prefix stays shared.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="NAME",
        help="Count exactly: tiktoken:ENCODING from its cache, or file:tokenizer.json. Nothing is downloaded.",
        rich_help_panel=_PANEL,
    ),
]

_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "prompt_file": (PromptFile, None),
    "prompt_tokens": (PromptTokens, None),
    "output_tokens": (OutputTokens, None),
    "prefix_tokens": (PrefixTokens, None),
    "nonce": (Nonce, False),
    "tokenizer": (Tokenizer, None),
}


def with_prompts(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the prompt options; it gets them as one parameter, `prompts`."""

    @functools.wraps(command)
    def run(*positional: Any, **given: Any) -> None:
        chosen = {name: given.pop(name) for name in _OPTIONS}
        command(*positional, prompts=plan_from(**chosen), **given)

    own = [p for name, p in inspect.signature(command).parameters.items() if name != "prompts"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return run


def plan_from(
    *,
    prompt_file: Path | None = None,
    prompt_tokens: str | None = None,
    output_tokens: str | None = None,
    prefix_tokens: str | None = None,
    nonce: bool = False,
    tokenizer: str | None = None,
) -> PromptPlan:
    """The plan that the options make together. Raises UsageError on what cannot be understood."""
    if prompt_file is not None and prompt_tokens is not None:
        raise UsageError("--prompt-file and --prompt-tokens are both given", "choose one of them")
    prefixes = parse_prefixes(prefix_tokens) if prefix_tokens is not None else None
    return PromptPlan(
        file=str(prompt_file.absolute()) if prompt_file is not None else None,
        prompt_tokens=parse_length(prompt_tokens, "--prompt-tokens") if prompt_tokens is not None else None,
        output_tokens=parse_length(output_tokens, "--output-tokens") if output_tokens is not None else None,
        prefix_tokens=prefixes.tokens if prefixes else 0,
        prefixes=prefixes.distinct if prefixes else 0,
        nonce=secrets.token_hex(8) if nonce else None,
        tokenizer=_absolute(tokenizer) if tokenizer is not None else None,
    )


def check_place(target: Target, prompts: PromptSource, *, with_length: bool) -> None:
    """Raises UsageError when a request to this target has no place for what is to be asked.

    `with_length`: a trace asks for answers of given lengths, as prompts may.
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
    kind, _, what = tokenizer.partition(":")
    return f"{kind}:{Path(what).absolute()}" if kind == "file" and what else tokenizer
