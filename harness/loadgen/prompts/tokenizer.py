"""Optional tokenizers, only from this machine: tiktoken from its own cache, tokenizers from a file.

Neither is called while a load runs. Before the load, `exact_words` selects words that are one token each, and tests
that a text of n of them has n tokens.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

from streamgauge.errors import UsageError
from streamgauge.files import read_regular
from streamgauge.loadgen.prompts.words import WORDS, Writer

Count = Callable[[str], int]
"""Counts the tokens of a text, without the special tokens that a chat template adds."""

FEWEST_WORDS: Final = 64
_TRIED: Final = (1, 2, 63, 65, 500)
_TOKENIZER_FILE: Final = "give a model's tokenizer.json"
_HINT: Final = "write tiktoken:o200k_base or file:tokenizer.json"


def load(name: str) -> Count:
    """The tokenizer that `--tokenizer` names. Raises UsageError when this machine does not have it."""
    kind, colon, source = name.partition(":")
    if not colon or not source or kind not in ("tiktoken", "file"):
        raise UsageError(f"--tokenizer {name!r} is not known", _HINT)
    return _tiktoken(source) if kind == "tiktoken" else _file(Path(source))


def exact_words(count: Count) -> tuple[str, ...]:
    """The words that are one token each in every text of them. Raises UsageError when there are fewer than 64."""
    # The first word of a text has no blank before it, and may be split differently.
    words = tuple(word for word in WORDS if count(word) == 1 and count(f"{word} {word}") == 2)
    if len(words) >= FEWEST_WORDS:
        writer = Writer(words)
        if all(count(writer.write(tokens, Random(str(tokens)))) == tokens for tokens in _TRIED):
            return words
    raise UsageError(
        f"this tokenizer has only {len(words)} of {len(WORDS)} common English words as one token each, "
        "so no text of a given length can be written for it",
        "drop --tokenizer: lengths are then in words (approximate); or give a --prompt-file",
    )


def _tiktoken(encoding: str) -> Count:
    try:
        import tiktoken
        import tiktoken.load
    except ImportError:
        raise _missing("tiktoken") from None
    known = tiktoken.list_encoding_names()
    if encoding not in known:
        raise UsageError(f"tiktoken has no encoding {encoding!r}", f"there are: {', '.join(known)}")
    with _offline(tiktoken.load):
        try:
            found = tiktoken.get_encoding(encoding)
        except _NotCachedError:
            raise UsageError(
                f"tiktoken's encoding {encoding!r} is not in its cache on this machine, and nothing is downloaded",
                f"fetch it once: python -c \"import tiktoken; tiktoken.get_encoding('{encoding}')\", and keep it with "
                "TIKTOKEN_CACHE_DIR; or give file:tokenizer.json",
            ) from None
    return lambda text: len(found.encode_ordinary(text))


class _NotCachedError(Exception):
    pass


@contextmanager
def _offline(loading: Any) -> Iterator[None]:
    """Keep tiktoken from downloading. It has no such option, but it calls `read_file` for everything not cached."""

    def refuse(blobpath: str) -> bytes:
        raise _NotCachedError(blobpath)

    before = loading.read_file
    loading.read_file = refuse
    try:
        yield
    finally:
        loading.read_file = before


def _file(path: Path) -> Count:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _missing("tokenizers") from None
    try:
        found = Tokenizer.from_str(read_regular(path).decode())
    except OSError as error:
        raise UsageError(f"--tokenizer {path} cannot be read: {error.strerror}", _TOKENIZER_FILE) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--tokenizer {path} is not text: {error}", _TOKENIZER_FILE) from None
    except Exception as error:  # the library raises a bare Exception for a file that is not a tokenizer
        raise UsageError(f"--tokenizer {path} is not a tokenizer: {error}", _TOKENIZER_FILE) from None
    found.no_truncation()
    found.no_padding()
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)


def _missing(package: str) -> UsageError:
    return UsageError(f"{package} is not installed", f"pip install 'streamgauge[{package}]', or drop --tokenizer")
