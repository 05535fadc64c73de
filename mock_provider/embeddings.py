"""`POST /v1/embeddings`: a fixed vector for each text, for frameworks that embed a prompt before they answer it.

Equal texts have equal vectors on every machine, and different texts have nearly orthogonal ones: a search by similarity
finds only the same text again.
"""

import base64
import json
import math
import struct
from hashlib import shake_256
from typing import Any

from streamgauge.mock_provider.chat_request import Refusal
from streamgauge.mock_provider.dialects.base import json_object
from streamgauge.mock_provider.dialects.openai_request import at_least, chosen_model, typed, wrong_type
from streamgauge.mock_provider.http import Reply, Request
from streamgauge.mock_provider.text import count_tokens

PATHS = ("/v1/embeddings", "/embeddings")
DIMENSIONS = 1_536
MOST_DIMENSIONS = 4_096
MOST_INPUTS = 2_048  # as OpenAI's API


def embeddings(request: Request, models: tuple[str, ...]) -> Reply:
    """The vectors of the request's input. Refusal if a field is wrong."""
    body = json_object(request)
    model = chosen_model(body, models)
    size = at_least(body, "dimensions", 1) or DIMENSIONS
    if size > MOST_DIMENSIONS:
        raise Refusal(400, f"Invalid 'dimensions': expected at most {MOST_DIMENSIONS}, got {size}.", param="dimensions")
    coding = typed(body, "encoding_format", str, "float")
    inputs = _inputs(body.get("input"))
    shown = _packed if coding == "base64" else list
    data = [
        {"object": "embedding", "index": index, "embedding": shown(vector(text, size))}
        for index, text in enumerate(inputs)
    ]
    count = sum(map(count_tokens, inputs))
    usage = {"prompt_tokens": count, "total_tokens": count}
    answer = {"object": "list", "data": data, "model": model, "usage": usage}
    return Reply(200, json.dumps(answer, separators=(",", ":")).encode())


def vector(text: str, size: int) -> list[float]:
    """`size` numbers of length 1 together, which only the text determines."""
    data = shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * size)
    values = [(number - 32_767.5) / 32_767.5 for number in struct.unpack(f"<{size}H", data)]
    length = math.sqrt(sum(value * value for value in values))
    return [round(value / length, 8) for value in values]


def _packed(values: list[float]) -> str:
    """As `encoding_format=base64` gives them, which the SDKs of OpenAI ask for: float32, little-endian."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _inputs(value: Any) -> list[str]:
    """The texts; a list of token numbers counts as a text of these numbers."""
    if isinstance(value, str):
        inputs = [value]
    elif isinstance(value, list) and value and all(isinstance(one, int) for one in value):
        inputs = [" ".join(map(str, value))]
    elif isinstance(value, list) and all(isinstance(one, (str, list)) for one in value):
        inputs = [one if isinstance(one, str) else " ".join(map(str, one)) for one in value]
    else:
        raise wrong_type("input", "a string or an array", value)
    if not inputs or not all(inputs) or len(inputs) > MOST_INPUTS:
        raise Refusal(400, f"Invalid 'input': expected 1 to {MOST_INPUTS} texts, none of them empty.", param="input")
    return inputs
