"""The options of `streamgauge load` for its prompts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

_PANEL: Final = "Prompts"

PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--prompt-file",
        metavar="FILE",
        help='Prompts, used in turn. JSONL: "text", {"prompt": ...} or {"messages": [...]} on each line, optionally '
        "with output_tokens. Other files: one prompt on each line.",
        rich_help_panel=_PANEL,
    ),
]
PromptTokens = Annotated[
    str | None,
    typer.Option(
        "--prompt-tokens",
        metavar="LENGTH",
        help="Generate prompts of this length in tokens: 480, 'N(480,240)', 'U(100,900)', 'lognormal(480,0.5)'. "
        "Without --tokenizer, a common English word counts as a token (approximate).",
        rich_help_panel=_PANEL,
    ),
]
OutputTokens = Annotated[
    str | None,
    typer.Option(
        "--output-tokens",
        metavar="LENGTH",
        help="Longest answer in tokens, sent as max_tokens or in the body's own field. Takes the same distributions.",
        rich_help_panel=_PANEL,
    ),
]
PrefixTokens = Annotated[
    str | None,
    typer.Option(
        "--prefix-tokens",
        metavar="N*P",
        help="Start each prompt with one of P shared prefixes of N tokens, to measure a prefix cache.",
        rich_help_panel=_PANEL,
    ),
]
Nonce = Annotated[
    bool,
    typer.Option(
        "--nonce",
        help="Make every prompt unique, across runs too, so that no cache can answer. Shared prefixes stay shared.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="NAME",
        help="Count tokens exactly: tiktoken:ENCODING from its cache, or file:tokenizer.json. Nothing is downloaded.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class PromptFlags:
    """The keywords of `streamgauge.loadgen.prompts.options.plan_from`."""

    prompt_file: PromptFile = None
    prompt_tokens: PromptTokens = None
    output_tokens: OutputTokens = None
    prefix_tokens: PrefixTokens = None
    nonce: Nonce = False
    tokenizer: Tokenizer = None
