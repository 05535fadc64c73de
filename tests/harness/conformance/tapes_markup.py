"""Examples for characters of markup and code."""

import json

from tests.harness.conformance.tapes import Examples, Tape, ledger

examples = Examples()
add = examples.add
check = "text.markup-verbatim"
SENT = "1 < 2 && <b>x</b>"


def chat(text: str) -> bytes:
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
    return f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()


def came(text: str, **more: object) -> Tape:
    told = {"body": chat(text), "dialect": "openai-chat", "upstream": ledger(), **more}
    return Tape(scenario="markup", said=SENT, **told)  # type: ignore[arg-type]


vendor = {"dialect": "openai-chat"}
ENTITIES = "1 &lt; 2 &amp;&amp; &lt;b&gt;x&lt;/b&gt;"
add(check, "pass", came(SENT), **vendor)
add(check, "pass", came(SENT.replace(" ", "")), **vendor)  # for text.whitespace-roundtrip
add(check, "fail", came(ENTITIES), **vendor)
add(check, "fail", came("1 2 x"), **vendor)
add(check, "inconclusive", came(SENT[:6]), **vendor)
add(check, "inconclusive", came(SENT, upstream=None), **vendor)
own = json.dumps({"token": ENTITIES, "done": True})
add(check, "info", came("", body=f"data: {own}\n\n".encode(), dialect="token-done"), dialect="token-done")
