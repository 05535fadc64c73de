"""The curl line of a request: the same request, safe in a shell and on a terminal, without secrets."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.endpoint.target import Target
from streamgauge.untrusted_text import UNSAFE_CHARACTERS

PROMPTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NASTY = st.sampled_from(["'; rm -rf / #", "$(id)", "`id`", "@/etc/passwd", "-o/tmp/x", "a\nb"]) | PROMPTS


def test_a_curl_line_repeats_the_request_with_its_secrets_masked() -> None:
    target = Target(
        url="http://u:hunter2@h/v1/chat/completions?key=hunter2", headers={"Authorization": "Bearer hunter2"}
    )
    line = target.request("hello").curl()
    assert "hunter2" not in line
    words = shlex.split(line)
    assert words[0] == "curl"
    assert words[-1] == "http://h/v1/chat/completions?key=***"
    assert "Authorization: ***" in words


INERT = NASTY.filter(lambda text: not UNSAFE_CHARACTERS.search(text))  # shlex does not know how the others are written


@given(INERT, INERT)
def test_a_curl_line_is_safe_in_a_shell(prompt: str, header: str) -> None:
    spec = Target(url="http://h/s", body="{{prompt}}", headers={"X-Note": header}).request(prompt)
    words = shlex.split(spec.curl())
    body = words[words.index("--data-raw") + 1]  # with --data-raw, an @ at the start does not mean a file
    assert body == (spec.body or b"").decode()
    assert f"X-Note: {header}" in words
    assert words[-1] == "http://h/s"


def test_a_curl_line_says_method_and_version_only_where_curl_would_not_guess_them() -> None:
    target = Target(url="http://h/?q=")
    assert "-X" not in target.request("p").curl()
    assert "-X" not in Target(url="http://h/", body="x").request("p").curl()
    assert "-X PUT" in target.request("p")._replace(method="PUT").curl()
    assert "--head" in target.request("p")._replace(method="HEAD").curl()
    assert "--http1.0" in target.request("p")._replace(http_version="1.0").curl()


def test_a_curl_line_connects_as_the_target_does() -> None:
    target = Target(url="https://h/", http2=True, ca="a.pem", cert="c.pem:k.pem", unix_socket="/run/s", compressed=True)
    line = target.request("p").curl()
    assert line.startswith("curl -sN --http2 --cacert a.pem --cert c.pem:k.pem --unix-socket /run/s --compressed -H ")
    assert "--http2-prior-knowledge" in Target(url="http://h/", http2=True).request("p").curl()
    assert "--insecure" in Target(url="https://h/", insecure=True).request("p").curl()


@pytest.mark.parametrize("text", ["it's", "\x1b[31m'\\x41\u202e\x9b\\", "a b", "é"])
def test_a_curl_line_holds_no_active_character_and_the_shell_reads_it_as_it_was(text: str) -> None:
    line = Target(url="http://x/s").request(headers={"Last-Event-ID": text}).curl()

    assert UNSAFE_CHARACTERS.search(line) is None
    read = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, check=True).stdout.decode()
    assert f"Last-Event-ID: {text}" in read.split("\n")
