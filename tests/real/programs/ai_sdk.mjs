// The Vercel AI SDK's stream for its useChat hook: UPSTREAM is the model's base URL.
// Without this the program dies at the first error of its model: the SDK rejects promises that nobody waits for.
process.on('unhandledRejection', () => {})

import { createServer } from 'node:http'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText } from 'ai'

const provider = createOpenAICompatible({ name: 'mock', baseURL: process.env.UPSTREAM, apiKey: 'none', includeUsage: true })

createServer(async (req, res) => {
  let message
  try {
    let text = ''
    for await (const piece of req) text += piece
    message = JSON.parse(text).message
  } catch {
    return res.writeHead(400).end()
  }
  if (req.method !== 'POST') return res.writeHead(405, { Allow: 'POST' }).end()
  if (!message?.trim?.()) return res.writeHead(400).end()
  const gone = new AbortController()
  res.on('close', () => gone.abort())
  streamText({ model: provider('m'), prompt: message, abortSignal: gone.signal, maxRetries: 0, onError: () => {} }).pipeUIMessageStreamToResponse(res)
}).listen(Number(process.env.PORT), '127.0.0.1')
