// A streaming chat endpoint of ASP.NET Core 10 that says how every answer ended. docs/dotnet.md explains each part.
//   UPSTREAM=http://127.0.0.1:9000/v1 dotnet run --urls http://127.0.0.1:5000

using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.RateLimiting;
using OpenAI;
using OpenAI.Chat;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddProblemDetails();
builder.Services.ConfigureHttpJsonOptions(json =>
    json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull);

// <client>
// The OpenAI .NET SDK does not read OPENAI_BASE_URL: the endpoint is set in code.
var upstream = new OpenAIClientOptions
{
    Endpoint = new Uri(builder.Configuration["UPSTREAM"] ?? "https://api.openai.com/v1"),
    RetryPolicy = new ClientRetryPolicy(maxRetries: 0), // the caller decides whether to try again
};
var key = new ApiKeyCredential(builder.Configuration["OPENAI_API_KEY"] ?? "none");
builder.Services.AddSingleton(new OpenAIClient(key, upstream).GetChatClient("gpt-4o-mini"));
// </client>

// <limit>
builder.Services.AddRateLimiter(options =>
{
    options.RejectionStatusCode = StatusCodes.Status429TooManyRequests; // the default is 503
    options.AddConcurrencyLimiter("chat", limit => limit.PermitLimit = 10);
    options.OnRejected = (context, _) =>
    {
        context.HttpContext.Response.Headers.RetryAfter = "1"; // the limiter sends none by itself
        return ValueTask.CompletedTask;
    };
});
// </limit>

var app = builder.Build();
app.UseExceptionHandler();
// Without this handler a refusal of the framework is empty; UseStatusCodePages() alone answers an Accept of
// text/event-stream with plain text, because problem details are written for JSON only.
app.UseStatusCodePages(refused => Results.Problem(statusCode: refused.HttpContext.Response.StatusCode)
    .ExecuteAsync(refused.HttpContext));
app.UseRateLimiter();

app.MapPost("/api/chat", Answer.Start).RequireRateLimiting("chat");
app.Run();

record Question(string? Message, int? MaxTokens);

/// What each event carries; a null is left out.
record Part(string? Text = null, string? Reason = null, Failure? Error = null);

record Failure(string Code, string Message);

static class Answer
{
    const int MostCharacters = 5000;
    static readonly TimeSpan Ceiling = TimeSpan.FromSeconds(120);

    // <first-item>
    /// Everything that can be refused is refused before the first byte, while there is still a status to set.
    public static async Task<IResult> Start(
        Question question, ChatClient chat, HttpContext http, CancellationToken gone)
    {
        if (string.IsNullOrWhiteSpace(question.Message) || question.Message.Length > MostCharacters)
            return Results.Problem($"The message has 1 to {MostCharacters} characters.", statusCode: 400);

        var options = new ChatCompletionOptions { MaxOutputTokenCount = question.MaxTokens };
        var limit = CancellationTokenSource.CreateLinkedTokenSource(gone);
        limit.CancelAfter(Ceiling);
        var updates = chat
            .CompleteChatStreamingAsync(new ChatMessage[] { new UserChatMessage(question.Message) }, options, limit.Token)
            .GetAsyncEnumerator(limit.Token);
        try
        {
            // Pull the first item here: it throws what the upstream refused.
            if (await updates.MoveNextAsync())
            {
                http.Response.Headers["X-Accel-Buffering"] = "no"; // native SSE does not set it
                // No `await using`: it would dispose the enumerator before the result runs. Events() disposes it.
                return TypedResults.ServerSentEvents(Events(updates, limit, gone));
            }
        }
        catch (ClientResultException error)
        {
            await Close(updates, limit);
            return Refusal(error, http.Response);
        }
        catch (OperationCanceledException) when (!gone.IsCancellationRequested)
        {
            await Close(updates, limit);
            return Results.Problem("The model did not answer in time.", statusCode: 504);
        }
        catch
        {
            await Close(updates, limit);
            throw;
        }
        await Close(updates, limit);
        return Results.Problem("The model gave no answer.", statusCode: 502);
    }
    // </first-item>

    // <refusal>
    /// The caller can act on 429 and on a mistake of its own; a refused key is this server's fault, not the caller's.
    static IResult Refusal(ClientResultException error, HttpResponse response)
    {
        if (error.GetRawResponse()?.Headers.TryGetValue("Retry-After", out var wait) == true)
            response.Headers.RetryAfter = wait; // the upstream's, not a guess
        var status = error.Status switch
        {
            400 or 404 or 413 or 422 or 429 => error.Status,
            503 or 529 => 503,
            408 or 504 => 504,
            _ => 502,
        };
        return Results.Problem("The model refused the request.", statusCode: status);
    }
    // </refusal>

    // <events>
    /// `yield` may not stand in a `try` with a `catch`, so each step of the enumerator is a call that reports its error.
    static async IAsyncEnumerable<SseItem<Part>> Events(
        IAsyncEnumerator<StreamingChatCompletionUpdate> updates,
        CancellationTokenSource limit,
        CancellationToken gone,
        [EnumeratorCancellation] CancellationToken cancel = default)
    {
        try
        {
            // Any update may bring the finish reason: the last one is the usage, and has none.
            ChatFinishReason? reason = null;
            Failure? failure = null;
            for (var more = true; more; (more, failure) = await Next(updates, gone))
            {
                var update = updates.Current;
                reason = update.FinishReason ?? reason;
                foreach (var part in update.ContentUpdate)
                    if (!string.IsNullOrEmpty(part.Text)) // not IsNullOrWhiteSpace: spaces are text
                        yield return new SseItem<Part>(new Part(Text: part.Text), "token");
            }
            if (gone.IsCancellationRequested || cancel.IsCancellationRequested)
                yield break; // nobody reads any more
            // The SDK raises nothing when the upstream's stream ends without [DONE], or with an error in it.
            if (failure is null && reason is null)
                failure = new Failure("cut", "The answer was cut.");
            if (failure is null && reason == ChatFinishReason.ContentFilter)
                failure = new Failure("content_filter", "The answer was stopped by the content filter.");
            yield return failure is null
                ? new SseItem<Part>(new Part(Reason: reason == ChatFinishReason.Length ? "length" : "stop"), "done")
                : new SseItem<Part>(new Part(Error: failure), "error");
        }
        finally
        {
            await Close(updates, limit);
        }
    }

    /// Whether there is one more update; or what the caller is told of the error.
    static async Task<(bool, Failure?)> Next(
        IAsyncEnumerator<StreamingChatCompletionUpdate> updates, CancellationToken gone)
    {
        try
        {
            return (await updates.MoveNextAsync(), null);
        }
        catch (OperationCanceledException)
        {
            // The ceiling, unless the caller has left: then nobody reads this.
            return (false, new Failure("timeout", "The answer took too long."));
        }
        catch (Exception) when (!gone.IsCancellationRequested)
        {
            return (false, new Failure("upstream_failed", "The answer was cut.")); // never the exception's own text
        }
    }

    static async ValueTask Close(IAsyncDisposable updates, CancellationTokenSource limit)
    {
        await limit.CancelAsync(); // ends the upstream request at once; disposing alone reads on for two seconds
        await updates.DisposeAsync();
        limit.Dispose();
    }
    // </events>
}
