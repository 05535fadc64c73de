"""The second user of an endpoint: the same request with another credential."""

from typing import Final

from streamgauge.conformance.scenarios.runner import ScenarioRunner
from streamgauge.secrets import is_secret

_SCHEME: Final = "authorization"


def as_second(run: ScenarioRunner) -> dict[str, str]:
    """The headers that turn a request of the first user into one of the second's: the key goes where the first's is."""
    key = run.allowed.second_key
    assert key is not None
    names = [name for name in run.target.headers if is_secret(name)] or [run.target.key_header]
    return {name: f"{_scheme(run.target.headers.get(name))} {key}" if _is_auth(name) else key for name in names}


def _is_auth(name: str) -> bool:
    return name.lower() == _SCHEME


def _scheme(value: str | None) -> str:
    """What stands before the first key: Bearer, as a rule."""
    scheme, space, _ = (value or "").partition(" ")
    return scheme if space else "Bearer"
