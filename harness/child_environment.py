"""The environment of the processes that this tool starts: the variables that they need, and no secret besides.

Keys for other services often stand in the environment of a shell or a CI job. A process that talks to an untrusted
endpoint, and the mock, have no use for them.
"""

from collections.abc import Mapping
from typing import Final

from streamgauge.secrets import is_secret

_NAMES: Final = frozenset(
    [
        "COLUMNS",
        "CURL_CA_BUNDLE",
        "HOME",
        "HOSTALIASES",
        "LANG",
        "LANGUAGE",
        "LINES",
        "LOCALDOMAIN",
        "LOGNAME",
        "NO_COLOR",
        "NO_PROXY",
        "PATH",
        "RES_OPTIONS",
        "SHELL",
        "SOURCE_DATE_EPOCH",
        "SYSTEMROOT",
        "TEMP",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    ]
)
_BEGINNINGS: Final = (
    "ASAN_", "COV", "DYLD_", "GEVENT_", "GLIBC_", "GREENLET_", "HF_", "LC_", "LD_", "LOCUST_", "LSAN_", "MALLOC_",
    "OPENBLAS_", "OMP_", "PYTHON", "PYTEST_", "SSL", "STREAMGAUGE_", "TIKTOKEN_", "TOKENIZERS_", "XDG_",
)  # fmt: skip
_PROXY: Final = "_PROXY"


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for Python, the locale, names, TLS, proxies and this tool's own settings, but none whose name
    says that it holds a secret.
    """
    return {name: value for name, value in environment.items() if _is_needed(name.upper()) and not is_secret(name)}


def _is_needed(name: str) -> bool:
    return name in _NAMES or name.startswith(_BEGINNINGS) or name.endswith(_PROXY)
