"""Drives the official packages of every vendor, unchanged, against a running server.

    python clients.py FILE

FILE is a JSON object: "base" (address without a path), "key", "prompt" with the
"values" that are planted in it, and "models": a route to a destination of each
dialect, named after the dialect.

The model server repeats the user, or fills the form that is asked for with it, or
calls the tool that is offered with it; after a tool's result it repeats everything.

Prints one JSON line for each check, and exits with 1 when any check fails.
"""

import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import traceback

import pydantic

# What stands for an identifier outside, and must never reach the caller.
SURROGATE = re.compile(r"\[[A-Z][A-Z_]*_[0-9A-Z]{8}\]")
TIMEOUT_SECONDS = 30
PARAMETERS = {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}
TOOL = {"name": "keep_note", "description": "Keeps a note."}
failed = 0


class Form(pydantic.BaseModel):
    """The form that structured answers fill."""

    model_config = pydantic.ConfigDict(extra="forbid")
    note: str


def check(name, holds, why=""):
    global failed
    failed += not holds
    line = {"check": name, "ok": bool(holds)}
    print(json.dumps(line if holds else {**line, "why": str(why)[-1500:]}), flush=True)


def attempt(name, work, *arguments):
    """One piece of work; what it throws is a check that failed."""
    try:
        work(name, *arguments)
    except Exception:
        check(name, False, traceback.format_exc(limit=-6))


class Told:
    """What the server under test is, and what must come back."""

    def __init__(self, told):
        self.base, self.key, self.prompt = told["base"], told["key"], told["prompt"]
        self.values, self.models = told["values"], told["models"]

    def whole(self, name, text):
        text = text or ""
        missing = [value for value in self.values if value not in text]
        left = SURROGATE.findall(text)
        check(name, not missing and not left, f"missing {missing}, surrogates {left} in {text!r}")

    def refusal(self, name, error, kind, status, code, body):
        shown = error.__class__.__name__
        check(f"{name} class", shown == kind, f"{shown}: {error}")
        found = (getattr(error, "status_code", None) or status, code in json.dumps(body))
        check(f"{name} code", found == (status, True), f"{found} {body}")
        repeated = [value for value in self.values if value in str(error)]
        check(f"{name} repeats nothing", not repeated, repeated)


def refused(work, kind):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError("it was not refused")


# --- OpenAI ---------------------------------------------------------------------------------------


def chat(name, told, client, model):
    body = {"model": model, "messages": [{"role": "user", "content": told.prompt}]}
    raw = client.chat.completions.with_raw_response.create(**body)
    check(f"{name} receipt", "#" in raw.headers.get("x-bulla-receipt", ""), raw.headers)
    whole = raw.parse()
    told.whole(name, whole.choices[0].message.content)
    check(f"{name} finish", whole.choices[0].finish_reason == "stop" and whole.usage.total_tokens > 0, whole)
    text, usage = "", None
    stream = client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    check(f"{name} stream receipt", "#" in stream.response.headers.get("x-bulla-receipt", ""))
    told.whole(f"{name} stream", text)
    check(f"{name} stream counts", usage is not None and usage.total_tokens > 0, usage)


def chat_tools(name, told, client, model):
    tools = [{"type": "function", "function": {**TOOL, "parameters": PARAMETERS}}]
    messages = [{"role": "user", "content": told.prompt}]
    body = {"model": model, "messages": messages, "tools": tools}
    message = client.chat.completions.create(**body).choices[0].message
    told.whole(name, json.loads(message.tool_calls[0].function.arguments)["note"])
    with client.chat.completions.stream(**body) as stream:
        final = stream.get_final_completion().choices[0]
    told.whole(f"{name} stream", json.loads(final.message.tool_calls[0].function.arguments)["note"])
    check(f"{name} finish", final.finish_reason == "tool_calls", final)
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": told.prompt}
    answer = client.chat.completions.create(model=model, messages=[*messages, message, result], tools=tools)
    told.whole(f"{name} result", answer.choices[0].message.content)


def chat_form(name, told, client, model):
    messages = [{"role": "user", "content": told.prompt}]
    whole = client.chat.completions.parse(model=model, messages=messages, response_format=Form)
    told.whole(name, whole.choices[0].message.parsed.note)
    with client.chat.completions.stream(model=model, messages=messages, response_format=Form) as stream:
        told.whole(f"{name} stream", stream.get_final_completion().choices[0].message.parsed.note)


def responses(name, told, client, model):
    raw = client.responses.with_raw_response.create(model=model, input=told.prompt)
    check(f"{name} receipt", "#" in raw.headers.get("x-bulla-receipt", ""), raw.headers)
    told.whole(name, raw.parse().output_text)
    deltas = ""
    with client.responses.stream(model=model, input=told.prompt) as stream:
        for event in stream:
            deltas += event.delta if event.type == "response.output_text.delta" else ""
        final = stream.get_final_response()
    told.whole(f"{name} deltas", deltas)
    check(f"{name} final", final.output_text == deltas and final.status == "completed", final)


def responses_kept(name, told, client, model):
    """Three turns by ids alone, had again, listed page by page, cancelled and withdrawn."""
    import openai

    first = client.responses.create(model=model, input=told.prompt)
    with client.responses.stream(model=model, input=told.prompt, previous_response_id=first.id) as stream:
        second = stream.get_final_response()
    told.whole(f"{name} second", second.output_text)
    third = client.responses.create(model=model, input=told.prompt, previous_response_id=second.id)
    told.whole(f"{name} third", third.output_text)
    check(f"{name} previous", third.previous_response_id == second.id, third)
    for one in (first, second, third):
        again = client.responses.retrieve(one.id)
        same = [it.id for it in again.output] == [it.id for it in one.output] and again.usage == one.usage
        check(f"{name} again", same and again.output_text == one.output_text and again.id == one.id, again)
    with client.responses.retrieve(second.id, stream=True) as stream:
        last = [event for event in stream][-1]
    check(f"{name} events", last.response.output_text == second.output_text, last)
    # Five items, two at a time: the client asks for each page itself.
    items = list(client.responses.input_items.list(third.id, limit=2, order="asc"))
    check(f"{name} items", [it.role for it in items] == ["user", "assistant"] * 2 + ["user"], items)
    told.whole(f"{name} first item", items[0].content[0].text)
    told.whole(f"{name} last item", client.responses.input_items.list(third.id).data[0].content[0].text)
    begun = client.responses.create(model=model, input=told.prompt, background=True)
    for _ in range(400):
        running = client.responses.retrieve(begun.id)
        if running.status not in ("queued", "in_progress"):
            break
        time.sleep(0.05)
    told.whole(f"{name} background", running.output_text)
    try:
        client.responses.cancel(begun.id)
        check(f"{name} cancel", False, "what is over was cancelled")
    except openai.BadRequestError as error:
        told.refusal(f"{name} cancel", error, "BadRequestError", 400, "invalid_request", error.body)
    client.responses.delete(second.id)
    for work in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        try:
            work(second.id)
            check(f"{name} withdrawn", False, "what was withdrawn is there")
        except openai.NotFoundError as error:
            told.refusal(f"{name} withdrawn", error, "NotFoundError", 404, "response_not_found", error.body)
    try:
        client.responses.create(model=model, input="?", previous_response_id=second.id)
        check(f"{name} on from withdrawn", False, "went on")
    except openai.BadRequestError as error:
        check(f"{name} on from withdrawn", error.param == "previous_response_id", error)
        code = "previous_response_not_found"
        told.refusal(f"{name} on from withdrawn", error, "BadRequestError", 400, code, error.body)


def responses_tools(name, told, client, model):
    tools = [{"type": "function", **TOOL, "parameters": PARAMETERS, "strict": False}]
    question = {"role": "user", "content": told.prompt}
    whole = client.responses.create(model=model, input=[question], tools=tools)
    call = next(item for item in whole.output if item.type == "function_call")
    told.whole(name, json.loads(call.arguments)["note"])
    with client.responses.stream(model=model, input=[question], tools=tools) as stream:
        final = stream.get_final_response()
    streamed = next(item for item in final.output if item.type == "function_call")
    told.whole(f"{name} stream", json.loads(streamed.arguments)["note"])
    result = {"type": "function_call_output", "call_id": call.call_id, "output": told.prompt}
    told.whole(
        f"{name} result",
        client.responses.create(model=model, input=[question, call, result], tools=tools).output_text,
    )


def responses_form(name, told, client, model):
    whole = client.responses.parse(model=model, input=told.prompt, text_format=Form)
    told.whole(name, whole.output_parsed.note)


def plain(name, told, client):
    whole = client.completions.create(model="openai", prompt=told.prompt)
    told.whole(name, whole.choices[0].text)
    chunks = client.completions.create(model="openai", prompt=told.prompt, stream=True)
    told.whole(f"{name} stream", "".join(it.text for chunk in chunks for it in chunk.choices))
    numbers = client.embeddings.create(model="openai", input=["a", told.prompt], dimensions=8)
    check("embeddings", [len(it.embedding) for it in numbers.data] == [8, 8], numbers)
    listed = {model.id for model in client.models.list()}
    check("models", set(told.models) <= listed, listed)
    check("model", client.models.retrieve("bedrock").id == "bedrock")


def openai_errors(name, told, openai, options):
    client = openai.OpenAI(**options)
    messages = [{"role": "user", "content": told.prompt}]

    def asks(body, client=client):
        return lambda: client.chat.completions.create(**{"model": "openai", "messages": messages, **body})

    cases = [
        ("model", asks({"model": "no-such-model"}), "NotFoundError", 404, "model_not_found"),
        ("field", asks({"extra_body": {"patient": told.prompt}}), "BadRequestError", 400, "unsupported_content"),
        ("words", asks({"model": "anthropic", "n": 2}), "BadRequestError", 400, "unsupported_by_destination"),
        (
            "purpose",
            asks({"extra_headers": {"x-bulla-purpose": "payment"}}),
            "PermissionDeniedError",
            403,
            "purpose_not_allowed",
        ),
        (
            "key",
            asks({}, openai.OpenAI(**{**options, "api_key": "bulla_wrong"})),
            "AuthenticationError",
            401,
            "invalid_api_key",
        ),
    ]
    for case, work, kind, status, code in cases:
        error = refused(work, openai.APIStatusError)
        told.refusal(f"{name} {case}", error, kind, status, code, error.body)
        check(f"{name} {case} code member", error.code == code, error.code)


async def asynchronous(name, told, client):
    body = {"model": "anthropic", "messages": [{"role": "user", "content": told.prompt}]}
    answers = await asyncio.gather(*(client.chat.completions.create(**body) for _ in range(4)))
    for answer in answers:
        told.whole(name, answer.choices[0].message.content)
    text = ""
    async for chunk in await client.chat.completions.create(**body, stream=True):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    told.whole(f"{name} stream", text)
    await client.close()


def azure(name, told, openai, model):
    client = openai.AzureOpenAI(
        azure_endpoint=told.base, api_key=told.key, api_version="2024-10-21", max_retries=0, timeout=TIMEOUT_SECONDS
    )
    chat(name, told, client, model)


def langchain(name, told, model, **more):
    from langchain_openai import ChatOpenAI

    url = f"{told.base}/v1"
    bot = ChatOpenAI(model=model, base_url=url, api_key=told.key, max_retries=0, timeout=TIMEOUT_SECONDS, **more)
    text = bot.invoke(told.prompt).text
    told.whole(name, text() if callable(text) else text)
    parts = [chunk.text for chunk in bot.stream(told.prompt)]
    told.whole(f"{name} stream", "".join(it() if callable(it) else it for it in parts))
    tool = {"title": TOOL["name"], "description": TOOL["description"], **PARAMETERS}
    told.whole(f"{name} tool", bot.bind_tools([tool]).invoke(told.prompt).tool_calls[0]["args"]["note"])
    told.whole(f"{name} form", bot.with_structured_output(Form, method="json_schema").invoke(told.prompt).note)


# --- Anthropic ------------------------------------------------------------------------------------


def messages(name, told, client, model):
    body = {"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": told.prompt}]}
    raw = client.messages.with_raw_response.create(**body, system="Be brief.")
    check(f"{name} receipt", "#" in raw.headers.get("x-bulla-receipt", ""), raw.headers)
    whole = raw.parse()
    told.whole(name, whole.content[0].text)
    check(f"{name} stop", whole.stop_reason == "end_turn" and whole.usage.output_tokens > 0, whole)
    with client.messages.stream(**body) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    told.whole(f"{name} stream", text)
    check(f"{name} final", final.content[0].text == text and final.stop_reason == "end_turn", final)


def messages_tools(name, told, client, model):
    tools = [{**TOOL, "input_schema": PARAMETERS}]
    question = {"role": "user", "content": told.prompt}
    body = {"model": model, "max_tokens": 4096, "tools": tools}
    whole = client.messages.create(**body, messages=[question])
    call = next(block for block in whole.content if block.type == "tool_use")
    told.whole(name, call.input["note"])
    with client.messages.stream(**body, messages=[question]) as stream:
        final = stream.get_final_message()
    told.whole(f"{name} stream", next(it for it in final.content if it.type == "tool_use").input["note"])
    check(f"{name} stop", final.stop_reason == "tool_use", final)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": told.prompt}
    turns = [question, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    told.whole(f"{name} result", client.messages.create(**body, messages=turns).content[0].text)


def thinking(name, told, client):
    question = {"role": "user", "content": told.prompt}
    body = {"model": "anthropic", "max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    whole = client.messages.create(**body, messages=[question])
    check(name, (whole.content[0].thinking, whole.content[0].signature) == ("Let me see.", "c2lnbmVk"), whole)
    told.whole(f"{name} text", whole.content[1].text)
    turns = [question, {"role": "assistant", "content": whole.content}, question]
    told.whole(f"{name} again", client.messages.create(**body, messages=turns).content[1].text)
    counted = client.messages.count_tokens(model="anthropic", messages=[question])
    check(f"{name} count_tokens", counted.input_tokens > 0, counted)


def anthropic_errors(name, told, anthropic, options):
    client = anthropic.Anthropic(**options)
    body = {"model": "anthropic", "max_tokens": 64, "messages": [{"role": "user", "content": told.prompt}]}

    def asks(more, client=client):
        return lambda: client.messages.create(**{**body, **more})

    wrong = anthropic.Anthropic(**{**options, "api_key": "bulla_wrong"})
    cases = [
        ("model", asks({"model": "no-such-model"}), "NotFoundError", 404, "model_not_found"),
        ("field", asks({"extra_body": {"patient": told.prompt}}), "BadRequestError", 400, "unsupported_content"),
        ("stream", asks({"model": "no-such-model", "stream": True}), "NotFoundError", 404, "model_not_found"),
        (
            "purpose",
            asks({"extra_headers": {"x-bulla-purpose": "payment"}}),
            "PermissionDeniedError",
            403,
            "purpose_not_allowed",
        ),
        ("key", asks({}, wrong), "AuthenticationError", 401, "invalid_api_key"),
    ]
    for case, work, kind, status, code in cases:
        error = refused(work, anthropic.APIStatusError)
        told.refusal(f"{name} {case}", error, kind, status, code, error.body)


# --- Amazon Bedrock -------------------------------------------------------------------------------


def converse(name, told, client, model):
    body = {"modelId": model, "messages": [{"role": "user", "content": [{"text": told.prompt}]}]}
    whole = client.converse(**body, inferenceConfig={"maxTokens": 4096})
    check(f"{name} receipt", "#" in whole["ResponseMetadata"]["HTTPHeaders"].get("x-bulla-receipt", ""), whole)
    told.whole(name, whole["output"]["message"]["content"][0]["text"])
    check(f"{name} stop", whole["stopReason"] == "end_turn" and whole["usage"]["totalTokens"] > 0, whole)
    text, kinds = "", set()
    for event in client.converse_stream(**body)["stream"]:
        kinds |= event.keys()
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    told.whole(f"{name} stream", text)
    check(f"{name} events", {"messageStart", "messageStop", "metadata"} <= kinds, kinds)


def converse_tools(name, told, client, model):
    specification = {**TOOL, "inputSchema": {"json": PARAMETERS}}
    question = {"role": "user", "content": [{"text": told.prompt}]}
    body = {"modelId": model, "toolConfig": {"tools": [{"toolSpec": specification}]}}
    whole = client.converse(**body, messages=[question])
    message = whole["output"]["message"]
    call = next(block["toolUse"] for block in message["content"] if "toolUse" in block)
    told.whole(name, call["input"]["note"])
    written = ""
    for event in client.converse_stream(**body, messages=[question])["stream"]:
        written += event.get("contentBlockDelta", {}).get("delta", {}).get("toolUse", {}).get("input", "")
    told.whole(f"{name} stream", json.loads(written)["note"])
    result = {"toolUseId": call["toolUseId"], "content": [{"text": told.prompt}]}
    turns = [question, message, {"role": "user", "content": [{"toolResult": result}]}]
    answer = client.converse(**body, messages=turns)["output"]["message"]["content"][0]["text"]
    told.whole(f"{name} result", answer)


def bedrock_errors(name, told, client, client_of):
    from botocore.exceptions import ClientError

    turns = [{"role": "user", "content": [{"text": told.prompt}]}]
    wrong = client_of("bulla_wrong")
    cases = [
        ("model", lambda: client.converse(modelId="none", messages=turns), "ResourceNotFoundException", 404),
        ("key", lambda: wrong.converse(modelId="bedrock", messages=turns), "AccessDeniedException", 403),
        (
            "field",
            lambda: client.converse(
                modelId="bedrock", messages=turns, guardrailConfig={"guardrailIdentifier": "g", "guardrailVersion": "1"}
            ),
            "ValidationException",
            400,
        ),
    ]
    for case, work, kind, status in cases:
        error = refused(work, ClientError)
        shown = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        check(f"{name} {case}", shown[0] == kind and shown[1] in (status, 401), error.response)
        check(f"{name} {case} repeats nothing", not [it for it in told.values if it in str(error)])


# --- Google ---------------------------------------------------------------------------------------


def gemini(name, told, client, model):
    whole = client.models.generate_content(model=model, contents=told.prompt)
    headers = whole.sdk_http_response.headers
    check(f"{name} receipt", "#" in headers.get("x-bulla-receipt", ""), headers)
    told.whole(name, whole.text)
    check(f"{name} finish", whole.candidates[0].finish_reason.name == "STOP", whole)
    check(f"{name} counts", whole.usage_metadata.total_token_count > 0, whole)
    chunks = client.models.generate_content_stream(model=model, contents=told.prompt)
    told.whole(f"{name} stream", "".join(chunk.text or "" for chunk in chunks))


def gemini_tools(name, told, client, model):
    from google.genai import types

    function = types.FunctionDeclaration(**TOOL, parameters_json_schema=PARAMETERS)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[function])])
    question = types.Content(role="user", parts=[types.Part(text=told.prompt)])
    whole = client.models.generate_content(model=model, contents=[question], config=config)
    told.whole(name, whole.function_calls[0].args["note"])
    chunks = client.models.generate_content_stream(model=model, contents=[question], config=config)
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    told.whole(f"{name} stream", calls[0].args["note"])
    result = types.Part.from_function_response(name=TOOL["name"], response={"kept": told.prompt})
    turns = [question, whole.candidates[0].content, types.Content(role="user", parts=[result])]
    answer = client.models.generate_content(model=model, contents=turns, config=config)
    # What a tool found is a document, and comes back as one.
    told.whole(f"{name} result", answer.text)


def gemini_form(name, told, client, model):
    config = {"response_mime_type": "application/json", "response_json_schema": Form.model_json_schema()}
    whole = client.models.generate_content(model=model, contents=told.prompt, config=config)
    told.whole(name, Form.model_validate_json(whole.text).note)


def google_errors(name, told, client, client_of):
    from google.genai.errors import ClientError

    cases = [
        ("model", client, "none", 404, "model_not_found"),
        ("key", client_of("bulla_wrong"), "vertex", 401, "invalid_api_key"),
    ]
    for case, client, model, status, code in cases:
        error = refused(lambda: client.models.generate_content(model=model, contents=told.prompt), ClientError)
        check(f"{name} {case}", error.code == status and code in json.dumps(error.details), error.details)
        check(f"{name} {case} repeats nothing", not [it for it in told.values if it in str(error)])


# --- curl -----------------------------------------------------------------------------------------


def curl(name, told):
    body = {"model": "bedrock", "stream": True, "messages": [{"role": "user", "content": told.prompt}]}
    command = ["curl", "--no-buffer", "--silent", "--show-error", "--fail", "--include", "--max-time", "30"]
    command += ["--header", "content-type: application/json", "--header", f"authorization: Bearer {told.key}"]
    command += ["--data-binary", "@-", f"{told.base}/v1/chat/completions"]
    ended = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, timeout=60)
    head, _, said = ended.stdout.replace("\r\n", "\n").partition("\n\n")
    check(f"{name} receipt", "x-bulla-receipt: " in head and "text/event-stream" in head, head + ended.stderr)
    data = [line.removeprefix("data: ") for line in said.splitlines() if line.startswith("data: ")]
    check(f"{name} end", data[-1:] == ["[DONE]"], data[-1:])
    chunks = [json.loads(line) for line in data[:-1]]
    deltas = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    told.whole(f"{name} stream", "".join(deltas))


def main(file):
    import anthropic
    import boto3
    import google.genai
    import openai

    for name in list(os.environ):
        if (name.startswith("AWS_") and name != "AWS_CA_BUNDLE") or name.lower().endswith("_proxy"):
            del os.environ[name]
    told = Told(json.loads(pathlib.Path(file).read_text(encoding="utf-8")))
    common = {"api_key": told.key, "max_retries": 0, "timeout": TIMEOUT_SECONDS}
    options = {"base_url": f"{told.base}/v1", **common}
    client = openai.OpenAI(**options)
    claude = anthropic.Anthropic(base_url=told.base, **common)

    def bedrock_of(key):
        # The client reads its key when it is made.
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
        config = boto3.session.Config(retries={"total_max_attempts": 1}, read_timeout=TIMEOUT_SECONDS)
        return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=told.base, config=config)

    def google_of(key):
        http = google.genai.types.HttpOptions(base_url=told.base, timeout=TIMEOUT_SECONDS * 1000)
        return google.genai.Client(api_key=key, http_options=http)

    bedrock, google_client = bedrock_of(told.key), google_of(told.key)
    forms = {"openai", "openai-compatible", "azure-openai", "vertex", "anthropic"}
    for model in told.models:
        attempt(f"chat to {model}", chat, told, client, model)
        attempt(f"chat tools to {model}", chat_tools, told, client, model)
        attempt(f"responses to {model}", responses, told, client, model)
        attempt(f"responses kept to {model}", responses_kept, told, client, model)
        attempt(f"responses tools to {model}", responses_tools, told, client, model)
        attempt(f"messages to {model}", messages, told, claude, model)
        attempt(f"messages tools to {model}", messages_tools, told, claude, model)
        attempt(f"converse to {model}", converse, told, bedrock, model)
        attempt(f"converse tools to {model}", converse_tools, told, bedrock, model)
        attempt(f"gemini to {model}", gemini, told, google_client, model)
        attempt(f"gemini tools to {model}", gemini_tools, told, google_client, model)
        if model in forms:
            attempt(f"chat form to {model}", chat_form, told, client, model)
            attempt(f"responses form to {model}", responses_form, told, client, model)
            attempt(f"gemini form to {model}", gemini_form, told, google_client, model)
    attempt("completions", plain, told, client)
    attempt("openai error", openai_errors, told, openai, options)
    attempt("async", lambda name: asyncio.run(asynchronous(name, told, openai.AsyncOpenAI(**options))))
    for model in ("azure-openai", "anthropic"):
        attempt(f"azure client to {model}", azure, told, openai, model)
        attempt(f"langchain to {model}", langchain, told, model)
    attempt("langchain responses", lambda name: langchain(name, told, "openai", use_responses_api=True))
    attempt("thinking", thinking, told, claude)
    attempt("anthropic error", anthropic_errors, told, anthropic, {"base_url": told.base, **common})
    attempt("bedrock error", bedrock_errors, told, bedrock, bedrock_of)
    attempt("google error", google_errors, told, google_client, google_of)
    attempt("curl", curl, told)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
