"""The official clients, unchanged, read what the stand-in model server of the testkit says.

usage: standin.py http://127.0.0.1:PORT

The stand-in must run the script `everything`: thinking, redacted thinking, the user's text, a cited text, two
tool calls. Prints a line of JSON for each check and exits with 1 if one of them failed.
"""

import json
import os
import sys

USER = "Dear [NAME_AB12CD34], né ✓"
CITED = "The pressure is normal."
SIGNATURE = "c2lnbmVkLWJ5LW1vZGVs"
failed = False


def check(name, good, more=None):
    global failed
    failed |= not good
    print(json.dumps({"name": name, "ok": bool(good), **({} if good else {"got": repr(more)[:2000]})}))


def chat(client):
    body = {"model": "stand-in", "messages": [{"role": "user", "content": USER}], "n": 2, "logprobs": True}
    whole = client.chat.completions.create(**body)
    message = whole.choices[1].message
    check("chat", message.content == USER + CITED, whole)
    check("chat annotations", message.annotations[0].url_citation.title == "Chart", whole)
    check("chat logprobs", "".join(it.token for it in whole.choices[0].logprobs.content) == USER + CITED, whole)
    calls = [json.loads(call.function.arguments) for call in message.tool_calls]
    check("chat calls", calls == [{"found": ["[NAME_AB12CD34]"]}, {"note": USER}], calls)
    with client.chat.completions.stream(**{**body, "stream_options": {"include_usage": True}}) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    check("chat stream", final.choices[1].message.content == USER + CITED, final)
    check("chat stream calls", len(final.choices[0].message.tool_calls) == 2, final)
    check("chat stream usage", final.usage.total_tokens > 0, final)


def responses(client):
    body = {"model": "stand-in", "input": USER, "instructions": "Be brief.", "metadata": {"a": "b"}}
    whole = client.responses.create(**body)
    kinds = [item.type for item in whole.output]
    expected = ["reasoning", "reasoning", "message", "function_call", "function_call"]
    check("responses", whole.output_text == USER + CITED and kinds == expected, whole)
    check("responses reasoning", whole.output[0].encrypted_content == SIGNATURE, whole)
    check("responses annotation", whole.output[2].content[1].annotations[0].title == "Chart", whole)
    check("responses echo", whole.instructions == "Be brief." and whole.metadata == {"a": "b"}, whole)
    deltas, numbers, kinds = [], [], set()
    with client.responses.stream(**body) as stream:
        for event in stream:
            numbers.append(event.sequence_number)
            kinds.add(event.type)
            if event.type == "response.output_text.delta":
                deltas.append(event.delta)
        final = stream.get_final_response()
    check("responses stream", "".join(deltas) == USER + CITED == final.output_text, final)
    check("responses numbers", numbers == sorted(set(numbers)), numbers)
    needed = {
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.done", "response.content_part.done", "response.output_item.done",
        "response.function_call_arguments.delta", "response.function_call_arguments.done",
        "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done", "response.reasoning_summary_part.done",
        "response.output_text.annotation.added", "response.completed",
    }
    check("responses events", needed <= kinds, needed - kinds)
    calls = [json.loads(item.arguments) for item in final.output if item.type == "function_call"]
    check("responses stream calls", calls == [{"found": ["[NAME_AB12CD34]"]}, {"note": USER}], calls)


def legacy(client):
    body = {"model": "stand-in", "prompt": USER, "n": 2, "logprobs": 1}
    whole = client.completions.create(**body)
    check("completions", [it.text for it in whole.choices] == [USER + CITED] * 2, whole)
    check("completions logprobs", "".join(whole.choices[0].logprobs.tokens) == USER + CITED, whole)
    texts = ["", ""]
    for chunk in client.completions.create(**body, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    check("completions stream", texts == [USER + CITED] * 2, texts)
    numbers = [
        client.embeddings.create(model="stand-in", input=["a", USER], dimensions=16, **more).data[1].embedding
        for more in ({}, {"encoding_format": "float"})
    ]
    check("embeddings", len(numbers[0]) == 16 and numbers[0] == numbers[1], numbers)


def messages(client):
    body = {"model": "stand-in", "max_tokens": 64, "messages": [{"role": "user", "content": USER}]}
    expected = ["thinking", "redacted_thinking", "text", "text", "tool_use", "tool_use"]

    def judge(name, message):
        blocks = message.content
        check(f"{name} blocks", [block.type for block in blocks] == expected, message)
        check(f"{name} thinking", (blocks[0].thinking, blocks[0].signature) == (USER, SIGNATURE), blocks[0])
        check(f"{name} redacted", blocks[1].data == "c2VhbGVkLWJ5LW1vZGVs", blocks[1])
        check(f"{name} text", (blocks[2].text, blocks[3].text) == (USER, CITED), blocks)
        cited = blocks[3].citations[0]
        check(f"{name} cited", (cited.document_title, cited.cited_text) == ("Chart", "BP 132/84"), cited)
        check(f"{name} calls", [it.input for it in blocks[4:]] == [{"found": ["[NAME_AB12CD34]"]}, {"note": USER}])
        check(f"{name} stop", message.stop_reason == "tool_use" and message.usage.output_tokens > 0, message)

    judge("messages", client.messages.create(**body))
    kinds = set()
    with client.messages.stream(**body) as stream:
        for event in stream:
            kinds.add(event.type)
        judge("messages stream", stream.get_final_message())
    raw = {event.type for event in client.messages.create(**body, stream=True)}
    needed = {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
              "message_stop"}
    check("messages events", needed <= raw, raw)
    counted = client.messages.count_tokens(model="stand-in", messages=body["messages"])
    check("count_tokens", counted.input_tokens > 0, counted)


def converse(client):
    body = {"modelId": "stand-in:0", "messages": [{"role": "user", "content": [{"text": USER}]}]}
    whole = client.converse(**body)
    content = whole["output"]["message"]["content"]
    check("converse text", content[2] == {"text": USER}, content)
    check("converse thinking", content[0]["reasoningContent"]["reasoningText"] == {"text": USER, "signature": SIGNATURE})
    check("converse redacted", content[1]["reasoningContent"]["redactedContent"] == b"c2VhbGVkLWJ5LW1vZGVs", content[1])
    check("converse cited", content[3]["citationsContent"]["citations"][0]["title"] == "Chart", content[3])
    check("converse calls", content[5]["toolUse"]["input"] == {"note": USER} and whole["stopReason"] == "tool_use")
    texts, calls, kinds, thought = {}, {}, set(), ""
    for event in client.converse_stream(**body)["stream"]:
        kinds |= event.keys()
        delta = event.get("contentBlockDelta")
        if delta:
            index, delta = delta["contentBlockIndex"], delta["delta"]
            texts[index] = texts.get(index, "") + delta.get("text", "")
            calls[index] = calls.get(index, "") + delta.get("toolUse", {}).get("input", "")
            thought += delta.get("reasoningContent", {}).get("text", "")
    check("converse stream text", (texts[2], texts[3]) == (USER, CITED), texts)
    check("converse stream calls", json.loads(calls[5]) == {"note": USER}, calls)
    check("converse stream thinking", thought == USER, thought)
    needed = {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
    check("converse events", needed == kinds, kinds)


def gemini(client):
    whole = client.models.generate_content(model="stand-in", contents=USER)
    parts = whole.candidates[0].content.parts
    check("gemini thinking", parts[0].thought and parts[0].thought_signature == SIGNATURE.encode(), parts)
    check("gemini text", "".join(it.text for it in parts if it.text and not it.thought) == USER + CITED, parts)
    check("gemini calls", [it.args for it in whole.function_calls][1] == {"note": USER}, whole)
    grounding = whole.candidates[0].grounding_metadata
    check("gemini cited", grounding.grounding_chunks[0].web.title == "Chart", grounding)
    check("gemini counts", whole.usage_metadata.total_token_count > 0, whole)
    text, calls, finish = "", [], None
    for chunk in client.models.generate_content_stream(model="stand-in", contents=USER):
        for part in chunk.candidates[0].content.parts:
            text += part.text if part.text and not part.thought else ""
            calls += [part.function_call.args] if part.function_call else []
        finish = chunk.candidates[0].finish_reason or finish
    check("gemini stream", text == USER + CITED and calls[1] == {"note": USER}, (text, calls))
    check("gemini finish", finish and finish.name == "STOP", finish)


def main(base):
    import anthropic
    import boto3
    import google.genai
    import openai

    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    client = openai.OpenAI(base_url=f"{base}/v1", api_key="key-of-the-test", max_retries=0)
    chat(client)
    responses(client)
    legacy(client)
    messages(anthropic.Anthropic(base_url=base, api_key="key-of-the-test", max_retries=0))
    session = boto3.session.Session("AKIATEST", "secret-of-the-test", region_name="us-east-1")
    converse(session.client("bedrock-runtime", endpoint_url=base))
    options = google.genai.types.HttpOptions(base_url=base)
    gemini(google.genai.Client(api_key="key-of-the-test", http_options=options))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/")))
