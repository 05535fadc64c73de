"""Every attack as the answer of a server's status page: no figures, or believable ones, in time and within memory."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Final

import pytest

from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.serverlane.figures import Figures
from streamgauge.serverlane.reset import reset_cache
from streamgauge.serverlane.scrape import MAX_ANSWER_BYTES, Source
from tests.hostile.attack import STATUS_GOOD, Attack, Family, attacks
from tests.hostile.server import HostileEndpoint

TARGET: Final = Target(url="http://127.0.0.1:9/v1/chat/completions", insecure=True)
TIMEOUT_S: Final = 1.0
LONGEST_S: Final = 20.0  # of a busy machine: without a deadline a drip lasts for ever
IN_FLIGHT: Final = MAX_ANSWER_BYTES + 24 * 1024 * 1024  # with what the kernel's buffers on both sides hold
ATTACKS: Final = {name: attack for name, attack in attacks().items() if attack.family is not Family.HTTP2}


def asked(attack: Attack, *, good: int) -> Figures | str | None:
    """What the page gives when its first `good` answers are good: figures or nothing; a text says why it is refused."""
    with HostileEndpoint(attack, good, STATUS_GOOD) as page:
        began_s = monotonic()
        try:
            source = Source(TARGET, page.url, TIMEOUT_S)
        except CannotMeasure as error:
            return error.message
        finally:
            assert monotonic() - began_s < LONGEST_S
            assert page.most_sent <= IN_FLIGHT
        in_hand = source.in_hand()
        source.close()
        assert monotonic() - began_s < LONGEST_S
        assert in_hand is None or in_hand >= 0
        return None if in_hand is None else Figures(running=in_hand)


@pytest.mark.parametrize("good", [0, 1])
def test_a_status_page_that_means_harm(good: int) -> None:
    """From the first answer on, and after a good one."""
    with ThreadPoolExecutor(24) as at_once:
        found = dict(zip(ATTACKS, at_once.map(partial(asked, good=good), ATTACKS.values()), strict=True))
    believed = {name for name, figures in found.items() if isinstance(figures, Figures)}

    assert believed <= {"status_lines_to_backtrack", "status_numbers", "status_series_many"}
    assert "status_numbers" in believed


def test_a_page_whose_cache_should_be_emptied() -> None:
    def reset(attack: Attack) -> str | None:
        with HostileEndpoint(attack) as server:
            return reset_cache(TARGET, server.url, TIMEOUT_S)

    began_s = monotonic()
    with ThreadPoolExecutor(24) as at_once:
        found = dict(zip(ATTACKS, at_once.map(reset, ATTACKS.values()), strict=True))

    assert monotonic() - began_s < len(ATTACKS)
    assert max(len(why or "") for why in found.values()) < 400
    assert found["head_drip"] == "no end of its answer after 1 s"
    assert "sk-hostile0123456789abcdef" not in (found["error_repeats_the_request"] or "")
