"""What pyproject.toml cannot say: the folders at the top keep their names, and are installed as one package.

So a project that has a package called `harness` or `reports` cannot hide ours, and ours cannot hide its own. Which data
files belong to the package, MANIFEST.in says. The native reader is optional: where it cannot be built, the install
succeeds without it, and `streamgauge.transport.native` says so.
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

READER = Extension(
    "streamgauge.transport._reader",
    sources=["harness/transport/_readermodule.c", "harness/transport/reader_core.c"],
    depends=["harness/transport/reader_core.h"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-pthread"],
    py_limited_api=True,
    optional=True,
)
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
    ext_modules=[READER] if BUILDABLE else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if BUILDABLE else {},
)
