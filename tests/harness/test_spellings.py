"""A secret is found in every spelling in which an endpoint may repeat it, and nothing else is."""

import base64
import html
import itertools
import json
import random
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.secrets import MASK, Secrets
from streamgauge.spellings import LEAST, finder

KEY = 'Zm9v/YmFy+MT"Iz&ND\\U2%20Nzg5MGFi=='
AS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps({"error": key})),
    "PHP's JSON": lambda key: json.dumps(key).replace("/", r"\/"),
    "JSON with every character escaped": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "a Python literal": repr,
    "hexadecimal escapes": lambda key: "".join(f"\\x{ord(char):02x}" for char in key),
    "a URL": lambda key: urllib.parse.quote(key, safe=""),
    "a form": urllib.parse.quote_plus,
    "a URL with every character escaped": lambda key: "".join(f"%{ord(char):02X}" for char in key),
    "a URL in a URL": lambda key: urllib.parse.quote(urllib.parse.quote(key, safe=""), safe=""),
    "HTML": html.escape,
    "HTML, decimal": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(char):X};" for char in key),
    "JSON in HTML": lambda key: html.escape(json.dumps(key)),
    "hexadecimal": lambda key: key.encode().hex(),
}


@pytest.mark.parametrize("spelling", AS)
def test_every_spelling_is_masked_and_what_stands_around_it_stays(spelling: str) -> None:
    spelled = AS[spelling](KEY)
    around = spelled.partition(spelled.strip("\"'"))

    shown = Secrets([KEY]).hide(f"before {spelled} behind")

    assert shown.startswith("before ")
    assert shown.endswith(" behind")
    if spelling not in ("JSON in JSON", "JSON in HTML"):  # these have more around the key
        assert shown == f"before {around[0]}{MASK}{around[2]} behind"
    assert len(shown) < len("before  behind") + 30


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("behind", ["", "z", "yz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_masked_wherever_the_key_begins_in_it(
    before: str, behind: str, encode: Callable[[bytes], bytes]
) -> None:
    encoded = encode(f"{before}{KEY}{behind}".encode()).decode()

    shown = Secrets([KEY]).hide(encoded)

    assert MASK in shown
    assert len(shown) <= len(MASK) + 12  # at most the characters that the key shares with its neighbours


@given(st.integers(LEAST, 40), st.integers(LEAST, 40), st.text(" .", min_size=1), st.text(" .", min_size=1))
def test_the_beginning_and_the_end_of_a_secret_are_masked(first: int, last: int, before: str, behind: str) -> None:
    key = "".join(random.Random(first).choices("abcdefghijkmnopqrstuvwxyz0123456789", k=41))

    assert Secrets([key]).hide(before + key[:first] + behind) == before + MASK + behind
    assert Secrets([key]).hide(before + key[-last:] + behind) == before + MASK + behind


@given(st.integers(0, 41 - 12))
def test_a_piece_of_the_middle_is_masked_from_12_characters(at: int) -> None:
    key = "".join(random.Random(at).choices("abcdefghijkmnopqrstuvwxyz0123456789", k=41))
    encoded = base64.b64encode(key.encode()).decode()

    assert Secrets([key]).hide(f"x {key[at : at + 12]} x") == f"x {MASK} x"
    assert Secrets([key]).hide(f"x {encoded[at : at + 12]} x") == f"x {MASK} x"
    assert Secrets([key * 5]).hide(f"x {(key * 5)[at + 80 : at + 92]} x") == f"x {MASK} x"


def test_a_word_in_the_middle_of_a_pass_phrase_stays() -> None:
    assert Secrets(["my-assistant-key"]).hide('"role":"assistant"') == '"role":"assistant"'


def test_a_short_secret_is_not_looked_for() -> None:
    assert Secrets(["dev"]).hide("the device says dev") == "the device says dev"


def test_a_masked_json_text_is_still_json() -> None:
    """Also where the secret begins or ends with a character that JSON escapes."""
    for key in ('"quoted-key', 'quoted-key"', "\\back-slash\\", '\\"both-of-them"\\'):
        text = json.dumps({"a": f"{key}", "b": f"x{key}y", "c": "\\" + key})
        shown = Secrets([key]).hide(text)
        assert key[2:-2] not in shown
        assert set(json.loads(shown)) == {"a", "b", "c"}


@given(st.text(max_size=300))
def test_a_text_without_a_secret_is_unchanged(text: str) -> None:
    assert Secrets(["sk-CANARYKEY0123456789"]).hide(text) == text


@given(st.text(), st.text(min_size=LEAST, max_size=40), st.text())
def test_spans_are_in_order_and_cover_the_secret(before: str, key: str, behind: str) -> None:
    text = before + key + behind
    spans = finder(frozenset([key]))(text)

    assert all(one.start < one.end <= other.start for one, other in itertools.pairwise(spans))
    assert any(one.start <= len(before) and len(before) + len(key) <= one.end for one in spans)


@pytest.mark.parametrize("unit", ["sk-CANAR", "a", "\\", "%41", "&#", "\\u0041", "%25"])
def test_the_cost_grows_with_the_length_of_the_text(unit: str) -> None:
    secrets = Secrets(["sk-CANARYKEY0123456789", "a" * 64])

    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        began = time.process_time()
        secrets.spans(text)
        return time.process_time() - began

    least = min(cost(10_000) for _ in range(3))
    assert min(cost(100_000) for _ in range(2)) < 40 * least + 0.05
