"""What pyproject.toml cannot say: the folders at the top keep their names, and are installed as one package.

So a project that has a package called `harness` or `reports` cannot hide ours, and ours cannot hide its own. Which data
files belong to the package, MANIFEST.in says.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "streamgauge": "harness",
    "streamgauge.mock_provider": "mock_provider",
    "streamgauge.reports": "reports",
    "streamgauge.scenarios": "scenarios",
}

setup(
    package_dir=FOLDERS,
    packages=[
        name
        for top, folder in FOLDERS.items()
        for name in (top, *(f"{top}.{inner}" for inner in find_packages(folder)))
    ],
)
