"""No credential leaves the process."""

from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.secrets import MASK, is_secret, mask_headers, mask_url

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
