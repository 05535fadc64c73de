"""A filled stencil against the request that is made anew for each prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.stencil import MARK, Stencil
from streamgauge.endpoint.target import Target

URL = "http://127.0.0.1:9/v1/chat/completions"
TARGETS = {
    "a dialect by its path": Target(url=URL),
    "another dialect": Target(url="http://127.0.0.1:9/v1/messages"),
    "a limit and headers": Target(url=URL, max_tokens=7, headers={"X-Team": "é"}),
    "a body of the user's": Target(url="http://127.0.0.1:9/ask", body='{"text": "Say: {{prompt}}!", "n": 1}'),
    "a body with a field for the prompt": Target(url="http://127.0.0.1:9/ask", body='{"message": "x", "n": "y"}'),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@given(prompt=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_filled_stencil_is_the_request_made_anew(target: Target, prompt: str) -> None:
    with StreamClient.to(target) as client:
        stencil = Stencil.of(client.prepare(target.request(MARK)))
        assert stencil is not None
        assert stencil.filled(prompt) == client.prepare(target.request(prompt))


@pytest.mark.parametrize(
    "target",
    [
        Target(url="http://127.0.0.1:9/ask?q=x"),
        Target(url=f"{URL}?about={{{{prompt}}}}"),
        Target(url="http://127.0.0.1:9/ask", body='{"a": "{{prompt}}", "b": "{{prompt}}"}'),
        Target(url=URL, headers={"X-Mark": MARK}),
        Target(url=URL, body='{"stream": true}'),
    ],
    ids=["in the query", "in the URL", "twice", "in a header too", "nowhere"],
)
def test_a_request_with_another_place_for_its_prompt_has_no_stencil(target: Target) -> None:
    with StreamClient.to(target) as client:
        assert Stencil.of(client.prepare(target.request(MARK))) is None
