"""Second tries, counted: a verdict that a busy machine spoilt may be tried again, but never without being noticed.

`tests/conftest.py` puts what is counted here into the test's report, prints it at the end of the session, and fails a
session with more than its budget. It also gives every test that starts a server or a process a second try as a whole,
which takes from the same budget.
"""

PROPERTY = "retry"
_reasons: list[str] = []


def count_retry(reason: str) -> None:
    """Call it before each try of a test but the first. `reason` says what was wrong with the try before."""
    _reasons.append(reason)


def take_retries() -> list[str]:
    """The reasons since the last call."""
    reasons = _reasons.copy()
    _reasons.clear()
    return reasons
