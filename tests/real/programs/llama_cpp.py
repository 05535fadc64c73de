"""The server of llama.cpp in front of a small model with random weights, which this script makes: no model is fetched.

    llama_cpp.py PORT SLOTS

Its answers are words without meaning. They end at `max_tokens`, because no weights lead to the token that ends a text.
"""

import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import xllamacpp
from gguf import GGUFWriter, TokenType

WIDTH: Final = 256
LAYERS: Final = 2
HEADS: Final = 4
INNER: Final = 4 * WIDTH
CONTEXT: Final = 2_048  # tokens a slot
LONGEST: Final = 256  # tokens of an answer that names no max_tokens
NEVER: Final = -100.0
TEMPLATE: Final = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:"
SPECIAL: Final = (("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL))


def vocabulary() -> list[tuple[str, TokenType]]:
    """Special tokens, each byte, each printable character, and 29,400 words of two or three syllables.

    So many words make a step slow (it computes the probability of each), and leave the reading of a prompt fast (it
    needs only those after its last token). A slow step is a long answer, and few tokens a second at the client.
    """
    syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
    pairs = [first + second for first in syllables for second in syllables]
    words = pairs + [pair + last for pair in pairs for last in syllables[::14]]
    text = [chr(code) for code in range(33, 127)] + ["\u2581"] + [f"\u2581{word}" for word in words]
    data = [(f"<0x{byte:02X}>", TokenType.BYTE) for byte in range(256)]
    return [*SPECIAL, *data, *((piece, TokenType.NORMAL) for piece in text)]


def write_model(path: Path, seed: int = 1) -> None:
    """A Llama of 2 layers in float32.

    Component 0 of the residual stream is the same for every token, because no layer writes to it. So the first column
    of the output matrix is a bias: it keeps bytes, characters and special tokens out of the answers.
    """
    random = np.random.default_rng(seed)
    tokens = vocabulary()

    def matrix(rows: int, columns: int) -> np.ndarray:
        return random.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)

    writer = GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([float(len(text)) for text, _ in tokens])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)

    embedding, output = matrix(len(tokens), WIDTH), matrix(len(tokens), WIDTH)
    embedding[:, 0] = 1.0
    output[:, 0] = [0.0 if len(text) > 1 and kind is TokenType.NORMAL else NEVER for text, kind in tokens]
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        shapes = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, WIDTH), "attn_v": (WIDTH, WIDTH),
                  "attn_output": (WIDTH, WIDTH), "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH),
                  "ffn_down": (WIDTH, INNER)}  # fmt: skip
        for name, shape in shapes.items():
            weights = matrix(*shape)
            if name in ("attn_output", "ffn_down"):
                weights[0] = 0.0
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(model: Path, port: int, slots: int) -> None:
    options = xllamacpp.CommonParams()
    options.model.path = str(model)
    options.hostnames, options.port = ["127.0.0.1"], port
    options.n_parallel, options.n_ctx = slots, slots * CONTEXT
    options.n_predict = LONGEST
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    options.endpoint_metrics = options.endpoint_slots = True
    options.cache_ram_mib = 0  # else prompts that are all different fill 8 GiB
    options.warmup = False
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)  # noqa: T201 (a script)
    while True:
        time.sleep(3_600)


if __name__ == "__main__":
    file = Path("tiny.gguf")
    if not file.exists():
        write_model(file)
    serve(file, int(sys.argv[1]), int(sys.argv[2]))
