// The real npm clients as oracles: one JSON line in (client, pieces as base64), one out (messages, error).
// STREAMGAUGE_NODE_CLIENTS names a folder where `npm install openai @anthropic-ai/sdk
// eventsource-parser @microsoft/fetch-event-source` was run; the versions that the emulations follow stand in their docstrings.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.env.STREAMGAUGE_NODE_CLIENTS;
const load = (path) => import(pathToFileURL(join(folder, "node_modules", path)).href);
const { Stream } = await load("openai/core/streaming.mjs");
const { OpenAI } = await load("openai/index.mjs");
const { Anthropic } = await load("@anthropic-ai/sdk/index.mjs");
const { Stream: AnthropicStream } = await load("@anthropic-ai/sdk/core/streaming.mjs");
const { EventSourceParserStream } = await load("eventsource-parser/dist/stream.js");
const { getLines, getMessages } = createRequire(join(folder, "x.js"))("@microsoft/fetch-event-source/lib/cjs/parse.js");
console.error = () => {};

const body = (pieces) =>
  new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new Uint8Array(Buffer.from(piece, "base64")));
      controller.close();
    },
  });

const replayed = (pieces) => ({
  apiKey: "none",
  maxRetries: 0,
  logLevel: "off",
  fetch: async () => new Response(body(pieces), { headers: { "Content-Type": "text/event-stream" } }),
});

// Only the newer releases of the package are modules.
const ai = await load("ai/dist/index.js").catch(() => null);

const clients = {
  async "ai useChat() ai-sdk-ui"(pieces, give) {
    const fetch = async () => new Response(body(pieces), { headers: { "Content-Type": "text/event-stream" } });
    // What useChat() is: an AbstractChat whose state lives in a component.
    const state = {
      messages: [],
      status: "ready",
      error: undefined,
      pushMessage: (message) => state.messages.push(message),
      popMessage: () => state.messages.pop(),
      replaceMessage: (index, message) => (state.messages[index] = message),
      snapshot: (value) => structuredClone(value),
    };
    const transport = new ai.DefaultChatTransport({ api: "http://replay/", fetch });
    class Chat extends ai.AbstractChat {}
    await new Chat({ state, transport }).sendMessage({ text: "hi" });
    if (state.error) throw state.error;
    const message = state.messages.at(-1).role === "assistant" ? state.messages.at(-1) : { parts: [] };
    give("text", message.parts.map((part) => (part.type === "text" ? part.text : "")).join(""));
    for (const part of message.parts) if ("toolCallId" in part) give("tool arguments", JSON.stringify(part.input) ?? "");
  },
  async "openai-node stream() openai-chat"(pieces, give) {
    const stream = new OpenAI(replayed(pieces)).chat.completions.stream({ model: "m", messages: [] });
    const { choices } = await stream.finalChatCompletion();
    for (const choice of choices) {
      if (!choice) continue;
      give("text", (choice.message.content ?? "") + (choice.message.refusal ?? ""));
      for (const call of choice.message.tool_calls ?? []) give("tool arguments", call.function?.arguments ?? "");
    }
  },
  async "openai-node stream() openai-responses"(pieces, give) {
    const stream = new OpenAI(replayed(pieces)).responses.stream({ model: "m", input: "" });
    for (const item of (await stream.finalResponse()).output) {
      const text = (part) => (part.type === "output_text" ? part.text : part.type === "refusal" ? part.refusal : "");
      if (item.type === "message") give("text", item.content.map(text).join(""));
      if (item.type === "function_call") give("tool arguments", String(item.arguments));
    }
  },
  async "anthropic-node stream() anthropic"(pieces, give) {
    const stream = new Anthropic(replayed(pieces)).messages.stream({ model: "m", max_tokens: 1, messages: [] });
    const { content } = await stream.finalMessage();
    give("text", content.map((block) => (block.type === "text" ? block.text : "")).join(""));
    for (const block of content) if (block.type === "tool_use") give("tool arguments", JSON.stringify(block.input) ?? "{}");
  },
  async "openai-node raw"(pieces, give) {
    const silent = { logLevel: "off", logger: { error() {}, warn() {}, info() {}, debug() {} } };
    const stream = Stream.fromSSEResponse(new Response(body(pieces)), new AbortController(), silent);
    for await (const payload of stream) give("message", JSON.stringify(payload));
  },
  async "anthropic-node raw"(pieces, give) {
    const stream = AnthropicStream.fromSSEResponse(new Response(body(pieces)), new AbortController());
    for await (const payload of stream) give("message", JSON.stringify(payload));
  },
  async "eventsource-parser"(pieces, give) {
    const events = body(pieces).pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const event of events) give(event.event ?? "message", event.data);
  },
  async "fetch-event-source"(pieces, give) {
    const feed = getLines(getMessages(() => {}, () => {}, (m) => give(m.event || "message", m.data)));
    for (const piece of pieces) feed(new Uint8Array(Buffer.from(piece, "base64")));
  },
  // The loop of the tutorial, as its own text has it.
  async 'fetch split("\\n\\n")'(pieces, give) {
    const reader = body(pieces).getReader();
    const decoder = new TextDecoder();
    let buffer = "";
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      buffer += decoder.decode(value, { stream: true });
      const lines = buffer.split("\n\n");
      buffer = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.startsWith("data: ")) continue;
        const data = JSON.parse(line.slice(6));
        if (data.done) return;
        give("message", JSON.stringify(data));
      }
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { client, pieces } = JSON.parse(line);
  const messages = [];
  let error = null;
  try {
    await clients[client](pieces, (type, data) => messages.push([type, data]));
  } catch (raised) {
    error = raised.constructor.name;
  }
  process.stdout.write(JSON.stringify({ messages, error }) + "\n");
}
