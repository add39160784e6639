"""Proves that openai_client.py accepts a right server and notices wrong ones."""

import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCRIPT = pathlib.Path(__file__).with_name("openai_client.py")
KEY = "key-of-the-test"
VALUES = ["Zoë Öztürk", "RVB-4471902", 'O"Brien\\']
PROMPT = "Patient Zoë Öztürk, MRN RVB-4471902, seen with O\"Brien\\ today."
EXPECTED = {
    "prompt": PROMPT,
    "values": VALUES,
    "headers": ["x-bulla-receipt"],
    "tool": {
        "name": "keep",
        "parameters": {"type": "object", "properties": {"note": {"type": "string"}}},
        "values": VALUES,
    },
    "errors": [
        {"name": "blocked", "expect": "BadRequestError", "status": 400, "code": "phi_blocked", "model": "blocked"},
        {
            "name": "uncovered",
            "expect": "PermissionDeniedError",
            "status": 403,
            "code": "baa_uncovered_hop",
            "model": "uncovered",
            "stream": True,
        },
    ],
}


class Server(BaseHTTPRequestHandler):
    """Repeats what it is told, as the module's text asks; `fault` says what it does wrong."""

    fault = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body, kind="application/json"):
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        if self.fault != "no header":
            self.send_header("x-bulla-receipt", "log,1,hash")
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code):
        message = PROMPT if self.fault == "value in error" else "refused"
        code = "other" if self.fault == "wrong code" else code
        self.send(status, json.dumps({"error": {"message": message, "type": "x", "code": code}}))

    def do_GET(self):
        name = "other" if self.fault == "no model" else "right"
        model = {"id": name, "object": "model", "created": 1, "owned_by": "x"}
        self.send(200, json.dumps({"object": "list", "data": [model]}))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != f"Bearer {KEY}" and self.fault != "no check of keys":
            return self.refuse(401, "invalid_api_key")
        if asked["model"] == "blocked":
            return self.refuse(400, "phi_blocked")
        if asked["model"] == "uncovered":
            return self.refuse(403, "baa_uncovered_hop")
        last = asked["messages"][-1]
        text = last["content"] if isinstance(last["content"], str) else last["content"][0]["text"]
        if last["role"] == "tool":
            text = json.loads(text)["kept"]
        elif "tools" in asked:
            return self.answer(asked, None, json.dumps({"note": self.spoil(text)}))
        return self.answer(asked, self.spoil(text), None)

    def spoil(self, text):
        if self.fault == "surrogate":
            return text + " [NAME_7K3QF9ZD]"
        if self.fault == "lost value":
            return text.replace(VALUES[1], "")
        return text

    def answer(self, asked, text, arguments):
        streamed, finish = asked.get("stream"), "tool_calls" if arguments else "stop"
        common = {"id": "x", "created": 1, "model": "right"}
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        function = {"name": "keep", "arguments": arguments}
        if not streamed:
            message = {"role": "assistant", "content": text}
            if arguments:
                message["tool_calls"] = [{"id": "c1", "type": "function", "function": function}]
            choices = [
                {"index": i, "message": message, "finish_reason": finish}
                for i in range(asked.get("n", 1))
            ]
            body = {**common, "object": "chat.completion", "choices": choices, "usage": usage}
            return self.send(200, json.dumps(body))
        events = []

        def add(choices, **more):
            chunk = {**common, "object": "chat.completion.chunk", "choices": choices, **more}
            events.append(f"data: {json.dumps(chunk)}\n\n")

        for index in range(asked.get("n", 1)):
            for piece in text or "":
                if self.fault == "lost value in second choice" and index == 1 and piece == "R":
                    continue
                add([{"index": index, "delta": {"content": piece}, "finish_reason": None}])
            for at, piece in enumerate(arguments or ""):
                function = {"name": "keep" if at == 0 else None, "arguments": piece}
                call = {"index": 0, "id": "c1" if at == 0 else None, "function": function}
                if self.fault == "lost argument" and piece == "R":
                    continue
                add([{"index": index, "delta": {"tool_calls": [call]}, "finish_reason": None}])
            add([{"index": index, "delta": {}, "finish_reason": finish}])
        if asked.get("stream_options", {}).get("include_usage") and self.fault != "no counts":
            add([], usage=usage)
        if self.fault != "no end":
            events.append("data: [DONE]\n\n")
        return self.send(200, "".join(events), "text/event-stream")


class OpenAiClientTest(unittest.TestCase):
    def run_against(self, fault):
        """The exit code, and the names of the checks that failed."""
        handler = type("Faulty", (Server,), {"fault": fault})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with tempfile.TemporaryDirectory() as folder:
                expect = pathlib.Path(folder, "expect.json")
                expect.write_text(json.dumps(EXPECTED), encoding="utf-8")
                url = f"http://127.0.0.1:{server.server_port}/v1"
                arguments = ["--base-url", url, "--api-key", KEY, "--model", "right"]
                command = [sys.executable, SCRIPT, *arguments, "--expect-file", expect]
                ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        self.assertGreaterEqual(len(lines), 17, ended.stderr)
        return ended.returncode, {line["check"] for line in lines if not line["ok"]}, ended.stdout

    def check(self, fault, *failing):
        code, failed, shown = self.run_against(fault)
        self.assertEqual(code, 1, shown)
        self.assertLessEqual(set(failing), failed, shown)
        return failed

    def test_a_right_server_passes(self):
        code, failed, shown = self.run_against(None)
        self.assertEqual((code, failed), (0, set()), shown)

    def test_a_lost_value_is_noticed(self):
        self.check("lost value", "an_answer_comes_whole", "a_stream_comes_whole", "a_tool_call_comes_whole")

    def test_a_value_lost_in_one_choice_of_a_stream_is_noticed(self):
        failed = self.check("lost value in second choice", "two_streamed_choices_come_whole")
        self.assertEqual(len(failed), 1)

    def test_a_value_lost_in_streamed_arguments_is_noticed(self):
        failed = self.check("lost argument", "a_streamed_tool_call_comes_whole")
        self.assertEqual(len(failed), 1)

    def test_a_surrogate_that_reaches_the_caller_is_noticed(self):
        self.check("surrogate", "an_answer_comes_whole", "the_async_client_works")

    def test_missing_counts_and_headers_are_noticed(self):
        self.check("no counts", "a_stream_has_counts_when_asked")
        self.check("no header", "an_answer_has_the_headers", "a_stream_has_the_headers")

    def test_a_stream_without_an_end_is_noticed(self):
        self.check("no end", "a_stream_has_the_headers")

    def test_a_wrong_refusal_is_noticed(self):
        self.check("wrong code", "error: blocked", "error: uncovered")
        self.check("value in error", "error: blocked", "error: uncovered")
        self.check("no check of keys", "a_caller_without_a_key_is_refused")

    def test_a_missing_model_is_noticed(self):
        self.check("no model", "models_are_listed")


if __name__ == "__main__":
    unittest.main()
