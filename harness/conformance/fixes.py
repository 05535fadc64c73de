"""Fixes that several requirements share, so that they are said in one way."""

from typing import Final

from streamgauge.diagnosis.culprits import NGINX

NGINX_UNBUFFERED: Final = " ".join(NGINX.fix.lines)
HAPROXY_NO_DELAY: Final = "option http-no-delay"
IIS_UNBUFFERED: Final = (
    'web.config: <add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2" responseBufferLimit="0" />'
)
CADDY_UNBUFFERED: Final = (
    "Take response_buffers (or buffer_responses) out of the reverse_proxy block: event streams are then flushed"
    " without a wait."
)
ASPNET_PULL_FIRST: Final = (
    "await using var items = stream.GetAsyncEnumerator(ct); var any = await items.MoveNextAsync(); // throws while a"
    " status can still be set; only then return TypedResults.ServerSentEvents(...)"
)
ASPNET_ERROR_EVENT: Final = (
    "catch (Exception) when (!ct.IsCancellationRequested) { await response.WriteAsync("
    '"event: error\\ndata: {\\"error\\":{\\"code\\":\\"upstream_failed\\",\\"message\\":\\"The answer was cut.\\"}}'
    '\\n\\n"); } // TypedResults.ServerSentEvents only drops the connection'
)
_ASPNET_THROW: Final = 'if (last?.FinishReason is null) throw new IOException("the answer was cut");'
ASPNET_UNFINISHED: Final = (
    f"{_ASPNET_THROW} // after the loop: the OpenAI .NET SDK raises nothing when [DONE] is missing"
)
ASPNET_UNFINISHED_EVENT: Final = (
    f"{_ASPNET_THROW} }} {ASPNET_ERROR_EVENT}, and the OpenAI .NET SDK raises nothing for an error in the stream"
)
PYTHON_ERROR_EVENT: Final = (
    "except Exception: log.exception('stream'); yield 'event: error\\ndata: ' + json.dumps({'error': {'code':"
    " 'upstream_failed', 'message': 'The answer was cut.'}}) + '\\n\\n'"
)
NODE_ERROR_EVENT: Final = (
    "catch (e) { res.write(`event: error\\ndata: ${JSON.stringify({ error: { code: 'upstream_failed', message:"
    " 'The answer was cut.' } })}\\n\\n`); res.end(); }"
)
