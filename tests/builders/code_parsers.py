"""What a program or parser says about a piece of code that was cut out of its place, by language.

A piece stands in a place that it does not show: a function, a server block. `CODE` in a template is where it goes; the
piece has to fit into one of the templates of its language.
"""

import ast
import json
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.builders.brackets import imbalance

PYTHON = (("async def f():\n    for _ in ():\nCODE", 8), ("async def f():\n    try:\n        pass\nCODE", 4))
JS = ("for (;;) {\nCODE\n}", "try {}\nCODE", "(\nCODE\n)", "({\nCODE\n})")
GO = ("package p\nfunc f() {\nCODE\n}", "package p\ntype T struct {\nCODE\n}")
_NGINX_FILES = "access_log off; " + " ".join(
    f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
NGINX = tuple(
    f"events {{}}\nhttp {{\n{_NGINX_FILES}\n{zone}\n{place}\n}}"
    for zone in ("limit_req_zone $uri zone=per_user:1m rate=1r/s;", "limit_conn_zone $uri zone=per_user:1m;", "")
    for place in ("server { location / {\nCODE\n} }", "server {\nCODE\n}", "CODE")
)
_HAPROXY = "defaults\n  mode http\n  timeout client 9s\n  timeout connect 9s\n  timeout server 9s\n"
HAPROXY = (f"{_HAPROXY}backend b\n  CODE", f"{_HAPROXY}listen l\n  bind 127.0.0.1:9\n  unique-id-format %ci\n  CODE")
CADDY = (":9 {\nCODE\n}",)
APACHE = ("CODE",)
APACHE_MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "setenvif")
APACHE_FOLDER = "/usr/lib/apache2/modules"

# All pieces at once: node starts once.
NODE = """
const AsyncGenerator = Object.getPrototypeOf(async function*(){}).constructor;
const wrong = code => { try { new AsyncGenerator(code); return null; } catch (error) { return String(error); } };
const read = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const first = errors => errors.includes(null) ? null : errors[0];
console.log(JSON.stringify(read.map(places => first(places.map(wrong)))));
"""


def filled(templates: tuple[str, ...], code: str) -> list[str]:
    return [template.replace("CODE", code) for template in templates]


def python_error(code: str) -> str | None:
    error = None
    for template, depth in PYTHON:
        try:
            ast.parse(template.replace("CODE", textwrap.indent(code, " " * depth)))
        except SyntaxError as wrong:
            error = error or str(wrong)
        else:
            return None
    return error


def xml_error(code: str) -> str | None:
    try:
        ElementTree.fromstring(f"<configuration>{code}</configuration>")
    except ElementTree.ParseError as error:
        return str(error)
    return None


def yaml_error(code: str) -> str | None:
    try:
        loaded = yaml.safe_load(code)
    except yaml.YAMLError as error:
        return str(error)
    return None if isinstance(loaded, dict) else "no mapping"


def program_error(command: list[str], stdin: str | None = None) -> str | None:
    """What a program complains about; None when it does not. Skips the test where it is not installed."""
    program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([program, *command[1:]], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else done.stderr or done.stdout or f"exit code {done.returncode}"


def file_error(templates: tuple[str, ...], command: Callable[[Path], list[str]], folder: Path, code: str) -> str | None:
    """The complaint about the code in its first place, when it fits into none of them."""
    file = folder / "code"
    errors = []
    for text in filled(templates, code):
        file.write_text(text + "\n", encoding="utf-8")
        error = program_error(command(file))
        if error is None:
            return None
        errors.append(error)
    return errors[0]


def node_errors(codes: list[str]) -> list[str | None]:
    """What node says about each piece, None where it fits; in the order of the pieces."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    places = json.dumps([filled(JS, code) for code in codes])
    done = subprocess.run(["node", "-e", NODE], input=places, capture_output=True, text=True, timeout=60, check=True)
    errors: list[str | None] = json.loads(done.stdout)
    return errors


def apache_command(file: Path) -> list[str]:
    if not Path(APACHE_FOLDER).is_dir():
        pytest.skip(f"there are no modules of Apache in {APACHE_FOLDER}")
    lines = [f"LoadModule {name}_module {APACHE_FOLDER}/mod_{name}.so" for name in APACHE_MODULES]
    lines += ["ServerName x", "Listen 9", "ErrorLog /dev/null"]
    return ["apache2", *(word for line in lines for word in ("-C", line)), "-t", "-f", str(file)]


def error_in(language: str, code: str, folder: Path) -> str | None:
    """Why a program or parser for the language refuses the code; None when it does not."""
    match language:
        case "python":
            return python_error(code)
        case "js":
            return node_errors([code])[0]
        case "csharp":
            return imbalance(code)
        case "go":
            return imbalance(code) or file_error(GO, lambda file: ["gofmt", "-e", str(file)], folder, code)
        case "xml":
            return xml_error(code)
        case "yaml":
            return yaml_error(code)
        case "sh":
            return program_error(["sh", "-n"], code)
        case "nginx":
            command = ["nginx", "-t", "-g", "pid /dev/null; error_log stderr;", "-p", str(folder), "-c"]
            return file_error(NGINX, lambda file: [*command, str(file)], folder, code)
        case "haproxy":
            return file_error(HAPROXY, lambda file: ["haproxy", "-c", "-q", "-f", str(file)], folder, code)
        case "apache":
            return file_error(APACHE, apache_command, folder, code)
        case "caddyfile":
            return file_error(
                CADDY, lambda file: ["caddy", "adapt", "--adapter", "caddyfile", "--config", str(file)], folder, code
            )
        case "vcl":
            return imbalance(code)
    raise AssertionError(f"no parser for {language}: add a case")
