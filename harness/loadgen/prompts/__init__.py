"""The prompts of a load: one fixed text, from a file, or generated. Same seed and stream number, same prompt.

A plan describes them, and is sent to the processes of a run as JSON. Each process makes a source from it. A source has
no state, so any process can take the prompt of any stream.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.endpoint.target import directive, with_directive
from streamgauge.errors import UsageError
from streamgauge.files import text_lines
from streamgauge.loadgen.prompts import tokenizer
from streamgauge.loadgen.prompts.files import MOST_LINE, Entry, parse_prompts
from streamgauge.loadgen.prompts.lengths import Length
from streamgauge.loadgen.prompts.words import WORDS, Writer
from streamgauge.loadgen.traces.request import Blocks, Request

_FILE_HINT: Final = "save the prompts to a .jsonl or .txt file in UTF-8"

Messages = tuple[dict[str, Any], ...]

_NONCE_WORDS: Final = 8  # of some 600: 74 bits


class PromptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts come from `file`, else are generated with `prompt_tokens`, else are `text`. Lengths are in tokens.

    `file_name` is the name that the user gave the file, where `file` is a copy of it: the name tells the format.
    `nonce` is a random text for each run: it makes the prompts of this run differ from those of every other run.
    """

    text: str = ""
    file: str | None = None
    file_name: str | None = None
    prompt_tokens: Length | None = None
    output_tokens: Length | None = None
    prefix_tokens: int = 0
    prefixes: int = 0
    nonce: str | None = None
    tokenizer: str | None = None
    seed: int = 1
    processes: int = 1

    @property
    def varies(self) -> bool:
        """Whether streams may have different prompts."""
        return bool(self.file or self.prompt_tokens or self.prefixes or self.nonce)

    def settings(self) -> dict[str, Any]:
        """The plan as run.json and reports show it, without the options that were not given."""
        counted = f"tokens of {self.tokenizer}" if self.tokenizer else "words, about a token each (approximate)"
        rows: dict[str, Any] = {
            "source": f"file {Path(self.file).name}" if self.file else "generated" if self.prompt_tokens else "fixed",
            "prompt_tokens": str(self.prompt_tokens) if self.prompt_tokens else None,
            "output_tokens": str(self.output_tokens) if self.output_tokens else None,
            "prefix_tokens": f"{self.prefix_tokens}*{self.prefixes}" if self.prefixes else None,
            "nonce": self.nonce,
            "counted_in": counted,
            "seed": self.seed,
        }
        return {name: value for name, value in rows.items() if value is not None}


class Prompt(NamedTuple):
    """The prompt of one stream: `messages` if given, else `text`. `prompt_tokens` is exact only with a tokenizer."""

    text: str
    messages: Messages | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None

    def marked(self, **keys: str | int | None) -> "Prompt":
        """This prompt with a directive for the mock; one that the user wrote into its text keeps its own keys."""
        if self.messages is None:
            return self._replace(text=with_directive(self.text, **keys))
        return self.ending_in(directive(**keys))

    def ending_in(self, text: str) -> "Prompt":
        """This prompt with a text after it; with messages, after the last user message."""
        if self.messages is None:
            return self._replace(text=f"{self.text} {text}")
        return self._replace(messages=_put(self.messages, f" {text}", at_front=False))

    def led_by(self, text: str) -> "Prompt":
        """This prompt with a text before everything else, where a prefix cache looks."""
        if self.messages is None:
            return self._replace(text=f"{text} {self.text}")
        return self._replace(messages=_put(self.messages, f"{text} ", at_front=True))


class PromptSource:
    """Gives each stream its prompt. Made by `source`."""

    def __init__(self, plan: PromptPlan, entries: list[Entry], writer: Writer, lengths: list[int]) -> None:
        self.plan = plan
        self._entries, self._writer, self._lengths = entries, writer, lengths
        fixed = not plan.varies and plan.prompt_tokens is None and plan.output_tokens is None
        self._only = Prompt(plan.text, prompt_tokens=lengths[0]) if fixed else None
        self.has_messages = any(entry.messages is not None for entry in entries)
        self.has_output_tokens = plan.output_tokens is not None or any(entry.output_tokens for entry in entries)

    def take(
        self,
        ordinal: int,
        *,
        prompt_tokens: int | None = None,
        output_tokens: int | None = None,
        recorded: Request | None = None,
    ) -> Prompt:
        """The prompt of stream `ordinal`. Lengths that are given replace those of the plan, and so does the content
        that a trace has recorded.

        A file is used line by line, and then from its first line again.
        """
        plan = self.plan
        content = self._recorded(ordinal, recorded) if recorded is not None else None
        if self._only is not None and content is None and prompt_tokens is None and output_tokens is None:
            return self._only
        rng = Random(f"{plan.seed}/prompt/{ordinal}")
        # Always draw all three: adding an option must not change the values of the others.
        at_prompt, at_output, at_prefix = rng.random(), rng.random(), rng.random()
        if prompt_tokens is None and plan.prompt_tokens is not None and not self._entries:
            prompt_tokens = plan.prompt_tokens.at(at_prompt)
        if content is not None:
            prompt = content
        elif prompt_tokens is not None:
            prompt = self._written(ordinal, prompt_tokens)
        else:
            index = ordinal % len(self._entries) if self._entries else 0
            entry = self._entries[index] if self._entries else Entry(plan.text)
            prompt = Prompt(entry.text, entry.messages, entry.output_tokens, self._lengths[index])
            if plan.nonce is not None:
                prompt = self._led(prompt, _NONCE_WORDS, Random(f"{plan.nonce}/{ordinal}"))
        if plan.prefixes and content is None:
            which = int(at_prefix * plan.prefixes)
            prompt = self._led(prompt, plan.prefix_tokens, Random(f"{plan.seed}/prefix/{which}"))
        if output_tokens is None and plan.output_tokens is not None:
            output_tokens = plan.output_tokens.at(at_output)
        return prompt if output_tokens is None else prompt._replace(output_tokens=output_tokens)

    def lengths(self, ordinal: int) -> tuple[int | None, int | None]:
        """The tokens of prompt and answer that `take` would give stream `ordinal`, without writing its text."""
        plan = self.plan
        rng = Random(f"{plan.seed}/prompt/{ordinal}")
        at_prompt, at_output = rng.random(), rng.random()
        index = ordinal % max(len(self._entries), 1)
        entry = self._entries[index] if self._entries else Entry(plan.text)
        if plan.prompt_tokens is not None and not self._entries:
            prompt = plan.prompt_tokens.at(at_prompt)
        else:
            prompt = self._lengths[index] + (_NONCE_WORDS if plan.nonce is not None else 0)
        output = entry.output_tokens if plan.output_tokens is None else plan.output_tokens.at(at_output)
        return prompt + (plan.prefix_tokens if plan.prefixes else 0), output

    def _recorded(self, ordinal: int, recorded: Request) -> Prompt | None:
        """The prompt of a recorded request: its messages, its text, its blocks, or more of the text of its session.

        So a later turn begins with the prompt of the turn before it. A nonce changes the texts from run to run; inside
        of a run, what is shared stays shared.
        """
        tokens, salt = recorded.prompt_tokens, f"{self.plan.seed}/{self.plan.nonce or ''}"
        if recorded.messages is not None:
            return Prompt("", recorded.messages, prompt_tokens=tokens)
        if recorded.text is not None:
            return Prompt(recorded.text, prompt_tokens=tokens)
        if recorded.blocks is not None:
            return self._of_blocks(ordinal, recorded.blocks, tokens, salt)
        if recorded.session is not None and tokens is not None:
            return Prompt(
                self._writer.write(tokens, Random(f"{salt}/session/{recorded.session}")), prompt_tokens=tokens
            )
        return None

    def _of_blocks(self, ordinal: int, blocks: Blocks, tokens: int | None, salt: str) -> Prompt:
        """Equal ids give equal text. The last block may be partial; tokens beyond the blocks are this stream's own."""
        total = blocks.size * len(blocks.ids) if tokens is None else tokens
        pieces, left = [], total
        for block in blocks.ids:
            pieces.append(self._writer.block(f"{salt}/{blocks.scope}/{block!r}", min(blocks.size, left)))
            left -= min(blocks.size, left)
            if not left:
                break
        if left:
            pieces.append(self._writer.write(left, Random(f"{salt}/text/{ordinal}")))
        return Prompt(" ".join(pieces), prompt_tokens=total)

    def _written(self, ordinal: int, tokens: int) -> Prompt:
        """A different text for each stream, and with a nonce for each run too."""
        text = self._writer.write(tokens, Random(f"{self.plan.seed}/text/{self.plan.nonce or ''}/{ordinal}"))
        return Prompt(text, prompt_tokens=tokens)

    def _led(self, prompt: Prompt, tokens: int, rng: Random) -> Prompt:
        known = prompt.prompt_tokens
        led = prompt.led_by(self._writer.write(tokens, rng))
        return led._replace(prompt_tokens=None if known is None else known + tokens)


def source(plan: PromptPlan) -> PromptSource:
    """The source that a plan describes. Raises UsageError when its file or tokenizer is missing or not usable."""
    count = tokenizer.load(plan.tokenizer) if plan.tokenizer else _count_words
    entries = _read(Path(plan.file), plan.file_name or plan.file) if plan.file is not None else []
    writes = plan.prompt_tokens is not None or plan.prefixes or plan.nonce is not None
    words = tokenizer.exact_words(count) if plan.tokenizer and writes else WORDS
    lengths = [sum(map(count, _texts(entry))) for entry in entries or [Entry(plan.text)]]
    return PromptSource(plan, entries, Writer(words), lengths)


def _read(path: Path, name: str) -> list[Entry]:
    try:
        with text_lines(path, MOST_LINE) as lines:  # every process reads the file, and a pipe can be read only once
            return parse_prompts(lines, name)
    except OSError as error:
        raise UsageError(f"--prompt-file {path} cannot be read: {error.strerror}", _FILE_HINT) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompt-file {path} is not text: {error}", _FILE_HINT) from None


def _count_words(text: str) -> int:
    return len(text.split())


def _texts(entry: Entry) -> Iterator[str]:
    """The texts of an entry. Images are left out: only the server knows their length."""
    if entry.messages is None:
        yield entry.text
    for message in entry.messages or ():
        content = message["content"]
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (
                part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
            )


def _put(messages: Messages, text: str, *, at_front: bool) -> Messages:
    """The messages with `text` before the first one, or after the last user message (else after the last one)."""
    index = 0
    if not at_front:
        users = [index for index, message in enumerate(messages) if message["role"] == "user"]
        index = users[-1] if users else len(messages) - 1
    message = messages[index]
    content = message["content"]
    if isinstance(content, list):
        part = {"type": "text", "text": text}
        content = [part, *content] if at_front else [*content, part]
    else:
        own = content if isinstance(content, str) else ""
        content = text + own if at_front else own + text
    return (*messages[:index], {**message, "content": content}, *messages[index + 1 :])
