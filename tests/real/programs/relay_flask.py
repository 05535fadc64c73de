"""A Flask relay of a chat stream, for gunicorn: UPSTREAM is the model's base URL."""

import os
from collections.abc import Iterator

import openai
from flask import Flask, Response, abort, request

app = Flask(__name__)
client = openai.OpenAI(base_url=os.environ["UPSTREAM"], api_key="none", max_retries=0)


@app.post("/v1/chat/completions")
def chat() -> Response:
    body = request.get_json()
    messages = body.get("messages")
    if not messages or not all(message.get("content", "").strip() for message in messages):
        abort(400)
    most, usage = body.get("max_tokens"), {"include_usage": True}
    stream = client.chat.completions.create(
        model="m", messages=messages, stream=True, max_tokens=most, stream_options=usage
    )

    def events() -> Iterator[str]:
        for chunk in stream:
            yield f"data: {chunk.model_dump_json()}\n\n"
        yield "data: [DONE]\n\n"

    return Response(events(), mimetype="text/event-stream")
