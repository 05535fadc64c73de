"""Tokenizers of this machine alone. The one used here is made by the test; none is in the repository or downloaded."""

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts import PromptPlan, source
from streamgauge.loadgen.prompts.lengths import Length
from streamgauge.loadgen.prompts.tokenizer import exact_words, load
from streamgauge.loadgen.prompts.words import WORDS, Writer

WHOLE = WORDS[::2]  # what the tokenizer below has as one token; of the rest it knows the letters


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer, as models have, that merges every second word to one token."""
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in WHOLE:
        for text in (word, f"Ġ{word}"):
            for end in range(2, len(text) + 1):
                if text[:end] not in vocabulary:
                    merges.append((text[: end - 1], text[end - 1]))
                    vocabulary[text[:end]] = len(vocabulary)
    vocabulary["<s>"] = len(vocabulary)
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )  # a special token in front, which is the chat template's business and is not counted
    made.enable_truncation(8)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


def test_a_prompt_has_exactly_its_length_in_tokens(tokenizer_file: Path) -> None:
    name = f"file:{tokenizer_file}"
    count = load(name)
    plan = PromptPlan(
        prompt_tokens=Length("uniform", 1, 900), prefix_tokens=33, prefixes=2, tokenizer=name, nonce="fresh"
    )
    prompts = [source(plan).take(n) for n in range(20)]
    assert [count(prompt.text) for prompt in prompts] == [prompt.prompt_tokens for prompt in prompts]
    assert plan.settings()["counted_in"] == f"tokens of {name}"
    # Without it a word counts as one, and this tokenizer cuts some of them.
    assert count(Writer().write(100, Random(1))) > 100


def test_only_words_of_one_token_are_kept(tokenizer_file: Path) -> None:
    count = load(f"file:{tokenizer_file}")
    kept = exact_words(count)
    assert 64 <= len(kept) < len(WORDS)
    assert {count(f" {word}") for word in kept} == {count(word) for word in kept} == {1}


def test_a_tokenizer_that_cuts_every_word_is_refused() -> None:
    with pytest.raises(UsageError, match="only 0 of"):
        exact_words(lambda text: len(text) + 1)


def test_one_for_which_texts_are_not_the_sum_of_their_words_is_refused() -> None:
    with pytest.raises(UsageError, match="no text of a given length"):
        exact_words(lambda text: min(len(text.split()), 100))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-4", "is not known"), ("tiktoken:", "is not known"), ("hub:meta/llama", "is not known"),
        ("tiktoken:nope", "no encoding 'nope'"), ("file:/nowhere.json", "cannot be read"),
        ("file:/dev/zero", "not a regular file"),
        (f"file:{__file__}", "is not a tokenizer"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_a_usage_error(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(name)


PLUGIN = """
from tiktoken.load import load_tiktoken_bpe
URL = "https://example.invalid/made.tiktoken"
def made():
    ranks = load_tiktoken_bpe(URL)
    return {"name": "made", "pat_str": r" ?[a-z]+", "mergeable_ranks": ranks, "special_tokens": {}}
ENCODING_CONSTRUCTORS = {"made": made}
"""
USE = """
from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts.tokenizer import load
try:
    print(load("tiktoken:made")("ab ab"))
except UsageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("cached", "printed"), [(True, "2"), (False, "tiktoken's encoding 'made' is not in its cache on this machine")]
)
def test_tiktoken_is_used_from_its_cache_and_never_downloaded(tmp_path: Path, cached: bool, printed: str) -> None:
    (tmp_path / "tiktoken_ext").mkdir()  # where tiktoken looks for encodings beside its own
    (tmp_path / "tiktoken_ext" / "made.py").write_text(PLUGIN)
    pieces = [bytes([byte]) for byte in range(256)] + [b"ab", b" a", b" ab"]
    if cached:
        name = hashlib.sha1(b"https://example.invalid/made.tiktoken").hexdigest()
        ranks = "".join(f"{base64.b64encode(piece).decode()} {rank}\n" for rank, piece in enumerate(pieces))
        (tmp_path / name).write_text(ranks)
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(printed)
