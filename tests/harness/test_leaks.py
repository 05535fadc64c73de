"""The patterns of secrets."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.endpoint.hints import hint_for
from streamgauge.leaks import SECRETS, Secret, brief, mask, possible
from streamgauge.protocol.outcome import message_of
from streamgauge.protocol.reader import quoted
from streamgauge.secrets import learn
from streamgauge.wire import Head


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.name)
def test_no_text_with_a_secret_lacks_its_mark(secret: Secret) -> None:
    """Else `possible` would leave out a search that finds something."""

    @given(st.from_regex(secret.pattern), st.text())
    def holds(text: str, more: str) -> None:
        assert secret in possible(more + " " + text)

    holds()


def test_a_text_without_marks_is_not_searched() -> None:
    assert list(possible("A key is a secret, a password too.")) == []


def test_every_secret_of_a_text_is_masked() -> None:
    text = "Bearer abcdefghijklmnop0 and sk-abcdefghijklmnop, postgres://me:secret1@host/ with PASSWORD=hunter22"

    assert mask(text) == "Bearer*** and sk-abc***, postgr***host/ with PASSWO***"


def test_a_long_text_is_cut_behind_its_secrets() -> None:
    """A cut through a key would leave a part that no pattern knows."""
    text = "x" * 190 + " sk-proj-" + "A1b2C3d4E5" * 4 + "y" * 1_000_000

    shown = brief(text, 200)

    assert "A1b2" not in shown
    assert shown.endswith(" characters)")
    assert len(shown) < 250


def test_a_url_in_a_text_is_masked_and_others_stay() -> None:
    text = "see http://u:pw@h/p?token=abc&q=1 'https://h/?key=k' and https://docs/x#errors"

    assert mask(text) == "see http://h/p?token=***&q=1 'https://h/?key=***' and https://docs/x#errors"


KEY = "zz9CANARYKEY0123456789"


@pytest.mark.parametrize(
    "quotation",
    [
        lambda text: message_of({"message": text}),
        lambda text: message_of([text]),
        quoted,
        lambda text: hint_for(Head(500, "", "1.1", ()), json.dumps({"error": text}).encode(), "http://x"),
        lambda text: hint_for(Head(500, "", "1.1", ()), text.encode(), "http://x"),
    ],
    ids=["the message of an error", "another error", "a payload", "a hint", "a body"],
)
def test_no_quotation_is_cut_within_a_secret(quotation: Callable[[str], str]) -> None:
    """The few characters in front of a cut would be too few to be recognised afterwards."""
    learn([KEY])

    for before in range(520):
        assert "CAN" not in quotation("x" * before + KEY + "y" * 50), before
