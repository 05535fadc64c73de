"""What pyproject.toml cannot say: the folders at the top keep their names, and are installed as one package.

So a project that has a package called `harness` or `reports` cannot hide ours, and ours cannot hide its own. Which data
files belong to the package, MANIFEST.in says. The modules in C are optional: where they cannot be built, the install
succeeds without them, and `streamgauge.transport.native` says so.
"""

import sys
import sysconfig

from setuptools import Extension, find_packages, setup

FOLDERS = {
    "streamgauge": "harness",
    "streamgauge.mock_provider": "mock_provider",
    "streamgauge.reports": "reports",
    "streamgauge.scenarios": "scenarios",
}


def native(name: str, *sources: str, depends: tuple[str, ...] = ()) -> Extension:
    """An optional module in C for every Python from 3.11 on; its files are in harness/transport."""
    return Extension(
        f"streamgauge.transport.{name}",
        sources=[f"harness/transport/{source}" for source in sources],
        depends=[f"harness/transport/{header}" for header in depends],
        define_macros=[("Py_LIMITED_API", "0x030B0000")],
        # -g0: debug information holds the path of the build, and the same commit must give the same wheel anywhere.
        extra_compile_args=["-std=c11", "-O2", "-g0", "-Wall", "-Wextra", "-fvisibility=hidden", "-pthread"],
        py_limited_api=True,
        optional=True,
    )


MODULES = [
    native("_reader", "_readermodule.c", "reader_core.c", depends=("reader_core.h",)),
    native("_chunks", "_chunksmodule.c"),
]
# Linux only: epoll, eventfd, timerfd. A Python without the GIL has no stable ABI, and the reader relies on the GIL.
BUILDABLE = sys.platform == "linux" and not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    package_dir=FOLDERS,
    packages=[
        name
        for top, folder in FOLDERS.items()
        for name in (top, *(f"{top}.{inner}" for inner in find_packages(folder)))
    ],
    exclude_package_data={"": ["*.c", "*.h"]},
    ext_modules=MODULES if BUILDABLE else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if BUILDABLE else {},
)
