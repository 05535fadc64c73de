"""Which products' fixes a finding shows: those of the products that the headers name, not all."""

from collections.abc import Collection

import msgspec

from streamgauge.conformance.result import CheckResult
from streamgauge.diagnosis.product import applications


def for_products(result: CheckResult, known: Collection[str]) -> CheckResult:
    """The result with the fixes for the known products only; with all fixes when no product is known.

    A proxy puts its own name in the place of the application's. So where only proxies are known, every application is
    possible.
    """
    if not known:
        return result
    shown = {*known} if applications() & {*known} else {*known, *applications()}
    return msgspec.structs.replace(result, fixes={name: fix for name, fix in result.fixes.items() if name in shown})
