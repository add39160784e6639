"""Drives the official openai package, unchanged, against a running server.

    python openai_client.py --base-url URL --api-key KEY --model NAME --expect-file FILE

Prints one JSON line for each check: {"check": NAME, "ok": true} or
{"check": NAME, "ok": false, "why": TEXT}. Exits with 1 when any check fails,
with 2 when it was called wrongly.

The server behind the address answers by repeating the user's message, once for
each choice; when tools are offered it calls the named tool with arguments that
hold the values; when the last message is a tool's result it repeats that. What
must come back is in FILE, a JSON object:

    prompt   the user's message; every one of `values` stands in it
    values   what must come back unchanged, in every choice and tool call
    headers  names of headers that every answer must have
    tool     {"name", "parameters", "values"}: the tool that is offered, and what
             must stand in the strings of its arguments; null to leave tools out
    errors   a list of {"name", "expect", "status", "code"} and what to send:
             optional "model", "prompt", "api_key", "stream", "arguments"
"""

import argparse
import asyncio
import json
import re
import sys

import openai

# What stands for an identifier outside, and must never reach the caller.
SURROGATE = re.compile(r"\[[A-Z][A-Z_]*_[0-9A-Z]{8}\]")
TIMEOUT_SECONDS = 30
REQUIRED = ("prompt", "values", "headers", "tool", "errors")


class Failed(Exception):
    """A check does not hold."""


def insist(holds, why):
    if not holds:
        raise Failed(why)


def insist_whole(text, values, where):
    insist(isinstance(text, str), f"{where}: there is no text")
    missing = [value for value in values if value not in text]
    insist(not missing, f"{where}: {len(missing)} of {len(values)} values did not come back: {missing}")
    left = SURROGATE.findall(text)
    insist(not left, f"{where}: surrogates reached the caller: {left}")


def strings(value):
    """All strings inside a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


class Pieces:
    """Puts the chunks of a stream together, choice by choice."""

    def __init__(self):
        self.texts, self.finish, self.calls = {}, {}, {}
        self.usages = []
        self.after_usage = False

    def add(self, chunk):
        insist(chunk.object == "chat.completion.chunk", "a chunk of another kind")
        if chunk.usage is not None:
            insist(chunk.choices == [], "the counts come in a chunk with choices")
            self.usages.append(chunk.usage)
        for choice in chunk.choices:
            insist(not self.usages, "a choice comes after the counts")
            insist(choice.index not in self.finish, "a choice goes on after its end")
            text = choice.delta.content or ""
            self.texts[choice.index] = self.texts.get(choice.index, "") + text
            for call in choice.delta.tool_calls or []:
                whole = self.calls.setdefault((choice.index, call.index), {"name": "", "arguments": ""})
                whole["name"] += call.function.name or ""
                whole["arguments"] += call.function.arguments or ""
                if call.id:
                    whole["id"] = call.id
            if choice.finish_reason is not None:
                self.finish[choice.index] = choice.finish_reason


class Checks:
    def __init__(self, options, expected):
        self.base_url, self.api_key, self.model = options.base_url, options.api_key, options.model
        self.expected = expected
        self.client = self.connect(openai.OpenAI)

    def connect(self, kind, api_key=None):
        return kind(
            base_url=self.base_url,
            api_key=api_key or self.api_key,
            max_retries=0,
            timeout=TIMEOUT_SECONDS,
        )

    def request(self, **more):
        user = {"role": "user", "content": self.expected["prompt"]}
        return {"model": self.model, "messages": [user], **more}

    def ask(self, **more):
        return self.client.chat.completions.create(**self.request(**more))

    def gather(self, **more):
        pieces = Pieces()
        for chunk in self.ask(stream=True, **more):
            pieces.add(chunk)
        return pieces

    def insist_answer(self, answer, choices=1):
        insist(answer.object == "chat.completion", "an answer of another kind")
        insist(len(answer.choices) == choices, f"{len(answer.choices)} choices instead of {choices}")
        insist([choice.index for choice in answer.choices] == list(range(choices)), "wrong indices")
        for choice in answer.choices:
            insist(choice.finish_reason == "stop", f"finish_reason is {choice.finish_reason}")
            insist(choice.message.role == "assistant", f"role is {choice.message.role}")
            insist_whole(choice.message.content, self.expected["values"], f"choice {choice.index}")

    def insist_pieces(self, pieces, choices=1):
        insist(sorted(pieces.texts) == list(range(choices)), f"choices {sorted(pieces.texts)}")
        for index, text in pieces.texts.items():
            insist(pieces.finish.get(index) == "stop", f"choice {index} has no end")
            insist_whole(text, self.expected["values"], f"choice {index}")

    # One method for each check; the name is the sentence it proves.

    def an_answer_comes_whole(self):
        answer = self.ask()
        self.insist_answer(answer)
        usage = answer.usage
        insist(usage is not None and usage.total_tokens > 0, "there are no counts")
        insist(usage.prompt_tokens + usage.completion_tokens == usage.total_tokens, "wrong counts")

    def an_answer_has_the_headers(self):
        raw = self.client.chat.completions.with_raw_response.create(**self.request())
        missing = [name for name in self.expected["headers"] if not raw.headers.get(name)]
        insist(not missing, f"missing: {missing}")
        leaked = [v for v in self.expected["values"] if any(v in h for h in raw.headers.values())]
        insist(not leaked, "a value stands in a header")
        self.insist_answer(raw.parse())

    def a_stream_has_the_headers(self):
        create = self.client.chat.completions.with_streaming_response.create
        with create(**self.request(stream=True)) as raw:
            missing = [name for name in self.expected["headers"] if not raw.headers.get(name)]
            insist(not missing, f"missing: {missing}")
            insist("text/event-stream" in raw.headers["content-type"], "no event stream")
            lines = [line for line in raw.iter_lines() if line.startswith("data:")]
        insist(lines and lines[-1] == "data: [DONE]", "the last event is not [DONE]")

    def a_stream_comes_whole(self):
        pieces = self.gather()
        self.insist_pieces(pieces)
        insist(not pieces.usages, "counts that nobody asked for")

    def a_stream_has_counts_when_asked(self):
        pieces = self.gather(stream_options={"include_usage": True})
        self.insist_pieces(pieces)
        insist(len(pieces.usages) == 1, f"{len(pieces.usages)} chunks with counts")
        insist(pieces.usages[0].total_tokens > 0, "the counts are empty")

    def two_choices_come_whole(self):
        self.insist_answer(self.ask(n=2), choices=2)

    def two_streamed_choices_come_whole(self):
        self.insist_pieces(self.gather(n=2), choices=2)

    def a_conversation_goes_on(self):
        first = self.ask().choices[0].message
        user = {"role": "user", "content": self.expected["prompt"]}
        turns = [
            {"role": "system", "content": "Repeat what you are told."},
            user,
            first.model_dump(exclude_none=True),
            user,
        ]
        answer = self.client.chat.completions.create(model=self.model, messages=turns)
        self.insist_answer(answer)

    def text_parts_are_read(self):
        parts = [{"type": "text", "text": self.expected["prompt"]}]
        answer = self.client.chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": parts}]
        )
        self.insist_answer(answer)

    def models_are_listed(self):
        names = [model.id for model in self.client.models.list()]
        insist(self.model in names, f"{self.model} is not among {names}")

    def the_async_client_works(self):
        async def both():
            async with self.connect(openai.AsyncOpenAI) as client:
                create = client.chat.completions.create

                async def streamed():
                    pieces = Pieces()
                    async for chunk in await create(**self.request(stream=True)):
                        pieces.add(chunk)
                    return pieces

                return await asyncio.gather(create(**self.request()), streamed(), streamed())

        answer, *streams = asyncio.run(both())
        self.insist_answer(answer)
        for pieces in streams:
            self.insist_pieces(pieces)

    def a_caller_without_a_key_is_refused(self):
        client = self.connect(openai.OpenAI, api_key="not-a-key")
        self.insist_refusal(
            lambda: client.chat.completions.create(**self.request()),
            openai.AuthenticationError,
            {"status": 401},
        )

    # Tools.

    def tools(self):
        tool = self.expected["tool"]
        function = {
            "name": tool["name"],
            "description": "Keeps what it is told.",
            "parameters": tool["parameters"],
        }
        return {"tools": [{"type": "function", "function": function}]}

    def insist_call(self, name, arguments):
        tool = self.expected["tool"]
        insist(name == tool["name"], f"the call is to {name}")
        try:
            parsed = json.loads(arguments)
        except ValueError as error:
            raise Failed(f"the arguments are not JSON: {error}") from error
        insist_whole("\n".join(strings(parsed)), tool["values"], "the arguments")

    def a_tool_call_comes_whole(self):
        choice = self.ask(**self.tools()).choices[0]
        insist(choice.finish_reason == "tool_calls", f"finish_reason is {choice.finish_reason}")
        insist(len(choice.message.tool_calls or []) == 1, "there is not one call")
        function = choice.message.tool_calls[0].function
        self.insist_call(function.name, function.arguments)

    def a_streamed_tool_call_comes_whole(self):
        pieces = self.gather(**self.tools())
        insist(pieces.finish.get(0) == "tool_calls", f"finish_reason is {pieces.finish.get(0)}")
        insist(list(pieces.calls) == [(0, 0)], f"calls {list(pieces.calls)}")
        call = pieces.calls[(0, 0)]
        insist(call.get("id"), "the call has no id")
        self.insist_call(call["name"], call["arguments"])

    def a_tool_result_is_answered(self):
        message = self.ask(**self.tools()).choices[0].message
        result = json.dumps({"kept": self.expected["prompt"]}, ensure_ascii=False)
        turns = self.request()["messages"] + [
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": result},
        ]
        answer = self.client.chat.completions.create(model=self.model, messages=turns, **self.tools())
        self.insist_answer(answer)

    # Refusals.

    def insist_refusal(self, call, kind, case):
        try:
            reply = call()
            if hasattr(reply, "response"):
                for _ in reply:
                    pass
        except openai.APIStatusError as error:
            insist(type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}")
            insist(error.status_code == case["status"], f"status {error.status_code}")
            code = case.get("code", error.code)
            insist(error.code == code, f"code {error.code} instead of {code}")
            insist(error.message, "there is no message")
            shown = str(error) + json.dumps(error.body, ensure_ascii=False)
            leaked = [value for value in self.expected["values"] if value in shown]
            insist(not leaked, "the error repeats a value")
            return
        raise Failed("the request was answered")

    def refused_as_it_must_be(self, case):
        client = self.connect(openai.OpenAI, api_key=case.get("api_key"))
        user = {"role": "user", "content": case.get("prompt", self.expected["prompt"])}
        request = {
            "model": case.get("model", self.model),
            "messages": [user],
            "stream": case.get("stream", False),
            **case.get("arguments", {}),
        }
        kind = getattr(openai, case["expect"])
        self.insist_refusal(lambda: client.chat.completions.create(**request), kind, case)

    def all(self):
        yield from (
            (method.__name__, method)
            for method in (
                self.models_are_listed,
                self.an_answer_comes_whole,
                self.an_answer_has_the_headers,
                self.a_stream_comes_whole,
                self.a_stream_has_the_headers,
                self.a_stream_has_counts_when_asked,
                self.two_choices_come_whole,
                self.two_streamed_choices_come_whole,
                self.a_conversation_goes_on,
                self.text_parts_are_read,
                self.the_async_client_works,
                self.a_caller_without_a_key_is_refused,
            )
        )
        if self.expected["tool"] is not None:
            for method in (
                self.a_tool_call_comes_whole,
                self.a_streamed_tool_call_comes_whole,
                self.a_tool_result_is_answered,
            ):
                yield method.__name__, method
        for case in self.expected["errors"]:
            yield f"error: {case['name']}", lambda case=case: self.refused_as_it_must_be(case)


def why(error):
    """Names an error that no check expected."""
    if isinstance(error, Failed):
        return str(error)
    return f"{type(error).__name__}: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--base-url", "--api-key", "--model", "--expect-file"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    with open(options.expect_file, encoding="utf-8") as file:
        expected = json.load(file)
    missing = [name for name in REQUIRED if name not in expected]
    if missing:
        parser.error(f"the expect file has no {missing}")
    absent = [value for value in expected["values"] if value not in expected["prompt"]]
    if absent or not expected["values"]:
        parser.error(f"values that do not stand in the prompt: {absent or 'all'}")
    failures = 0
    for name, check in Checks(options, expected).all():
        try:
            check()
            result = {"check": name, "ok": True}
        except Exception as error:  # Every fault is one failed check; the others still run.
            failures += 1
            result = {"check": name, "ok": False, "why": why(error)}
        print(json.dumps(result, ensure_ascii=False), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
