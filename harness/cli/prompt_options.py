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


@dataclass(frozen=True, kw_only=True)
class PromptFlags:
    """The keywords of `streamgauge.loadgen.prompts.options.plan_from`."""

    prompt_file: PromptFile = None
    prompt_tokens: PromptTokens = None
    output_tokens: OutputTokens = None
    prefix_tokens: PrefixTokens = None
    nonce: Nonce = False
    tokenizer: Tokenizer = None
