"""Builds examples/dotnet, runs it in front of the mock provider, and checks it: `make dotnet`. Needs a .NET 10 SDK."""

# ruff: noqa: T201 (a script: printing is what it does)

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

PROJECT = Path(__file__).resolve().parent.parent / "examples/dotnet"
URL = "http://127.0.0.1:5911"
_STARTS_S = 60


def main() -> int:
    if shutil.which("dotnet") is None:
        print("skipped: no .NET SDK (https://dotnet.microsoft.com/download); nothing was compiled")
        return 0
    subprocess.run(["dotnet", "build", "--configuration", "Release", PROJECT], check=True)
    with MockServer(MockConfig(ttft="50ms", itl="5ms")) as mock:
        command = [
            "dotnet",
            "run",
            "--no-build",
            "--configuration",
            "Release",
            "--project",
            str(PROJECT),
            "--urls",
            URL,
        ]
        app = subprocess.Popen(command, env={**os.environ, "UPSTREAM": f"{mock.url}/v1"})
        try:
            _wait_for(app)
            check = [sys.executable, "-m", "streamgauge", "check", f"{URL}/api/chat", "--mock", mock.url]
            return subprocess.run([*check, "--profile", "aspnet", "--allow-load"], check=False).returncode
        finally:
            app.terminate()
            app.wait()


def _wait_for(app: "subprocess.Popen[bytes]") -> None:
    """Raises SystemExit when the application does not answer."""
    ends = time.monotonic() + _STARTS_S
    while app.poll() is None and time.monotonic() < ends:
        try:
            httpx.get(URL)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"examples/dotnet did not answer at {URL}")


if __name__ == "__main__":
    sys.exit(main())
