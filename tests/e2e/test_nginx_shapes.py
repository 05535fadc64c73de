"""Every shape and dialect behind a real nginx that is configured for streams: no finding that is not its own."""

from collections.abc import Callable, Iterator

import pytest

from streamgauge.conformance.result import Verdict
from streamgauge.conformance.run import check
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.protocol import dialects
from tests.builders.shapes import INHERENT, PACE, PROFILES, SHAPES
from tests.e2e.conftest import RECOMMENDED

WHERE = SHAPES | {"azure": PROFILES["azure"][0]}
# What is true of every such path: nginx can pass on a cut of its upstream only as a cut of its own.
OF_A_HOP = {"termination.truncation-distinguishable"}
# And of a shape that has no place for the reason of its end, where the endpoint is more than the mock.
WITHOUT_REASON = {"errors.content-filter", "errors.context-length"}
UNMET = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)


@pytest.fixture
def client() -> Iterator[StreamClient]:
    with StreamClient(read_timeout_s=2) as made:
        yield made


@pytest.mark.parametrize("shape", WHERE)
def test_a_clean_shape_has_no_findings_behind_nginx(
    client: StreamClient, mock: str, nginx: Callable[[str], str], shape: str
) -> None:
    """Zero false findings at MUST and SHOULD, through a hop that is set up as it should be."""
    target = Target(url=nginx(RECOMMENDED) + WHERE[shape], dialect="openai-chat" if shape == "azure" else shape)
    with MockControl(mock) as truth:
        checks = check(client, target, select(), mock=truth, pace=PACE)

    found = {one.id: one.actual for one in checks.results if one.verdict in UNMET}
    assert [one.id for one in checks.results if one.verdict is Verdict.FAIL] == []
    own = INHERENT.get(shape, set()) | OF_A_HOP
    own |= WITHOUT_REASON if shape in SHAPES and dialects.by_name(shape).path is None else set()
    assert {name: found[name] for name in found if name not in own} == {}
    assert checks.position == "sandwich"
