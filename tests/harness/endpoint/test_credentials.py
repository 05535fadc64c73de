"""The key: from the environment into its header, and never to another machine."""

import pytest

from streamgauge.endpoint.credentials import key_in, with_key, without_key
from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError


def test_a_key_is_taken_from_the_environment_and_does_not_leave_with_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUR_KEY", "s3cret")
    named = Target(url="http://h/", api_key_env="OUR_KEY", headers={"X-Team": "a"})
    full = with_key(named)
    assert full.headers == {"X-Team": "a", "Authorization": "Bearer s3cret"}
    assert without_key(full) == named


@pytest.mark.parametrize(
    "target",
    [
        Target(url="http://h/", headers={"X-Api-Key": "1"}),
        Target(url="http://h/", headers={"Authorization": "Bearer 1"}),
        Target(url="http://h/?key=1"),
        Target(url="http://user:word@h/"),
    ],
)
def test_a_target_with_another_secret_in_it_may_not_leave(target: Target) -> None:
    with pytest.raises(UsageError, match="workers are sent no secrets"):
        without_key(target)


@pytest.mark.parametrize("variable", ["sk-proj-realkey", "Bearer x", "a.b"])
def test_a_key_in_place_of_the_name_of_its_variable_is_not_quoted(variable: str) -> None:
    with pytest.raises(UsageError, match="--second-key takes the name") as caught:
        key_in(variable, "--second-key")
    assert variable not in f"{caught.value.message} {caught.value.hint}"
