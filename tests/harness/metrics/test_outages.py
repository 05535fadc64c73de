"""An endpoint that is down for a while is told from one that refuses now and then."""

from streamgauge.metrics.outages import Outages
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, StreamRecord
from streamgauge.units import SECOND


def outages(**at_s: list[float]) -> Outages:
    """`ok` and `refused` are starts of streams, `waited` those of streams that gave up connecting after 10 s."""
    found = Outages()
    for name, starts in at_s.items():
        for start_s in starts:
            outcome = Outcome.OK if name == "ok" else Outcome.CONNECT_ERROR
            found.add(
                StreamRecord(
                    schema=SCHEMA, id="x", outcome=outcome, method="GET", url="u",
                    start_ns=1_800_000_000 * SECOND + int(start_s * SECOND), sent_ns=5 if name == "ok" else None,
                    closed_ns=10 * SECOND if name == "waited" else 5,
                )
            )  # fmt: skip
    return found


def test_an_endpoint_that_goes_down_and_comes_back_was_out_of_reach_in_between() -> None:
    found = outages(ok=[0, 0.5, 1, 4.2, 5], refused=[1.1, 1.6, 2.1, 2.6, 3.1, 3.6, 4.0])
    assert 2.8 * SECOND <= found.total_ns <= 3.1 * SECOND
    assert "for 3.0 s in all (7 streams found no connection)" in str(found)


def test_two_outages_are_added_up_and_the_last_one_may_last_to_the_end() -> None:
    found = outages(ok=[0, 3], refused=[0.5, 1.0, 1.6, 3.5, 4.0, 4.6])
    assert 2.2 * SECOND <= found.total_ns <= 2.6 * SECOND


def test_connections_that_are_waited_for_in_vain_are_an_outage() -> None:
    assert outages(ok=[0, 12], waited=[1]).total_ns >= 10 * SECOND


def test_single_failures_beside_streams_are_not_an_outage() -> None:
    steps = [step / 10 for step in range(50)]
    assert outages(ok=steps, refused=steps).total_ns == 0
    assert outages(ok=[0, 1, 2], refused=[0.5, 0.8, 1.5]).total_ns == 0
    assert str(outages(ok=[0, 1])) == str(outages()) == ""
