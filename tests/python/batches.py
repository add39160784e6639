"""Drives the official openai package, unchanged, through files and batches.

    python batches.py --base-url URL --api-key KEY --other-key KEY --model NAME --values FILE

FILE is a JSON list of texts, each with values that must come back in the answer to
its own line and nowhere else. The model server repeats the user.

Prints one JSON line for each check; exits with 1 when any check fails.
"""

import argparse
import json
import sys
import time

import openai

TIMEOUT_SECONDS = 60
OVER = ("completed", "failed", "expired", "cancelled")
failed = 0


def check(name, holds, why=""):
    global failed
    failed += not holds
    line = {"check": name, "ok": bool(holds)}
    print(json.dumps(line if holds else {**line, "why": str(why)[-1500:]}), flush=True)


def refused(name, kind, code, call):
    try:
        call()
    except kind as error:
        check(name, error.code == code, error.code)
    except openai.APIError as error:
        check(name, False, f"{type(error).__name__}: {error}")
    else:
        check(name, False, "it was not refused")


def wait(client, batch):
    end = time.monotonic() + TIMEOUT_SECONDS
    seen = []
    while batch.status not in OVER and time.monotonic() < end:
        if batch.status not in seen:
            seen.append(batch.status)
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    return batch, seen


def line(number, model, text, url="/v1/chat/completions"):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return json.dumps({"custom_id": f"visit-{number} of a patient", "method": "POST", "url": url, "body": body})


def main():
    parser = argparse.ArgumentParser()
    for name in ("base-url", "api-key", "other-key", "model", "values"):
        parser.add_argument(f"--{name}", required=True)
    told = parser.parse_args()
    client = openai.OpenAI(base_url=told.base_url, api_key=told.api_key, max_retries=0, timeout=30)
    other = openai.OpenAI(base_url=told.base_url, api_key=told.other_key, max_retries=0, timeout=30)
    with open(told.values, encoding="utf-8") as file:
        texts = json.load(file)

    content = "\n".join(line(number, told.model, text) for number, text in enumerate(texts))
    file = client.files.create(file=("patients.jsonl", content.encode()), purpose="batch")
    check("a file is taken", file.object == "file" and file.bytes == len(content.encode()), file)
    check("a file keeps its name", file.filename == "patients.jsonl" and file.purpose == "batch", file)
    check("a file is found", client.files.retrieve(file.id).id == file.id)
    check("a file is listed", [it.id for it in client.files.list()] == [file.id])
    check("a file comes back", client.files.content(file.id).text == content)

    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions",
                                  completion_window="24h", metadata={"ward": "3 (synthetic)"})
    check("a batch is made", batch.object == "batch" and batch.status == "validating", batch)
    batch, seen = wait(client, batch)
    counts = batch.request_counts
    check("a batch is completed", batch.status == "completed", (batch, seen))
    check("every line is counted", (counts.total, counts.completed, counts.failed) == (len(texts), len(texts), 0), counts)
    check("what was said of it comes back", batch.metadata == {"ward": "3 (synthetic)"}, batch.metadata)
    check("a batch is listed", [it.id for it in client.batches.list()] == [batch.id])
    answers = client.files.content(batch.output_file_id).text.splitlines()
    check("every line is answered", len(answers) == len(texts), answers)
    found = {}
    for answer in map(json.loads, answers):
        found[answer["custom_id"]] = answer["response"]["body"]["choices"][0]["message"]["content"]
    for number, text in enumerate(texts):
        said = found.get(f"visit-{number} of a patient")
        check(f"line {number} has its own values", said == text, said)

    refused("another key has no such file", openai.NotFoundError, "not_found", lambda: other.files.retrieve(file.id))
    refused("another key reads no answers", openai.NotFoundError, "not_found",
            lambda: other.files.content(batch.output_file_id))
    refused("another key has no such batch", openai.NotFoundError, "not_found",
            lambda: other.batches.retrieve(batch.id))
    check("another key has no files", list(other.files.list()) == [])
    refused("a file for anything else is refused", openai.BadRequestError, "unsupported_content",
            lambda: client.files.create(file=("notes.txt", b"notes"), purpose="assistants"))
    refused("an unknown endpoint is refused", openai.BadRequestError, "invalid_request",
            lambda: client.batches.create(input_file_id=file.id, endpoint="/v1/moderations", completion_window="24h"))

    wrong = client.files.create(file=("wrong.jsonl", b'{"custom_id": "a"}\n'), purpose="batch")
    batch = client.batches.create(input_file_id=wrong.id, endpoint="/v1/chat/completions", completion_window="24h")
    batch, _ = wait(client, batch)
    problems = batch.errors.data if batch.errors else []
    check("a wrong file fails by its line", batch.status == "failed" and problems[0].line == 1, batch)
    check("a file is deleted", client.files.delete(file.id).deleted)
    refused("a deleted file is gone", openai.NotFoundError, "not_found", lambda: client.files.retrieve(file.id))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
