"""Drives the official openai package against a server whose limits are reached.

    python limits.py --base-url URL --api-key KEY --model NAME --expect wait|spent

wait:  one exchange may run at once, and two are begun. Both must be answered, the
       second after the client waited as it was told: prints {"retries": [0, N]}.
spent: no money is left. Prints {"code": CODE} of the error, which must be one that
       the client does not try again.
"""

import argparse
import json
import sys
import threading
import time

import openai

ANSWERED_SECONDS = 30


def ask(client, model):
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.with_raw_response.create(model=model, messages=messages)


def wait(client, model):
    answers = []
    callers = [
        threading.Thread(target=lambda: answers.append(ask(client, model))) for _ in range(2)
    ]
    for caller in callers:
        caller.start()
        # So that there is a first and a second.
        time.sleep(0.3)
    for caller in callers:
        caller.join(ANSWERED_SECONDS)
    for answer in answers:
        if answer.parse().choices[0].message.content != "hello":
            sys.exit("an answer is not what was said")
    print(json.dumps({"retries": sorted(answer.retries_taken for answer in answers)}))


def spent(client, model):
    try:
        ask(client, model)
    except openai.PermissionDeniedError as error:
        print(json.dumps({"code": error.code}))
    else:
        sys.exit("it passed")


def main():
    parser = argparse.ArgumentParser()
    for name in ("--base-url", "--api-key", "--model", "--expect"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    client = openai.OpenAI(
        base_url=options.base_url, api_key=options.api_key, max_retries=5, timeout=ANSWERED_SECONDS
    )
    {"wait": wait, "spent": spent}[options.expect](client, options.model)


if __name__ == "__main__":
    main()
