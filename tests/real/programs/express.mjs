// An Express relay of a chat stream behind the compression middleware: UPSTREAM is the model's base URL.
import compression from 'compression'
import express from 'express'

const app = express()
app.use(express.json({ limit: '1mb' }))

const relay = async (req, res) => {
  if (!req.body?.messages?.every?.((message) => message.content?.trim?.())) {
    return res.status(400).json({ error: { code: 'blank', message: 'messages are missing, or blank' } })
  }
  const gone = new AbortController()
  res.on('close', () => gone.abort())
  try {
    const answer = await fetch(`${process.env.UPSTREAM}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify(req.body),
      headers: { 'Content-Type': 'application/json' },
      signal: gone.signal,
    })
    res.status(answer.status)
    res.set('Content-Type', answer.headers.get('content-type'))
    res.set('Cache-Control', 'no-cache')
    if (answer.headers.get('retry-after')) res.set('Retry-After', answer.headers.get('retry-after'))
    for await (const piece of answer.body) res.write(piece)
    res.end()
  } catch {
    res.destroy()
  }
}
app.post('/v1/chat/completions', relay)
app.post('/compressed/v1/chat/completions', compression({ filter: () => true }), relay)
app.listen(Number(process.env.PORT), '127.0.0.1')
