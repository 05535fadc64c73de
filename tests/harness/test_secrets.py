"""No credential leaves the process."""

from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import CannotMeasure
from streamgauge.secrets import (
    MASK,
    hidden_content,
    hide,
    in_body,
    in_header,
    in_url,
    is_secret,
    learn,
    mask_body,
    mask_headers,
    mask_url,
)

SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "X-API-Key", "api-key", "apikey", "api_key", "x-auth-token", "Cookie", "Set-Cookie", "key", "sig",
     "client_secret", "PASSWORD", "X-Amz-Signature", "X-Amz-Credential", "access_token", "code", "Proxy-Authorization"],
)  # fmt: skip
def test_names_of_credentials_are_known(name: str) -> None:
    assert is_secret(name)
    assert mask_headers({name: SECRET}) == {name: MASK}
    assert SECRET not in mask_url(f"http://h/?{quote(name)}={SECRET}")


@pytest.mark.parametrize("name", ["Accept", "Content-Type", "message", "model", "keyboard", "q"])
def test_other_names_keep_their_values(name: str) -> None:
    assert mask_headers({name: "v"}) == {name: "v"}
    assert mask_url(f"http://h/p?{name}=v") == f"http://h/p?{name}=v"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://user:{SECRET}@h:8443/p", "https://h:8443/p"),
        (f"https://{SECRET}@h/p", "https://h/p"),
        (f"https://a@{SECRET}@h/p", "https://h/p"),
        (f"https://h/p?a=1&key={SECRET}&b=2", "https://h/p?a=1&key=***&b=2"),
        (f"https://h/p?api%5Fkey={SECRET}", "https://h/p?api_key=***"),
        (f"https://h/p?key={SECRET}&key={SECRET}", "https://h/p?key=***&key=***"),
        (f"https://h/p#access_token={SECRET}", "https://h/p"),
        ("http://h:1/a%20b?message=x%20y", "http://h:1/a%20b?message=x%20y"),
    ],
)
def test_a_url_is_masked_where_it_is_secret_and_kept_elsewhere(url: str, expected: str) -> None:
    assert mask_url(url) == expected


@given(
    st.dictionaries(st.sampled_from(["message", "model", "v"]), st.text(max_size=8)), st.text(min_size=1, max_size=9)
)
def test_the_other_parameters_survive_masking(others: dict[str, str], secret: str) -> None:
    pairs = [*others.items(), ("key", secret)]
    if any("\ud800" <= c <= "\udfff" for _, value in pairs for c in value):
        return
    url = "http://h/?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    masked = parse_qsl(urlsplit(mask_url(url)).query, keep_blank_values=True)
    assert masked == [*others.items(), ("key", MASK)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Bearer sk-abc", {"sk-abc"}),
        ("sk-abc", {"sk-abc"}),
        ("Zm9v/YmFy==", {"Zm9v/YmFy=="}),
        ("Basic dXNlcjpzM2NyM3Q=", {"user:s3cr3t", "s3cr3t", "dXNlcjpzM2NyM3Q="}),
        ("sid=s3cr3t; theme=dark", {"s3cr3t", "dark"}),
        ('AWS4-HMAC-SHA256 Credential=AKIA/x, Signature="f00"', {"AKIA/x", "f00"}),
        ("token abc def", {"abc def"}),
    ],
)
def test_the_secret_of_a_header_is_what_stands_behind_its_scheme_or_its_names(value: str, expected: set[str]) -> None:
    assert {found for found in in_header(value) if found.strip("=")} == expected


def test_the_secrets_of_a_url_and_of_a_body() -> None:
    assert set(in_url("http://u:p%40ss@h/p?key=a%2Fb&q=1#access_token=t")) == {"u:p@ss", "p@ss", "a/b", "t"}
    assert set(in_url("https://ghp_token@h/")) == {"ghp_token"}
    assert not set(in_url("http://h/a@b?q=x"))
    assert set(in_body('{"auth": {"api_key": "k1"}, "list": [{"password": "p"}], "max_tokens": 5}')) == {"k1", "p"}
    assert set(in_body("user=u&password=p%2Fw")) == {"p/w"}


def test_a_body_is_masked_by_the_names_of_its_fields() -> None:
    assert mask_body('{"api_key": "a\\"b", "model": "m"}') == '{"api_key": "***", "model": "m"}'
    assert mask_body("user=u&password=p") == "user=u&password=***"
    assert mask_body("what is a=b?") == "what is a=b?"


def test_a_text_that_is_not_a_url_shows_no_secret_either() -> None:
    assert SECRET not in mask_url(f"http://u:{SECRET}@[h/p?key={SECRET}")


def test_a_process_hides_what_it_has_learnt() -> None:
    text = f"Incorrect key: {SECRET}"
    assert hide(text) == text
    learn([SECRET, "short"])
    assert hide(text) == f"Incorrect key: {MASK}"
    assert hidden_content(text.encode()) == f"Incorrect key: {MASK}".encode()
    assert hidden_content(b"\xff" + text.encode()) == b"\xff" + text.encode()
    assert hide("a short text") == "a short text"


def test_an_error_masks_what_it_quotes() -> None:
    learn([SECRET])
    error = CannotMeasure(f"it says {SECRET}", f"not {SECRET}")
    assert SECRET not in f"{error} {error.message} {error.hint} {error!r}"
