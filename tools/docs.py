"""Every generated page and the code that makes it: `make docs` writes them, tests/test_readme.py compares them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools import schema
from tools.check_faults import FAULTS_PAGE, faults_page
from tools.checks_page import PAGE, page
from tools.clients_page import CLIENTS_PAGE, clients_page
from tools.fleet_page import FLEET_PAGE, fleet_page
from tools.payloads_page import PAYLOADS_PAGE, payloads_page
from tools.readme import README, readme
from tools.security_page import SECURITY_PAGE, security_page
from tools.traces_page import TRACES_PAGE, traces_page

GENERATED: Final[dict[Path, Callable[[], str]]] = {
    README: readme,
    PAGE: page,
    FAULTS_PAGE: faults_page,
    CLIENTS_PAGE: clients_page,
    FLEET_PAGE: fleet_page,
    PAYLOADS_PAGE: payloads_page,
    SECURITY_PAGE: security_page,
    TRACES_PAGE: traces_page,
    schema.PUBLISHED: schema.text,
}


def write(generated: Mapping[Path, Callable[[], str]]) -> list[Path]:
    """Write the files whose content is not what their function gives; the files that were written."""
    written = []
    for path, make in generated.items():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


if __name__ == "__main__":
    for written in write(GENERATED):
        print(f"written: {written.relative_to(README.parent)}")  # noqa: T201 - a command of make
