"""A process that this tool starts gets the variables that it needs, and no secret besides."""

from streamgauge.child_environment import child_environment

NEEDED = {
    "PATH": "/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "PYTHONPATH": "x", "LD_PRELOAD": "shim.so", "TMPDIR": "/t",
    "https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "SSL_CERT_FILE": "ca.pem", "STREAMGAUGE_NATIVE": "0",
}  # fmt: skip
OTHERS = {
    "OPENAI_API_KEY": "k", "GITHUB_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "DATABASE_URL": "postgres://u:p@h/",
    "STREAMGAUGE_MOCK_API_KEY": "k", "HF_TOKEN": "t", "LOCUST_WEB_PASSWORD": "p", "CI_JOB_JWT": "j",
}  # fmt: skip


def test_a_child_gets_what_it_needs_and_no_secret() -> None:
    assert child_environment({**NEEDED, **OTHERS}) == NEEDED
