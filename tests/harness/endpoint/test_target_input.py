"""What a user writes: target files, URLs and fields, and why they are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from streamgauge.conformance.targets import load_targets
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import at_url, at_vendor_path, check_url, load_target, ready
from streamgauge.errors import UsageError
from streamgauge.protocol import dialects
from streamgauge.secrets import hide


def test_a_target_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text('url = "http://h/"\nmax_tokens = 5\n[headers]\nX-A = "1"\n')
    assert load_target(path) == Target(url="http://h/", max_tokens=5, headers={"X-A": "1"})


STREAM = 'url = "http://h/"\n[stream]\ntext = "/output/text"\nend = { pointer = "/done", value = true }\n'


def test_a_stream_table_describes_the_dialect(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(STREAM)
    (checked,) = load_targets(path)
    for target in (ready(load_target(path)), ready(checked)):
        described = target.reader()
        assert described is not None
        assert (described.name, described.terminal) == ("by-pointer", "/done = true")
        assert target.answering_in(dialects.by_name("openai-chat")) is target


def test_a_stream_table_that_cannot_be_used_is_refused_before_any_request(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(STREAM.replace("/output/text", "output.text"))
    with pytest.raises(UsageError, match=r"text = 'output.text' is not a JSON pointer"):
        ready(load_target(path))
    path.write_text(STREAM.replace("text =", "txet ="))
    with pytest.raises(UsageError, match="txet"):
        load_target(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "http://h/"\nurll = "x"', "urll"),
        ('url = "http://h/"\nmax_tokens = "5"', "max_tokens"),
        ('model = "m"', "url"),
        ("url = ", ""),
        ("", "url"),
    ],
)
def test_a_target_file_that_cannot_be_used_says_why_and_what_it_may_hold(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_target(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert "api_key_env" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ("tiemout = '3s'", "did you mean timeout? the keys of a target are "),
        ("[stream]\ntext = '/t'\nevnts = ['a']", "did you mean events? the keys of [stream] are "),
        ("[stream]\ntext = '/t'\nend = { evnt = 'a' }", "did you mean event? the keys of [stream.end] are "),
        ("[signalr]\nmethd = 'Chat'", "did you mean method? the keys of [signalr] are "),
        ("[promise]\nmax_inputs = 3", "did you mean max_input? the keys of [promise] are "),
        ("zzzzz = 1", "the keys of a target are "),
    ],
)
@pytest.mark.parametrize("read", [load_target, load_targets])
def test_a_mistyped_key_gets_the_one_that_was_meant_and_the_keys_of_its_own_table(
    tmp_path: Path, read: Callable[[Path], object], lines: str, hint: str
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f'url = "http://h/"\n{lines}\n')
    with pytest.raises(UsageError) as caught:
        read(path)
    assert (caught.value.hint or "").startswith(hint)
    assert "answers_in" not in (caught.value.hint or "")


def test_a_target_file_that_is_no_text_or_not_there_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_bytes(b'url = "\xff"')
    for name in ("t.toml", "missing.toml"):
        with pytest.raises(UsageError, match=name):
            load_target(tmp_path / name)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "G ET"}, "G ET"),
        ({"method": "POST / HTTP/1.1\r\nX: y"}, "--method"),
        ({"headers": {"X-A": "secret-value\r\nB: c"}}, "X-A"),
        ({"headers": {"X-A": "secret-value\n"}}, "X-A"),
        ({"headers": {"X A": "b"}}, "'X A' cannot be the name"),
        ({"headers": {"X-A\n": "b"}}, "cannot be the name"),
        ({"api_key_env": "A_KEY"}, "A_KEY"),
    ],
)
def test_what_would_leave_its_place_in_the_head_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], said: str
) -> None:
    """A key that was filled by echo ends with a line break, and would end its header."""
    monkeypatch.setenv("A_KEY", "secret-value\n")
    with pytest.raises(UsageError) as caught:
        ready(Target(url="http://h/", **fields))
    assert said in caught.value.message
    assert "secret-value" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/p", "http://h/p"),
        ("localhost:8080/chat", "http://localhost:8080/chat"),
        ("h", "http://h/"),
        ("https://h?x=1", "https://h/?x=1"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("h/p?next=http://x", "http://h/p?next=http://x"),
        ("HTTP://h/", "HTTP://h/"),
    ],
)
def test_a_url_is_completed(url: str, expected: str) -> None:
    assert check_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://h/",
        "http://h:0/",
        "http://h:99999/",
        "http://h:x/",
        "http://[::1",
        "http://h/a b",
        "/p",
        "http://xn--zzzzzz/",
        "http://xn--a/",
        "http://xn--/",
        pytest.param("h/" + "a" * 70_000, id="long"),
    ],
)
def test_what_cannot_be_requested_is_a_usage_error_that_quotes_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert repr(url) in caught.value.message


def test_a_path_of_ones_own_is_kept_and_gemini_s_query_is_completed() -> None:
    assert at_vendor_path(Target(url="http://h/own", dialect="anthropic")).url == "http://h/own"
    spec = Target(url="http://h/v1beta/models/m:streamGenerateContent", body='{"contents":[{"role":"user"}]}').request()
    assert urlsplit(spec.url).query == "alt=sse"


def test_user_and_password_of_a_url_are_sent_as_basic_credentials_and_leave_the_url() -> None:
    target = ready(Target(url="http://me:p%40ss:word@h:81/p", headers={"X-A": "1"}))
    assert target.url == "http://h:81/p"
    assert target.headers == {"X-A": "1", "Authorization": "Basic bWU6cEBzczp3b3Jk"}


@pytest.mark.parametrize(
    "other", [Target(url="", headers={"authorization": "Bearer k"}), Target(url="", api_key_env="OUR_KEY")]
)
def test_two_keys_for_one_header_are_refused_unless_one_is_to_replace_the_other(other: Target) -> None:
    with pytest.raises(UsageError, match="another key for the Authorization header"):
        at_url(other, "http://me:password@h/")
    assert at_url(other, "http://me:password@h/", instead=True).headers == {"Authorization": "Basic bWU6cGFzc3dvcmQ="}
    assert at_url(other, "http://h/").headers == other.headers


@pytest.mark.parametrize("field", ["mock", "state_url"])
def test_a_url_whose_user_would_not_be_sent_is_refused(field: str) -> None:
    with pytest.raises(UsageError, match="without a user and password"):
        ready(msgspec.structs.replace(Target(url="http://h/"), **{field: "http://me:hunter22@h/"}))


def test_a_url_that_cannot_be_requested_is_quoted_without_its_secrets() -> None:
    with pytest.raises(UsageError) as caught:
        check_url("http://me:s3cr3t@h:99999/?key=s3cr3t")
    assert "s3cr3t" not in caught.value.message


def test_every_secret_of_a_target_is_hidden_from_now_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", "of-the-environment")
    ready(
        Target(
            url="http://me:of-the-userinfo@h/?api_key=of-the-query",
            headers={"X-Api-Key": "of-the-header", "Cookie": "sid=of-the-cookie", "X-Own": "sk-of-its-own-name"},
            body='{"password": "of-the-body"}',
        )
    )
    ready(Target(url="http://h/", api_key_env="OUR_KEY"))
    of = ("userinfo", "query", "header", "cookie", "body", "environment")
    assert hide(", ".join(f"of-the-{place}" for place in of)) == ", ".join("***" for _ in of)
    assert hide("sk-of-its-own-name") == "***"


def test_a_key_in_a_parameter_with_any_name_is_not_shown() -> None:
    target = ready(Target(url="http://h/chat?user=sk-CANARYKEY0123456789"))
    assert target.masked_url == target.request().masked_url == "http://h/chat?user=***"
    assert "CANARY" not in target.request().curl() + repr(target)
