// Hono with streamSSE and OpenAI's SDK: UPSTREAM is the model's base URL.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import OpenAI from 'openai'

const client = new OpenAI({ baseURL: process.env.UPSTREAM, apiKey: 'none', maxRetries: 0 })
const app = new Hono()

app.post('/v1/chat/completions', async (c) => {
  const body = await c.req.json()
  if (!body?.messages?.every?.((message) => message.content?.trim?.())) return c.json({ error: { code: 'blank', message: 'blank' } }, 400)
  const stream = await client.chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } })
  return streamSSE(c, async (sse) => {
    sse.onAbort(() => stream.controller.abort())
    for await (const chunk of stream) await sse.writeSSE({ data: JSON.stringify(chunk) })
    await sse.writeSSE({ data: '[DONE]' })
  })
})
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: '127.0.0.1' })
