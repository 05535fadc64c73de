"""How to see a check fail: the commands that start a faulty mock, perhaps with a proxy in front, and the check."""

from shlex import quote
from typing import Final, NamedTuple

from streamgauge.conformance.applies import two_paths
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.registry import Check
from streamgauge.mock_provider import dialects as mock_dialects
from streamgauge.mock_provider import faults
from streamgauge.mock_provider.dialects.base import Dialect as MockDialect
from streamgauge.mock_provider.faults.base import Fault
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Dialect

PORT: Final = 9000
_MOCK: Final = f"http://127.0.0.1:{PORT}"
_PROXY: Final = f"http://127.0.0.1:{PORT + 1}"
_USUAL: Final = "openai-chat"


class Reproduction(NamedTuple):
    """Each of the `servers` in a shell of its own; then `check` reports the defect."""

    servers: tuple[str, ...]
    check: str


def faults_of(check: Check) -> list[Fault]:
    """The faults that break the check, those that break few other checks first.

    A fault names the checks that it breaks; a check that is newer than the fault may name the fault in `broken_by`.
    """
    named = faults.parse(check.broken_by.fault).fault if check.broken_by and check.broken_by.fault else None
    breaking = [fault for fault in faults.FAULTS.values() if check.id in fault.trips or fault is named]
    return sorted(breaking, key=lambda fault: len(fault.trips))


def reproduction_of(check: Check) -> Reproduction | None:
    """The commands that show the check fail; None where neither mock nor proxy can break it."""
    broken = check.broken_by or _broken_by_a_fault(check)
    if broken is None:
        return None
    mock = f"streamgauge mock --port {PORT} {_flags(broken)}".strip()
    direct = _address(broken.shape)
    if broken.proxy is None:
        return Reproduction((mock,), _check_command(check, direct))
    servers = mock, f"streamgauge proxy {_MOCK} --port {PORT + 1} {broken.proxy}".strip()
    proxied = direct.replace(_MOCK, _PROXY)
    return Reproduction(servers, _check_command(check, f"{direct} --via {proxied}" if _compares(check) else proxied))


def _broken_by_a_fault(check: Check) -> BrokenBy | None:
    """The first of the check's faults that the mock can show in a shape to which the check applies."""
    for fault in faults_of(check):
        for dialect, mock_dialect in _SHAPES.items():
            if fault.streams and mock_dialect.can_show(fault.needs) and check.applies(_case(dialect)) is None:
                text = f"--text {fault.text}" if fault.text else ""
                tools = "--tools 1" if "tool-calls" in fault.needs else ""
                return BrokenBy(fault=fault.name, mock=f"{text} {tools}".strip(), shape=dialect.name)
    return None


def _case(dialect: Dialect) -> Case:
    """The facts of an endpoint that is the mock, in this dialect."""
    return Case(dialect=dialect, method="POST", has_credential=True, takes_limit=True)


def _shapes() -> dict[Dialect, MockDialect]:
    """The dialects that the mock speaks: the usual one, applications' by POST and then by GET, other vendors'."""
    spoken = {dialect.name: dialect for dialect in mock_dialects.DIALECTS}
    known = [dialect for dialect in dialects.DIALECTS if dialect.name in spoken]
    known.sort(key=lambda one: (one.name != _USUAL, one.vendor is not None, one.ask("", "", None).method == "GET"))
    return {dialect: spoken[dialect.name] for dialect in known}


_SHAPES: Final = _shapes()


def _address(shape: str) -> str:
    """The path and the method with which the mock serves a shape."""
    dialect = dialects.by_name(shape)
    if dialect.vendor is not None and shape != _USUAL:
        return f"{_MOCK} --dialect {shape}"
    request = dialect.ask("{{prompt}}", "", None)
    path = next(path for method, path in _SHAPES[dialect].routes if method == request.method)
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    return f"{_MOCK}{path}?{query}" if query else f"{_MOCK}{path}"


def _flags(broken: BrokenBy) -> str:
    fault = f"--fault {quote(broken.fault)}" if broken.fault else ""
    return f"{fault} {broken.mock}".strip()


def _compares(check: Check) -> bool:
    return check.applies is two_paths


def _check_command(check: Check, address: str) -> str:
    url, _, more = address.partition(" ")
    words = ["streamgauge check", quote(url), more, f"--mock {_MOCK}"]
    if OptIn.SECOND_KEY in check.opt_ins:
        words = ["SECOND_KEY=second", *words, "--header 'Authorization: Bearer first' --second-key SECOND_KEY"]
    words += [opt_in.value for opt_in in check.opt_ins if opt_in is not OptIn.SECOND_KEY]
    return " ".join(word for word in [*words, "--only", check.id] if word)
