#!/usr/bin/env python3
"""Gives good and broken bundles to three verifiers and compares what they say.

    corpus_test.py --rust BULLA-VERIFY [--bulla BULLA] [--tokens FOLDER] [--node NODE] [--keep FOLDER] [NAME...]

The three are the Rust binary, `verify.py` and `verify.mjs`. They must give the same
exit code, of a bad bundle the same first position and the same kind of fault, of a good one the same figures. Every
case states the exit code that it must have, so that three verifiers that are wrong in the same way are found too.
Where they are known to differ, the table `KNOWN` says who does and why; a row of it that is no longer true is a
failure as well. The exit code is 0 or 1.

The bundles are written here, by code of its own that follows docs/bundle.md, with keys that anybody can make; with
`--bulla` some more are made by the real program. Keys and order are the same in every run; the time stamps are of the
day, because `openssl ts` can make no others. It needs Python 3.9, `openssl` 3 and Node 20.
"""

import argparse
import base64
import functools
import hashlib
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

HERE = pathlib.Path(__file__).resolve().parent
LEDGER = HERE.parents[1] / "crates" / "ledger"
PAGE = LEDGER / "page"
SCRIPT = LEDGER / "src" / "bundle" / "verify.py"

# Nothing is written beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPT.parent))

import verify  # noqa: E402
ZERO = bytes(32)


def sha256(*pieces):
    return hashlib.sha256(b"".join(pieces)).digest()


def b64(data):
    return base64.b64encode(data).decode()


# ---- Keys and notes ----------------------------------------------------------------------------------------


class Key:
    """An Ed25519 key pair from a seed of one repeated byte: it proves nothing to anybody."""

    def __init__(self, scratch, name, seed, kind=1):
        self.name, self.kind, self.scratch = name, bytes([kind]), scratch
        self.pem = scratch / f"key-{seed}.der"
        self.pem.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + bytes([seed]) * 32)
        public = run("openssl", "pkey", "-inform", "DER", "-in", self.pem, "-pubout", "-outform", "DER")[-32:]
        self.hash = sha256(name.encode(), b"\n", self.kind, public)[:4]
        self.line = f"{name}+{self.hash.hex()}+{b64(self.kind + public)}"

    @functools.lru_cache(maxsize=None)
    def raw(self, message):
        path = self.scratch / "message"
        path.write_bytes(message)
        return run("openssl", "pkeyutl", "-sign", "-keyform", "DER", "-inkey", self.pem, "-rawin", "-in", path)

    def sign(self, text, name=None):
        return f"\u2014 {name or self.name} {b64(self.hash + self.raw(text.encode()))}\n"

    def cosign(self, text, seconds):
        signature = self.raw(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return f"\u2014 {self.name} {b64(self.hash + seconds.to_bytes(8, 'big') + signature)}\n"


def run(*command):
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))
    return done.stdout


def root_of(leaves):
    """RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", root_of(leaves[:split]), root_of(leaves[split:]))


def proof_of(index, leaves):
    """RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*proof_of(index, leaves[:split]), root_of(leaves[split:])]
    return [*proof_of(index - split, leaves[split:]), root_of(leaves[:split])]


def note_text(origin, size, root):
    return f"{origin}\n{size}\n{b64(root)}\n"


# ---- Records -----------------------------------------------------------------------------------------------

DEPLOYMENT, TENANT = "dep_" + "1" * 32, "ten_" + "2" * 32
ORIGIN, LOG = f"bulla/{DEPLOYMENT}", f"bulla/{DEPLOYMENT}/{TENANT}"
START = datetime(2026, 11, 23, 9, 0, 0, tzinfo=timezone.utc)
ACTOR = {"kind": "api_key", "id": "key_" + "0" * 32, "name": "Example Bot (synthetic)"}


def canonical(value):
    """RFC 8785, for keys without surrogate pairs."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def stamp_text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def at_second(seconds):
    return stamp_text(START + timedelta(seconds=seconds))


def exchange_of(n):
    return f"exc_{n:032x}"


def blob(n, part):
    """The file of sealed content: random bytes will do, nobody opens them here."""
    sealed, commitment = sha256(b"sealed", bytes([n]), part.encode()) * 3, sha256(b"commitment", bytes([n]), part.encode())
    return f"bulla-blob-1 kek_{'5' * 32} {commitment.hex()}\n".encode() + sealed


def blob_digest(file):
    head, _, sealed = file.partition(b"\n")
    return sha256(sha256(sealed), bytes.fromhex(head.split()[2].decode()))


def blobs_of(n):
    return {f"blobs/{exchange_of(n)}/{part}": blob(n, part) for part in ("prompt", "window-000000", "window-000001")}


def about(n):
    return {
        "exchange": exchange_of(n), "actor": ACTOR, "surface": "api", "purpose": "treatment", "api": "chat.completions",
        "stream": True, "route": "default", "policy": sha256(b"policy").hex(), "detector": "phi 0.1.0",
        "findings": {"name": 2}, "treatments": {"name": "tokenized"}, "decision": "tokenized", "rules": ["rule-7"],
        "destination": "local", "path": [{"hop": "local", "by": "inside"}],
        "prompt": blob_digest(blob(n, "prompt")).hex(),
    }


def intent(n, **more):
    return {"kind": "exchange.intent", **about(n), "surrogates": {"minted": 2, "read": 0}, **more}


def outcome(n, of, **more):
    windows = [blob_digest(blob(n, part)) for part in ("window-000000", "window-000001")]
    reply = {"windows": 2, "digest": sha256(*windows).hex(), "bytes": 120, "restored": 2, "unknown": 0,
             "findings": {"name": 2}}
    return {"kind": "exchange.outcome", **about(n), "outcome": "answered", "intent": of, "reply": reply,
            "upstream_request": "req-example", "usage": {"prompt": 30, "completion": 20}, **more}


def started(**more):
    return {"kind": "service.started", "actor": ACTOR, "version": "0.1.0", **more}


def opened(key, **more):
    return {"kind": "log.opened", "deployment": DEPLOYMENT, "tenant": TENANT,
            "organisation": "Example Clinic (synthetic)", "verifier_key": key.line, **more}


def events_of(key):
    """log.opened, service.started, then nine exchanges: 20 records, as the tests of the Rust code have them."""
    events = [opened(key), started()]
    for n in range(1, 10):
        events += [intent(n), outcome(n, len(events))]
    return events


def seal(events, times=None, write=canonical, first=0, prev=ZERO):
    """The bytes of records, each chained to the one before."""
    lines = []
    for at, event in enumerate(events, first):
        time = times[at - first] if times else at_second(at)
        line = write({"v": 1, "log": LOG, "seq": at, "prev": prev.hex(), "time": time, **event})
        prev = sha256(b"\0", line)
        lines.append(line)
    return lines


def leaves_of(lines):
    return [sha256(b"\0", line) for line in lines]


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


# ---- Bundles -----------------------------------------------------------------------------------------------


class Authority:
    """A time-stamping authority made with OpenSSL: a root, one certificate under it, and `openssl ts`."""

    CONFIGURATION = """
[req]
distinguished_name = none
prompt = no
[none]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = critical, timeStamping
[it]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha1, sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[ca]
default_ca = issuing
[issuing]
database = index.txt
crlnumber = crlnumber
serial = number
new_certs_dir = .
policy = policy
default_md = sha256
default_crl_days = 36500
unique_subject = no
[policy]
commonName = supplied
"""

    def __init__(self, folder, name):
        self.folder = folder / f"authority-{name}"
        self.folder.mkdir()
        for file, content in {"ca.cnf": self.CONFIGURATION, "serial": "01\n", "index.txt": "", "crlnumber": "01\n",
                              "number": "10\n"}.items():
            (self.folder / file).write_text(content)
        for key in ("root", "tsa"):
            # RFC 5915: a key on P-256 of which only the number is written down.
            number = sha256(name.encode(), key.encode())
            (self.folder / "key.der").write_bytes(bytes.fromhex("30310201010420") + number
                                                  + bytes.fromhex("a00a06082a8648ce3d030107"))
            self.openssl(f"ec -inform DER -in key.der -out {key}.key")
        self.openssl(f"req -x509 -new -key root.key -subj /CN={name}-root -days 36500 -config ca.cnf -extensions root"
                     " -set_serial 1 -out root.pem")
        self.openssl(f"req -new -key tsa.key -subj /CN={name}-authority -config ca.cnf -out tsa.csr")
        self.openssl("x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 7 -extfile ca.cnf -extensions tsa"
                     " -days 36500 -out tsa.pem")
        self.root = (self.folder / "root.pem").read_text()

    def openssl(self, arguments):
        done = subprocess.run(["openssl", *arguments.split()], cwd=self.folder, capture_output=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr.decode(errors="replace"))

    def stamp(self, message, digest="sha256"):
        (self.folder / "message").write_bytes(message)
        self.openssl(f"ts -query -data message -{digest} -cert -out query")
        self.openssl("ts -reply -queryfile query -config ca.cnf -section it -token_out -out token")
        return (self.folder / "token").read_bytes()

    def ended_certificate(self):
        self.openssl("ca -batch -notext -config ca.cnf -cert root.pem -keyfile root.key -extfile ca.cnf -extensions root"
                     " -startdate 20200101000000Z -enddate 20210101000000Z -in tsa.csr -out ended.pem")
        return (self.folder / "ended.pem").read_text()

    def revocation_list(self, reason=None):
        if reason:
            self.openssl(f"ca -config ca.cnf -cert root.pem -keyfile root.key -revoke tsa.pem -crl_reason {reason}")
        self.openssl("ca -config ca.cnf -cert root.pem -keyfile root.key -gencrl -out list.pem")
        return (self.folder / "list.pem").read_text()


def pretty(value):
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def manifest_of(files, key_line, count, log=LOG, organisation="Example Clinic (synthetic)", **other):
    content = [data for name, data in files if name.startswith("blobs/")]
    listed = []
    for name, data in files:
        if name == "records.jsonl":
            listed.append({"name": name, "size": len(data)})
        elif not name.startswith("blobs/"):
            listed.append({"name": name, "size": len(data), "sha256": sha256(data).hex()})
    return {"format": "bulla-bundle-1", "log": log, "organisation": organisation, "verifier_key": key_line,
            "records": count, "created": "2026-11-23T10:00:00.000000Z", "files": listed,
            "blobs": {"count": len(content), "size": sum(map(len, content)), "sha256": sha256(*content).hex()}, **other}


def tar_of(files):
    """POSIX.1-1988 ustar, times and owners 0."""
    out = b""
    for name, data in files:
        header = bytearray(512)
        header[0:len(name)] = name.encode()
        header[100:108], header[108:116], header[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
        header[124:136], header[136:148] = b"%011o\0" % len(data), b"%011o\0" % 0
        header[148:156], header[156:157], header[257:265] = b" " * 8, b"0", b"ustar\x0000"
        header[148:156] = b"%06o\0 " % sum(header)
        out += bytes(header) + data + bytes(-len(data) % 512)
    return out + bytes(1024)


class Maker:
    """Makes bundles; every part can be given, and what is not given is made to be good."""

    def __init__(self, scratch):
        self.key = Key(scratch, LOG, 7)
        self.other = Key(scratch, LOG, 8)
        self.deployment = Key(scratch, ORIGIN, 9)
        self.witness = Key(scratch, "witness.example/w1", 10, kind=4)
        self.authority, self.stranger = Authority(scratch, "example"), Authority(scratch, "stranger")
        self.lines = seal(events_of(self.key))
        self.trust = f"# Got elsewhere\n{self.key.line}\n{self.deployment.line}\n{self.witness.line}\n{self.authority.root}"

    def note(self, lines, size=None, key=None):
        size = len(lines) if size is None else size
        text = note_text(LOG, size, root_of(leaves_of(lines[:size])))
        return text + "\n" + (key or self.key).sign(text)

    def anchor(self, note, of, index=1, tokens=("example",), cosign=True, authority=None, **other):
        """The files of an anchor over a note, in a deployment's log of three leaves."""
        leaves = [sha256(b"\0", b"another"), sha256(b"\0", note.encode()), sha256(b"\0", b"a third")]
        text = other.get("text") or note_text(ORIGIN, 3, root_of(leaves))
        signed = text + "\n" + other.get("key", self.deployment).sign(text)
        proof = [b64(hash) for hash in other.get("proof") or proof_of(1, leaves)]
        files = {"anchors/0000000003.checkpoint": signed.encode()}
        if cosign:
            seconds = int(datetime.now(timezone.utc).timestamp())
            files["anchors/0000000003.cosignatures"] = (other.get("cosignatures") or self.witness.cosign(text, seconds)).encode()
        files["anchors/0000000003.inclusion"] = "\n".join([f"checkpoint {of}", f"index {index}", *proof, ""]).encode()
        for name in tokens:
            stamped = other.get("stamped", signed).encode()
            files[f"anchors/0000000003.{name}.tst"] = (authority or self.authority).stamp(stamped, other.get("digest", "sha256"))
        return files

    def files(self, lines=None, records=None, note=None, earlier=None, archive=None, anchors=None, blobs=None, count=None,
              key_line=None, claim=None, carried=None, pruned=None, **other):
        """The files of a bundle in their order. `records` are the bytes when they are not the joined `lines`."""
        lines = self.lines if lines is None else lines
        data = joined(lines) if records is None else records
        files = [("VERIFY.md", b"# How to check this export\n"), *(carried or {}).items()]
        files.append(("checkpoint", (self.note(lines) if note is None else note).encode()))
        files += [(f"checkpoints/{size:010}", note.encode()) for size, note in (earlier or {}).items()]
        files += [(f"authorities/{name}.pem", pem.encode()) for name, pem in (archive or {}).items()]
        files += list((anchors or {}).items()) + ([("content", claim)] if claim is not None else []) + sorted((blobs or {}).items())
        files += [] if pruned is None else [("pruned", pruned)]
        files.append(("records.jsonl", data))
        count = data.count(b"\n") if count is None else count
        files.append(("manifest.json", pretty(manifest_of(files, key_line or self.key.line, count, **other)).encode()))
        return files

    def broken(self, records):
        """Records that were altered under the checkpoint of the good ones; the manifest says what is there."""
        return self.files(records=records, note=self.note(self.lines))


# ---- The cases ---------------------------------------------------------------------------------------------


def flipped(data, at, bit=0):
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]


def with_file(files, name, change):
    return [(have, change(data) if have == name else data) for have, data in files]


def resealed_manifest(files, make, lines_count):
    files = [file for file in files if file[0] != "manifest.json"]
    return [*files, ("manifest.json", pretty(manifest_of(files, make.key.line, lines_count)).encode())]


def record_cases(make):
    """Records that were altered under the signed root."""
    good, lines = joined(make.lines), make.lines
    places = {"seq": b'"seq":', "prev": b'"prev":"', "log": b'"log":"bulla/', "kind": b'"kind":"', "time": b'"time":"2026',
              "name": b'"name":"Exam', "hash": b'"policy":"', "number": b'"bytes":1', "brace": b'{"act'}
    for place, mark in places.items():
        at = good.index(mark, len(lines[0]) + len(lines[1]) + len(lines[2]) + 3) + len(mark) - 1 + (place in ("seq", "prev"))
        for bit in (0, 3):
            yield f"flip_{place}_{bit}", make.broken(flipped(good, at, bit)), None, 1
    yield "flip_line_feed", make.broken(flipped(good, len(lines[0]) + 1 + len(lines[1]), 2)), None, 1
    for at in (0, 1, 7, 19):
        yield (f"edited_name_{at}",
               make.broken(joined([*lines[:at], lines[at].replace(b"Example", b"Exbmple"), *lines[at + 1:]])), None, 1)
        yield f"deleted_{at}", make.broken(joined(lines[:at] + lines[at + 1:])), None, 1
        yield f"repeated_{at}", make.broken(joined([*lines[:at + 1], *lines[at:]])), None, 1
        yield f"garbage_line_{at}", make.broken(joined([*lines[:at], b"{}", *lines[at:]])), None, 1
    yield "deleted_5_to_8", make.broken(joined(lines[:5] + lines[9:])), None, 1
    yield "repeated_at_the_end", make.broken(joined([*lines, lines[3]])), None, 1
    yield "replaced_by_another", make.broken(joined([*lines[:9], lines[4], *lines[10:]])), None, 1
    for one, two in ((0, 1), (3, 4), (5, 17), (18, 19)):
        swapped = list(lines)
        swapped[one], swapped[two] = swapped[two], swapped[one]
        yield f"swapped_{one}_{two}", make.broken(joined(swapped)), None, 1
    moved = lines[:4] + lines[5:12] + [lines[4]] + lines[12:]
    yield "moved_4_to_11", make.broken(joined(moved)), None, 1
    for at in (1, 8, 20):
        prev = leaves_of(lines)[at - 1]
        forged = seal([started()], first=at, prev=prev)[0]
        yield f"inserted_record_{at}", make.broken(joined([*lines[:at], forged, *lines[at:]])), None, 1
        later = seal([started()], first=at + 3, prev=prev)[0]
        yield f"inserted_later_{at}", make.broken(joined([*lines[:at], later, *lines[at:]])), None, 1
        yield f"oversized_line_{at}", make.broken(joined([*lines[:at], b"x" * 200_000, *lines[at:]])), None, 1
    yield "empty_line", make.broken(joined([*lines[:6], b"", *lines[6:]])), None, 1
    for cut in (0, 1, len(lines[0]), len(lines[0]) + 1, len(good) // 2, len(good) - 1):
        yield f"cut_{cut}", make.broken(good[:cut]), None, 1
    yield "truncated_by_two", make.broken(joined(lines[:18])), None, 1
    yield "crlf", make.broken(good.replace(b"\n", b"\r\n")), None, 1
    yield "byte_order_mark", make.broken(b"\xef\xbb\xbf" + good), None, 1
    events = events_of(make.key)
    rewritten = seal(events[:8] + [started() for _ in range(12)])
    yield "suffix_written_anew", make.broken(joined(rewritten)), None, 1
    yield "suffix_signed_anew", make.files(lines=rewritten), make.key.line, 0
    yield "suffix_signed_anew_known_note", make.files(lines=rewritten), make.note(make.lines, 12), 1
    yield ("suffix_signed_anew_two_notes",
           make.files(lines=rewritten), make.note(make.lines, 4) + make.note(make.lines, 12), 1)
    yield "suffix_signed_anew_inner_note", make.files(lines=rewritten, earlier={12: make.note(make.lines, 12)}), None, 1
    yield ("suffix_by_another_key",
           make.files(lines=rewritten, note=make.note(rewritten, key=make.other)), make.key.line, 1)


def whole(make, events, **more):
    """A log that is sealed and signed as a whole: only what the records say can be wrong."""
    lines = seal(events, **more)
    return make.files(lines=lines)


def form_cases(make):
    """Records that are chained and signed, and not of the form."""
    begin, key = [opened(make.key), intent(1)], make.key
    raw = lambda change: lambda value: change(canonical(value), value)

    def at_two(change):
        return whole(make, [*begin, started(), started()], write=raw(lambda data, value: change(data) if value["seq"] == 2 else data))

    for name, change in {
        "white_space": lambda data: data.replace(b'"v":1', b'"v": 1'),
        "keys_out_of_order": lambda data: data.replace(b'"v":1,"version":"0.1.0"', b'"version":"0.1.0","v":1'),
        "duplicate_key": lambda data: data.replace(b'"v":1', b'"v":1,"v":1'),
        "unknown_field": lambda data: data.replace(b'"version":"0.1.0"', b'"version":"0.1.0","zeal":1'),
        "unknown_kind": lambda data: data.replace(b"service.started", b"service.startled"),
        "missing_field": lambda data: data.replace(b',"version":"0.1.0"', b""),
        "field_of_another_kind": lambda data: data.replace(b'"seq":2', b'"seq":2,"size":4'),
        "escaped_solidus": lambda data: data.replace(b"0.1.0", b"0\\/1"),
        "escaped_letter": lambda data: data.replace(b"0.1.0", b"\\u0041"),
        "escape_in_capitals": lambda data: data.replace(b"0.1.0", b"\\u001F"),
        "long_escape_of_a_tab": lambda data: data.replace(b"0.1.0", b"\\u0009"),
        "raw_control": lambda data: data.replace(b"0.1.0", b"\x01"),
        "lone_surrogate": lambda data: data.replace(b"0.1.0", b"\\ud800"),
        "invalid_utf8": lambda data: data.replace(b"0.1.0", b"\xff\xfe"),
        "overlong_utf8": lambda data: data.replace(b"0.1.0", b"\xc0\xaf"),
        "surrogate_in_utf8": lambda data: data.replace(b"0.1.0", b"\xed\xa0\x80"),
        "fraction": lambda data: data.replace(b'"v":1', b'"v":1.0'),
        "exponent": lambda data: data.replace(b'"v":1', b'"v":1e0'),
        "leading_zero": lambda data: data.replace(b'"seq":2', b'"seq":02'),
        "null": lambda data: data.replace(b'"0.1.0"', b"null"),
        "truth_for_a_number": lambda data: data.replace(b'"v":1', b'"v":true'),
        "other_version": lambda data: data.replace(b'"v":1', b'"v":2'),
        "number_for_a_text": lambda data: data.replace(b'"0.1.0"', b"1"),
        "capital_hash": lambda data: data.replace(data.split(b'"prev":"')[1][:64], data.split(b'"prev":"')[1][:64].upper()),
        "time_without_fraction": lambda data: data.replace(b".000000Z", b"Z"),
        "time_with_offset": lambda data: data.replace(b".000000Z", b".000000+00:00"),
        "thirtieth_of_february": lambda data: data.replace(b"2026-11-23", b"2026-02-30"),
        "year_9999": lambda data: data.replace(b"2026-11-23", b"9999-11-23"),
        "year_0": lambda data: data.replace(b"2026-11-23", b"0000-11-23"),
        "year_before_0": lambda data: data.replace(b"2026-11-23", b"-000001-11-23"),
        "second_sixty": lambda data: data.replace(b"09:00:02", b"09:00:60"),
        "a_list": lambda data: b"[" + data + b"]",
        "something_behind": lambda data: data + b" ",
        "oversized_record": lambda data: data.replace(b"0.1.0", b"x" * 66_000),
        "deep_nesting": lambda data: data.replace(b'"0.1.0"', b"[" * 20_000 + b"]" * 20_000),
        "other_role": lambda data: data.replace(b'"api_key"', b'"api_kex"'),
        "actor_with_more": lambda data: data.replace(b'"kind":"api_key"', b'"king":"x","kind":"api_key"', 1),
    }.items():
        yield f"form_{name}", at_two(change), None, 1

    good = {
        "escapes": started(version='quote " back \\ tab \t feed \f return \r back \b line \n one \x01 del \x7f'),
        "unicode": started(version="\u00e9 \u2028 \U0001f600 \ufffe e\u0301"),
        "largest_integer": {"kind": "audit.exported", "actor": ACTOR, "size": 2**53 - 1},
        "longest_record": started(version="x" * (65_535 - len(seal([started(version="")], first=2)[0]))),
        "configuration": {"kind": "configuration.applied", "actor": ACTOR, "version": 3, "sha256": "0" * 64, "changes": []},
        "leap_day": started(version="1"),
        "key_created": {"kind": "api_key.created", "actor": ACTOR, "key": "key_" + "a" * 32, "owner": "Ann (synthetic)",
                        "expires": at_second(9)},
        "refused": {"kind": "access.refused", "count": 3},
    }
    for name, event in good.items():
        yield f"good_{name}", whole(make, [*begin, event, started()]), None, 0
    # UTF-16 order: a key in the higher planes stands before one above the surrogates.
    keys = intent(2, findings={"\U0001f600": 1, "\uff5e": 2})
    sixteen = lambda value: canonical(value).replace('"\uff5e":2,"\U0001f600":1'.encode(), '"\U0001f600":1,"\uff5e":2'.encode())
    yield "good_utf16_order", whole(make, [*begin, keys, started()], write=sixteen), None, 0
    yield "form_utf8_order", whole(make, [*begin, keys, started()]), None, 1
    bad = {
        "integer_beyond": {"kind": "audit.exported", "actor": ACTOR, "size": 2**53},
        "huge_integer": {"kind": "audit.exported", "actor": ACTOR, "size": 10**4000},
        "negative": {"kind": "audit.exported", "actor": ACTOR, "size": -1},
        "empty_rules": intent(2, rules=[]), "empty_findings": intent(2, findings={}),
        "surrogates_in_an_outcome": outcome(1, 1, surrogates={"minted": 0, "read": 0}),
        "days_beyond": {"kind": "agreement.expiring", "agreement": "a", "expires": at_second(1), "days": 2**32},
        "other_cover": intent(2, path=[{"hop": "x", "by": "hope"}]),
        "exchange_in_capitals": intent(2, exchange="exc_" + "A" * 32),
        "conversation_of_another_kind": intent(2, conversation="exc_" + "a" * 32),
        "configuration_named": {"kind": "configuration.applied", "actor": ACTOR, "version": "3", "sha256": "0" * 64, "changes": []},
    }
    for name, event in bad.items():
        yield f"form_{name}", whole(make, [*begin, event, started()]), None, 1
    yield "two_outcomes", whole(make, [*begin, outcome(1, 1), outcome(1, 1)]), None, 1
    yield "outcome_of_another_exchange", whole(make, [*begin, outcome(2, 1)]), None, 1
    yield "outcome_of_no_intent", whole(make, [*begin, outcome(1, 0)]), None, 1
    yield "outcome_of_itself", whole(make, [*begin, outcome(1, 2)]), None, 1
    yield "outcome_before_its_intent", whole(make, [*begin, outcome(1, 3), intent(1)]), None, 1
    without = {name: value for name, value in outcome(1, 1).items() if name != "intent"}
    yield "good_outcome_without_intent", whole(make, [*begin, without]), None, 0
    yield "begins_twice", whole(make, [*begin, opened(key)]), None, 1
    yield "does_not_begin", whole(make, [started(), *begin]), None, 1
    yield "names_two_logs", whole(make, [opened(key, tenant="ten_" + "3" * 32), started()]), None, 1
    yield "names_no_key", whole(make, [opened(key, verifier_key="none"), started()]), None, 1
    yield "names_another_key", whole(make, [opened(make.other), started()]), None, 1
    yield "of_another_log", whole(make, [*begin, {**started(), "log": LOG.replace("2", "3")}, started()]), None, 1
    yield ("good_clock_steps_back",
           whole(make, [*begin, started(), started()], times=[at_second(at) for at in (100, 95, 94, 101)]), None, 0)
    yield "good_empty_log", make.files(lines=[], organisation=""), None, 1


def file_cases(make):
    """Notes, manifests, files and archives."""
    files, note = make.files(), make.note(make.lines)
    tar = tar_of(files)
    yield "good", files, None, 0
    yield "good_folder", {"folder": files}, make.trust, 0
    yield "good_dotted_names", [("./" + name, data) for name, data in files], None, 0
    yield "good_unknown_file", [files[0], ("notes.txt", b"x"), *files[1:]], None, 0
    back = seal(events_of(make.key), times=[at_second(200 - 10 * at) for at in range(20)])
    junk = [(f"junk-{number:02}", b"") for number in range(25)]
    yield "good_many_unknown_files", [*junk, *make.files(lines=back)], None, 0
    page = {"verify.html": b"<!doctype html>", "verify.py": b"#!/usr/bin/env python3\n"}
    yield "good_carried", make.files(carried=page), None, 0
    yield "good_carried_folder", {"folder": make.files(carried=page)}, None, 0
    yield "good_carried_script_only", make.files(carried={"verify.py": b"#"}), None, 0
    yield "good_carried_long", make.files(carried={"verify.html": b"x" * ((1 << 20) + 70_000)}), None, 0
    yield "carried_other_order", make.files(carried=dict(reversed(page.items()))), None, 1
    yield "carried_altered", with_file(make.files(carried=page), "verify.html", lambda data: data + b" "), None, 1
    yield "carried_twice", make.files(carried=page)[:3] + make.files(carried=page)[2:], None, 1
    yield "carried_missing", [file for file in make.files(carried=page) if file[0] != "verify.py"], None, 1
    without = [file for file in files if file[0] != "manifest.json"]
    yield "carried_not_listed", [without[0], ("verify.py", b"#"), *files[1:]], None, 1
    yield "carried_after_the_checkpoint", [*files[:2], ("verify.py", b"#"), *files[2:]], None, 1
    yield ("good_long_instructions",
           resealed_manifest(with_file(files, "VERIFY.md", lambda data: data * 60_000), make, 20), None, 0)
    yield "good_data_after_the_end", {"tar": tar + b"anything"}, None, 0
    for at in (0, 60, 80, 120, 170, 200, len(note.encode()) - 3, len(note.encode()) - 1):
        yield (f"flip_note_{at}",
               resealed_manifest(with_file(files, "checkpoint", lambda data, at=at: flipped(data, at)), make, 20), None, 1)
    yield "note_of_fewer", make.files(note=make.note(make.lines, 12)), None, 1
    yield "note_of_more", make.files(lines=make.lines[:12], note=note), None, 1
    yield "note_by_another_key", make.files(note=make.note(make.lines, key=make.other)), None, 1
    text = note.split("\n\n")[0] + "\n"
    for name, altered in {
        "extension_line": text + "extension\n\n" + make.key.sign(text + "extension\n"),
        "leading_zero": text.replace("\n20\n", "\n020\n") + "\n" + make.key.sign(text.replace("\n20\n", "\n020\n")),
        "other_origin": text.replace(LOG, LOG + "x") + "\n" + make.key.sign(text.replace(LOG, LOG + "x")),
        "no_signature": text + "\n", "no_gap": text, "empty": "", "carriage_returns": note.replace("\n", "\r\n"),
        "bad_signature_line": note + "\u2014 x y\n", "no_line_feed": note.rstrip("\n"),
        "signed_twice_once_wrong": note + note.split("\n\n")[1].replace(note.rstrip()[-8:-4], "AAAA"),
        "too_many_signatures": note + make.other.sign(text) * 100, "too_long": note + make.other.sign(text, "x" * 66_000),
    }.items():
        yield f"note_{name}", make.files(note=altered), None, 1
    yield ("good_note_cosigned",
           make.files(note=note + make.other.sign(text) + make.witness.cosign(text, 1)), make.key.line, 0)
    earlier = {size: make.note(make.lines, size) for size in (0, 1, 12, 20)}
    yield "good_earlier_notes", make.files(earlier=earlier), make.key.line, 0
    yield "earlier_note_of_another_size", make.files(earlier={12: make.note(make.lines, 13)}), None, 1
    yield "earlier_note_by_another_key", make.files(earlier={12: make.note(make.lines, 12, make.other)}), None, 1
    yield "earlier_note_beyond", make.files(lines=make.lines[:12], earlier={20: note}), None, 1
    for name, change in {
        "count": lambda it: it.update(records=21), "organisation": lambda it: it.update(organisation="Another"),
        "key": lambda it: it.update(verifier_key=make.other.line), "log": lambda it: it.update(log=LOG.replace("2", "3")),
        "format": lambda it: it.update(format="bulla-bundle-2"), "size": lambda it: it["files"][1].update(size=9),
        "digest": lambda it: it["files"][1].update(sha256="0" * 64), "records_digest": lambda it: it["files"][-1].update(sha256="0" * 64),
        "records_size": lambda it: it["files"][-1].update(size=1), "file_missing": lambda it: it["files"].pop(0),
        "file_added": lambda it: it["files"].append({"name": "x", "size": 0, "sha256": sha256().hex()}),
        "blobs_count": lambda it: it["blobs"].update(count=1), "blobs_digest": lambda it: it["blobs"].update(sha256="0" * 64),
        "more": lambda it: it.update(more=1), "created": lambda it: it.update(created="2026-11-23"),
        "negative": lambda it: it.update(records=-1), "no_digest": lambda it: it["files"][1].pop("sha256"),
        "listed_twice": lambda it: it["files"].append(it["files"][1]),
    }.items():
        manifest = json.loads(files[-1][1])
        change(manifest)
        yield f"manifest_{name}", [*files[:-1], ("manifest.json", pretty(manifest).encode())], None, 1
    yield ("manifest_other_order",
           [*files[:-1], ("manifest.json", pretty(dict(reversed(json.loads(files[-1][1]).items()))).encode())], None, 1)
    yield "manifest_on_one_line", [*files[:-1], ("manifest.json", canonical(json.loads(files[-1][1])))], None, 1
    backwards = {**json.loads(files[-1][1]), "files": json.loads(files[-1][1])["files"][::-1]}
    yield "manifest_files_in_another_order", [*files[:-1], ("manifest.json", pretty(backwards).encode())], None, 1
    for name in ("checkpoint", "records.jsonl", "manifest.json", "VERIFY.md"):
        yield f"without_{name}", [file for file in files if file[0] != name], None, 1
        yield f"twice_{name}", [copy for file in files for copy in [file] * (1 + (file[0] == name))], None, 1
    yield "out_of_order", [files[0], files[2], files[1], files[3]], None, 1
    yield "manifest_first", [files[-1], *files[:-1]], None, 1
    yield "altered_instructions", with_file(files, "VERIFY.md", lambda data: data + b"Trust us.\n"), None, 1
    yield ("checkpoint_not_utf8",
           resealed_manifest(with_file(files, "checkpoint", lambda data: data + b"\xff"), make, 20), None, 1)
    yield ("small_file_too_long",
           resealed_manifest(with_file(files, "checkpoint", lambda data: data + b"x" * (1 << 20)), make, 20), None, 1)
    for cut in (100, 512, 600, 1024, 2000, len(tar) // 2, len(tar) - 1100):
        yield f"tar_cut_{cut}", {"tar": tar[:cut]}, None, 1 if cut > 512 else None
    # Behind the zero of a number in a header, nothing is read.
    loose = bytearray(tar)
    loose[155] = 0x22
    yield "good_tar_loose_number", {"tar": bytes(loose)}, None, 0
    yield "tar_header_damaged", {"tar": flipped(tar, 1024 + 3)}, None, 1
    yield "tar_first_header_damaged", {"tar": flipped(tar, 3)}, None, 2
    yield "no_tar", {"tar": b"nothing of the kind " * 200}, None, 2
    yield "empty_file", {"tar": b""}, None, 2
    yield "missing_file", {"missing": True}, None, 2


def trust_cases(make):
    """What the reader trusts."""
    files, note = make.files(), make.note(make.lines)
    elsewhere = Key(make.key.scratch, "elsewhere", 7)
    for name, trust, expected in (
        ("key", make.key.line, 0), ("everything", make.trust, 0), ("crlf", make.trust.replace("\n", "\r\n"), 0),
        ("another_key", make.other.line, 1), ("key_of_another_log", elsewhere.line, 1),
        ("note", note, 0),
        ("earlier_note", make.note(make.lines, 12), 0),
        ("empty_log_note", make.note(make.lines, 0), 0),
        ("note_ahead", make.note(seal([*events_of(make.key), started()])), 1),
        ("note_by_another_key", make.note(make.lines, 12, make.other), 1),
        ("note_of_another_log", f"elsewhere\n3\n{b64(ZERO)}\n\n{elsewhere.sign('x')}", 1),
        ("roots_only", make.authority.root, 0), ("witness_only", make.witness.line, 0),
        ("nonsense", make.key.line + "\nnonsense\n", 2), ("altered_key", make.key.line + "x", 2), ("empty", "", 2),
        ("comment_only", "# nothing\n", 2), ("policy_without_root", f"{make.key.line}\npolicy 1.2.3\n", 2),
        ("bad_policy", f"{make.key.line}\n{make.authority.root}policy 1.x\n", 2), ("bad_certificate",
         make.key.line + "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 2),
        ("unended_certificate", make.key.line + "\n" + make.authority.root.replace("-----END CERTIFICATE-----", ""), 2),
        ("not_utf8", b"\xff\xfe", 2), ("two_keys", make.other.line + "\n" + make.key.line, 0),
    ):
        yield f"trust_{name}", files, trust, expected
    other = [opened(make.other), *events_of(make.key)[1:]]
    yield "trust_first_record_names_another", make.files(lines=seal(other)), make.key.line, 1
    yield "trust_note_and_break", make.broken(joined(make.lines[:5] + make.lines[6:])), make.note(make.lines, 12), 1


def content_cases(make):
    """Sealed content beside the records."""
    two = {**blobs_of(1), **blobs_of(2)}
    names = list(two)
    yield "good_content", make.files(blobs=two), None, 0
    yield ("good_content_of_all",
           make.files(blobs={name: data for n in range(1, 10) for name, data in blobs_of(n).items()}), None, 0)
    yield "good_content_without_prompt", make.files(blobs={name: two[name] for name in names[1:3]}), None, 0
    for at, name in enumerate(names):
        yield f"content_altered_{at}", make.files(blobs={**two, name: flipped(two[name], len(two[name]) - 5)}), None, 1
        yield (f"content_commitment_{at}",
               make.files(blobs={**two, name: two[name].replace(b" ", b" ", 1)[:60] + b"0" + two[name][61:]}), None, 1)
    yield "content_changed_places", make.files(blobs={**two, names[0]: two[names[3]], names[3]: two[names[0]]}), None, 1
    yield ("content_without_a_window",
           make.files(blobs={name: data for name, data in two.items() if name != names[1]}), None, 1)
    yield ("content_without_last_window",
           make.files(blobs={name: data for name, data in two.items() if name != names[2]}), None, 1)
    yield "content_with_a_window_more", make.files(blobs={**two, names[2][:-1] + "2": two[names[2]]}), None, 1
    yield "content_of_no_record", make.files(blobs={**two, **blobs_of(77)}), None, 1
    yield "content_not_sealed", make.files(blobs={**two, names[0]: b"plain text"}), None, 1
    yield "content_bad_head", make.files(blobs={**two, names[0]: two[names[0]].replace(b"kek_", b"key_")}), None, 1
    edited = joined([*make.lines[:3], make.lines[3].replace(b"Example", b"Exbmple"), *make.lines[4:]])
    plain = {f"blobs/{exchange_of(n)}/prompt": b"plain text" for n in range(100, 125)}
    yield "content_faults_before_an_edit", make.files(records=edited, note=make.note(make.lines), blobs=plain), None, 1
    unlisted = [file for file in make.files(blobs=two) if file[0] != names[0]]
    yield "content_omitted", unlisted, None, 1
    yield "content_other_spelling", make.files(blobs={**two, names[0].replace("prompt", "window-0"): b""}), None, None


CLAIM = b"all that was not disposed of\n"
CONVERSATION, OTHER_CONVERSATION = "cnv_" + "6" * 32, "cnv_" + "7" * 32
ALL = ["prompts", "answers", "surrogates"]


def gone(classes=("prompts", "answers", "surrogates"), **scope):
    return {"kind": "content.disposed", "actor": ACTOR, "classes": list(classes), "authority": "schedule (synthetic)",
            "reason": "retention", "count": 1, "held": 0, **scope}


def hold(name="matter-7", **unit):
    return {"kind": "hold.placed", "actor": ACTOR, "hold": name, "authority": "Example Court (synthetic)", **unit}


def released(name="matter-7"):
    return {"kind": "hold.released", "actor": ACTOR, "hold": name, "authority": "Example Court (synthetic)"}


def of_document(what, **more):
    event = {"kind": f"agreement.{what}", "actor": ACTOR, "agreement": "baa-example", "sha256": "0" * 64, **more}
    return {name: value for name, value in event.items() if value is not None}


def filed(**more):
    return of_document("filed", **{"size": 84_210, "signatories": ["Ada Example"], "signed": "2026-01-05", **more})


def offboarded(**more):
    return {"kind": "tenant.offboarded", "actor": ACTOR, "authority": "end of agreement", "sha256": "0" * 64, **more}


def disposal_cases(make):
    """What was disposed of, what was held, and the claim that all other content is here."""
    units = {1: {"key_day": "2026-11-20"}, 2: {"key_day": "2026-11-21", "conversation": CONVERSATION}, 3: {"key_day": "2026-11-22"}}
    begin = [opened(make.key)]
    for n, unit in units.items():
        begin += [intent(n, **unit), outcome(n, len(begin), **unit)]
    all_blobs = {name: data for n in units for name, data in blobs_of(n).items()}
    only = lambda *kept, parts=("prompt", "window"): {
        name: data for name, data in all_blobs.items()
        if name.split("/")[1] in map(exchange_of, kept) and name.split("/")[2].startswith(parts)}
    one, two, three = (exchange_of(n) for n in (1, 2, 3))

    def log(*more, blobs=all_blobs, claim=CLAIM, first=begin):
        return make.files(lines=seal([*first, *more]), blobs=blobs, claim=claim)

    for name, files, expected in (
        ("good_all", log(), 0),
        ("good_claim_of_nothing", make.files(lines=seal([opened(make.key), started()]), claim=CLAIM), 0),
        ("prompt_absent", log(blobs={name: data for name, data in all_blobs.items() if name != f"blobs/{one}/prompt"}), 1),
        ("answer_absent", log(blobs={**only(1, 3), **only(2, parts=("prompt",))}), 1),
        ("all_absent", log(blobs={}), 1), ("good_absent_without_claim", log(blobs={}, claim=None), 0),
        ("good_disposed_without_claim", log(gone(exchange=one), blobs=only(2, 3), claim=None), 0),
        ("good_exchange", log(gone(exchange=one), blobs=only(2, 3)), 0),
        ("good_conversation", log(gone(conversation=CONVERSATION), blobs=only(1, 3)), 0),
        ("exchange_that_is_of_a_conversation", log(gone(exchange=two), blobs=only(1, 3)), 1),
        ("other_conversation", log(gone(conversation=OTHER_CONVERSATION), blobs=only(1, 3)), 1),
        ("other_exchange", log(gone(exchange=three), blobs=only(2, 3)), 1),
        ("prompts_only", log(gone(["prompts"], exchange=one), blobs=only(2, 3)), 1),
        ("good_prompts_only", log(gone(["prompts"], exchange=one), blobs={**only(2, 3), **only(1, parts=("window",))}), 0),
        ("good_prompts_then_answers", log(gone(["prompts"], exchange=one), gone(["answers"], exchange=one), blobs=only(2, 3)), 0),
        ("surrogates_only", log(gone(["surrogates"], exchange=one), blobs=only(2, 3)), 1),
        ("no_classes", log(gone([], exchange=one), blobs=only(2, 3)), 1),
        ("good_before", log(gone(before="2026-11-22"), blobs=only(3)), 0),
        ("good_before_twice", log(gone(before="2026-11-21"), gone(before="2026-11-23"), blobs={}), 0),
        ("good_before_twice_backwards", log(gone(before="2026-11-23"), gone(before="2026-11-21"), blobs={}), 0),
        ("good_before_by_class", log(gone(["answers"], before="2026-11-21"), gone(["prompts"], before="2026-11-22"),
                                     gone(before="2026-11-23"), blobs={}), 0),
        ("before_the_same_day", log(gone(before="2026-11-22"), blobs={}), 1),
        ("before_without_a_day", log(gone(before="2026-12-01"), blobs={}, first=events_of(make.key)[:4]), 1),
        ("good_unit_and_day", log(gone(before="2026-11-22"), gone(exchange=one), gone(before="2026-11-23"), blobs={}), 0),
        ("good_unit_before_day", log(gone(exchange=one), gone(before="2026-11-23"), blobs={}), 0),
        ("good_offboarded", log(offboarded(), blobs={}), 0),
        ("good_offboarded_twice", log(offboarded(), offboarded(), blobs={}), 0),
        ("good_offboarded_after_a_disposal", log(gone(exchange=one), offboarded(), blobs={}), 0),
        ("good_disposed_and_still_here", log(gone(exchange=one)), 0),
        ("disposed_beforehand", log(blobs=only(2, 3), first=[opened(make.key), gone(exchange=one), intent(1), outcome(1, 2)]
                                         + [intent(2), outcome(2, 4)] + [intent(3), outcome(3, 6)]), 1),
        ("other_text", log(claim=b"all that was not disposed of"), 1), ("empty_text", log(claim=b""), 1),
        ("text_not_utf8", log(claim=CLAIM + b"\xff"), 1),
        ("other_text_and_absent", log(blobs={}, claim=b"everything\n"), 1),
        ("after_the_content", [*log(claim=None)[:2], *log(claim=None)[2:-2], ("content", CLAIM), *log(claim=None)[-2:]], 1),
        ("twice", log()[:3] + log()[2:], 1),
        ("not_listed", [file for file in log() if file[0] != "content"], 1),
        ("absent_and_a_break", make.files(records=joined(make.lines[:5] + make.lines[6:]), note=make.note(make.lines), claim=CLAIM), 1),
        ("outcome_without_intent_absent", make.files(lines=seal([opened(make.key), {
            name: value for name, value in outcome(1, 1).items() if name not in ("intent", "reply")}]), claim=CLAIM), 1),
        ("good_answer_of_no_windows", make.files(lines=seal([opened(make.key), intent(1), outcome(1, 1, reply={
            "windows": 0, "digest": sha256().hex(), "bytes": 0, "restored": 0, "unknown": 0})]), blobs=only(1, parts=("prompt",)),
            claim=CLAIM), 0),
        ("windows_of_an_answer_of_none", make.files(lines=seal([opened(make.key), intent(1), outcome(1, 1, reply={
            "windows": 0, "digest": sha256().hex(), "bytes": 0, "restored": 0, "unknown": 0})]), blobs=only(1)), 1),
        ("good_more_disposals_than_are_told", log(*[gone(exchange=exchange_of(n)) for n in range(100, 10_103)],
                                                  gone(exchange=one), blobs=only(2, 3)), 0),
    ):
        yield f"claim_{name}", files, None, expected
    yield from digest_cases(make)
    bare = lambda *more: make.files(lines=seal([*begin, *more]))
    for name, files, expected in (
        ("good_placed_and_released", bare(hold(), released()), 0),
        ("good_in_force", bare(hold(exchange=one), hold("b")), 0),
        ("placed_twice", bare(hold(), hold(exchange=one)), 1),
        ("good_placed_anew", bare(hold(), released(), hold()), 0),
        ("released_twice", bare(hold(), released(), released()), 1),
        ("released_and_never_placed", bare(released("none")), 1),
        ("of_everything", bare(hold(), gone(exchange=one)), 1),
        ("of_everything_and_a_day", bare(hold(), gone(before="2026-11-21")), 1),
        ("of_the_exchange", bare(hold(exchange=one), gone(exchange=one)), 1),
        ("of_the_conversation", bare(hold(conversation=CONVERSATION), gone(conversation=CONVERSATION)), 1),
        ("good_of_another_exchange", bare(hold(exchange=three), gone(exchange=one)), 0),
        ("good_of_an_exchange_and_a_day", bare(hold(exchange=one), gone(before="2026-11-20")), 0),
        ("good_of_an_exchange_and_a_document", bare(hold(exchange=one), of_document("disposed", authority="schedule")), 0),
        ("of_everything_and_a_document", bare(hold("b"), hold("a"), of_document("disposed", authority="schedule")), 1),
        ("good_document_after", bare(hold(), released(), of_document("disposed", authority="schedule")), 0),
        ("good_released_before", bare(hold(), released(), gone(exchange=one)), 0),
        ("placed_anew_covers_another", bare(hold(exchange=one), hold(exchange=three), gone(exchange=one), gone(exchange=three)), 1),
        ("one_of_two_released", bare(hold("a"), hold("b"), released("a"), gone(exchange=one)), 1),
        ("offboarded", bare(hold(exchange=three), offboarded()), 1),
        ("good_offboarded_after", bare(hold(), released(), offboarded()), 0),
        ("fault_and_absent", log(hold(), gone(exchange=one), blobs=only(2)), 1),
    ):
        yield f"hold_{name}", files, None, expected
    rotated = {"kind": "key.rotated", "actor": ACTOR, "level": "organisation", "former": "a", "current": "b"}
    for name, event, expected in (
        ("good_rotated", rotated, 0), ("good_decision", gone(exchange=one, sha256="0" * 64), 0),
        ("good_leap_day", gone(before="2024-02-29"), 0), ("day_to_come", gone(before="9998-12-31"), 1),
        ("of_two_things", gone(exchange=one, conversation=CONVERSATION), 1),
        ("of_a_unit_and_a_day", gone(exchange=one, before="2026-11-22"), 1),
        ("of_nothing", gone(), 1), ("class_twice", gone(["prompts", "prompts"], exchange=one), 1),
        ("class_unknown", gone(["prompt"], exchange=one), 1), ("class_in_capitals", gone(["Prompts"], exchange=one), 1),
        ("no_leap_day", gone(before="2026-02-29"), 1), ("day_beyond", gone(before="9999-01-01"), 1),
        ("day_with_a_time", gone(before="2026-11-22T00:00:00.000000Z"), 1), ("short_day", gone(before="2026-11-2"), 1),
        ("day_as_a_number", gone(before=20_000), 1), ("held_below_zero", gone(exchange=one, held=-1), 1),
        ("decision_of_another_length", gone(exchange=one, sha256="0" * 63), 1),
        ("without_authority", {name: value for name, value in gone(exchange=one).items() if name != "authority"}, 1),
        ("hold_of_two_things", hold(exchange=one, conversation=CONVERSATION), 1),
        ("hold_of_a_day", hold(before="2026-11-22"), 1),
        ("released_with_a_unit", {**released("none"), "exchange": one}, 1),
        ("rotated_to_a_number", {**rotated, "current": 1}, 1),
        ("good_streamed", {"kind": "audit.streamed", "actor": ACTOR, "from": 3}, 0),
        ("good_streamed_to_an_end", {"kind": "audit.streamed", "actor": ACTOR, "from": 0, "size": 9}, 0),
        ("streamed_from_a_text", {"kind": "audit.streamed", "actor": ACTOR, "from": "3"}, 1),
        ("streamed_from_nowhere", {"kind": "audit.streamed", "actor": ACTOR, "size": 9}, 1),
        ("good_filed", filed(), 0), ("good_filed_by_two", filed(signatories=["Ada Example", "Blaise Sample"]), 0),
        ("filed_by_nobody", filed(signatories=[]), 1), ("filed_by_a_text", filed(signatories="Ada Example"), 1),
        ("filed_by_a_number", filed(signatories=[1]), 1), ("filed_at_a_time", filed(signed="2026-01-05T00:00:00.000000Z"), 1),
        ("filed_with_an_authority", filed(authority="schedule"), 1),
        ("good_document_read", of_document("read"), 0), ("document_read_by_nobody", of_document("read", actor=None), 1),
        ("good_document", of_document("disposed", authority="schedule (synthetic)"), 0),
        ("document_without_authority", of_document("disposed"), 1),
        ("good_feed", {"kind": "feed.failing", "feed": "siem", "reason": "unreachable"}, 0),
        ("good_copy", {"kind": "copy.failing", "copy": "worm", "reason": "not_locked"}, 0),
        ("copy_of_a_number", {"kind": "copy.failing", "copy": 1, "reason": "not_locked"}, 1),
        ("good_selftest", {"kind": "selftest.passed", "count": 24}, 0),
        ("good_selftest_of_routes", {"kind": "selftest.passed", "count": 24, "policy": "0" * 64}, 0),
        ("selftest_of_nothing", {"kind": "selftest.passed", "policy": "0" * 64}, 1),
        ("good_selftest_failed", {"kind": "selftest.failed", "reason": "detector"}, 0),
        ("good_selftest_failed_on_a_route", {"kind": "selftest.failed", "reason": "restore", "route": "assistant",
                                             "api": "messages", "policy": "0" * 64}, 0),
        ("selftest_failed_by_somebody", {"kind": "selftest.failed", "reason": "detector", "actor": ACTOR}, 1),
        ("selftest_failed_under_no_digest", {"kind": "selftest.failed", "reason": "detector", "policy": "0"}, 1),
        ("good_mismatch", {"kind": "cache.mismatch", "reason": "sealed", "route": "assistant"}, 0),
        ("mismatch_without_a_route", {"kind": "cache.mismatch", "reason": "sealed"}, 1),
        ("good_batch_file", {"kind": "batch.file", "batch": "bat_" + "0" * 32, "destination": "cloud", "outcome": "sent",
                             "count": 4, "sha256": "0" * 64}, 0),
        ("good_batch_file_deleted", {"kind": "batch.file", "batch": "bat_" + "0" * 32, "destination": "cloud",
                                     "outcome": "deleted", "file": "file-1"}, 0),
        ("batch_file_of_no_batch", {"kind": "batch.file", "batch": "bat_0", "destination": "cloud", "outcome": "sent"}, 1),
        ("batch_file_with_an_actor", {"kind": "batch.file", "batch": "bat_" + "0" * 32, "destination": "cloud",
                                      "outcome": "sent", "actor": ACTOR}, 1),
        ("good_denied", {"kind": "access.denied", "actor": ACTOR, "reason": "role_not_allowed", "count": 3}, 0),
        ("denied_without_an_actor", {"kind": "access.denied", "reason": "role_not_allowed", "count": 3}, 1),
        ("good_tiles", {"kind": "audit.tiles", "actor": ACTOR, "size": 9}, 0),
        ("tiles_from", {"kind": "audit.tiles", "actor": ACTOR, "size": 9, "from": 0}, 1),
        ("good_searched", {"kind": "audit.searched", "actor": ACTOR, "filters": ["owner", "since"], "count": 2}, 0),
        ("good_searched_for_anything", {"kind": "audit.searched", "actor": ACTOR, "filters": [], "count": 2}, 0),
        ("searched_by_a_number", {"kind": "audit.searched", "actor": ACTOR, "filters": [1], "count": 2}, 1),
        ("searched_by_a_text", {"kind": "audit.searched", "actor": ACTOR, "filters": "owner", "count": 2}, 1),
        ("good_reported", {"kind": "activity.reported", "actor": ACTOR, "from": 0, "size": 9, "sha256": "0" * 64}, 0),
        ("reported_by_no_digest", {"kind": "activity.reported", "actor": ACTOR, "from": 0, "size": 9, "sha256": "0"}, 1),
        ("good_reviewed", {"kind": "activity.reviewed", "actor": ACTOR, "reviewer": "Example Reviewer (synthetic)", "from": 0,
                           "size": 9, "sha256": "0" * 64}, 0),
        ("good_reviewed_with_a_remark", {"kind": "activity.reviewed", "actor": ACTOR, "reviewer": "Example Reviewer (synthetic)",
                                         "from": 0, "size": 9, "sha256": "0" * 64, "reason": "nothing unusual"}, 0),
        ("reviewed_by_nobody", {"kind": "activity.reviewed", "actor": ACTOR, "from": 0, "size": 9, "sha256": "0" * 64}, 1),
        ("good_overdue", {"kind": "review.overdue", "expires": "2026-11-22T00:00:00.000000Z", "days": 30}, 0),
        ("overdue_with_an_actor", {"kind": "review.overdue", "expires": "2026-11-22T00:00:00.000000Z", "days": 30, "actor": ACTOR}, 1),
        ("good_patient", intent(4, patient="a" * 64), 0), ("patient_in_the_clear", intent(4, patient="MRN 1 (synthetic)"), 1),
        ("feed_with_an_actor", {"kind": "feed.failing", "feed": "siem", "reason": "unreachable", "actor": ACTOR}, 1),
        ("rotated_as_before", {"kind": "key.rotated", "actor": ACTOR, "level": "organisation", "from": "a", "to": "b"}, 1),
        ("offboarded_without_archive", {name: value for name, value in offboarded().items() if name != "sha256"}, 1),
        ("key_day_with_a_time", intent(4, key_day="2026-11-22T09"), 1),
        ("key_day_of_no_month", intent(4, key_day="2026-13-01"), 1),
        ("key_day_elsewhere", started(key_day="2026-11-22"), 1),
    ):
        yield f"disposed_{name}", bare(event, started()), None, expected


def digests_of(n, part):
    """What stands where content would when none is kept: lengths, and digests under a wrapped key."""
    names = ("written", "left") if part == "prompt" else ("received", "delivered")
    texts = {name: {"bytes": 100 + n, "hmac": sha256(f"{n} {part} {name}".encode()).hex()} for name in names}
    sealed = b"bulla-digests-1\n" + sha256(b"key")[:30] * 2 + json.dumps(texts, separators=(",", ":")).encode()
    head, _, _ = blob(n, part).partition(b"\n")
    return head + b"\n" + sealed


def digest_cases(make):
    """A log of an organisation that kept content at first and digests from then on."""
    parts = ("prompt", "window-000000", "window-000001")
    day = {"key_day": "2026-11-20"}
    kept = {name: data for name, data in blobs_of(1).items()}
    digests = {f"blobs/{exchange_of(2)}/{part}": digests_of(2, part) for part in parts}
    prompt, *windows = [blob_digest(data) for data in digests.values()]
    prompt = {"prompt": prompt.hex(), **day}
    reply = {"windows": 2, "digest": sha256(*windows).hex(), "bytes": 120, "restored": 2, "unknown": 0}
    first = [opened(make.key), intent(1, **day), outcome(1, 1, **day),
             intent(2, **prompt), outcome(2, 3, reply=reply, **prompt)]
    all_blobs, names = {**kept, **digests}, list(digests)
    log = lambda blobs, *more: make.files(lines=seal([*first, *more]), blobs=blobs, claim=CLAIM)
    without = lambda *absent: {name: data for name, data in all_blobs.items() if name not in absent}
    unkept = {f"blobs/{exchange_of(1)}/prompt": digests_of(1, "prompt")}
    for name, files, expected in (
        ("good_all", log(all_blobs), 0),
        ("good_disposed", log(kept, gone(exchange=exchange_of(2))), 0),
        ("good_disposed_before", log({}, gone(before="2026-11-21")), 0),
        ("prompt_absent", log(without(names[0])), 1), ("answer_absent", log(without(*names[1:])), 1),
        ("window_absent", log(without(names[2])), 1), ("absent", log(kept), 1),
        ("in_place_of_content", log({**all_blobs, **unkept}), 1),
        ("nothing_in_place_of_content", log({**all_blobs, next(iter(kept)): b"\n".join(
            [next(iter(kept.values())).partition(b"\n")[0], b""])}), 1),
        ("of_another_exchange", log({**all_blobs, names[0]: digests_of(3, "prompt")}), 1),
        ("altered", log({**all_blobs, names[0]: flipped(digests[names[0]], len(digests[names[0]]) - 5)}), 1),
        ("cut", log({**all_blobs, names[1]: digests[names[1]][:-1]}), 1),
        ("content_in_their_place", log({**all_blobs, names[0]: blob(2, "prompt")}), 1),
    ):
        yield f"digests_{name}", files, None, expected


def pruned(lines, size, **other):
    """The record that the first of these lines were pruned."""
    return {"kind": "records.pruned", "actor": ACTOR, "size": size, "root": root_of(leaves_of(lines[:size])).hex(),
            "authority": "retention schedule", **other}


def without(make, lines, size, kept=None, hashes=None, count=None, **other):
    """A bundle of a log of which the records before `size` but the first are not here."""
    kept = [lines[0], *lines[size:]] if kept is None else kept
    hashes = b"".join(leaves_of(lines[:size])) if hashes is None else hashes
    note = other.pop("note", None) or make.note(lines)
    count = len(hashes) // 32 + len(kept) - 1 if count is None else count
    return make.files(lines=kept, note=note, pruned=hashes, count=count, **other)


def pruned_cases(make):
    """Records that are not here, and the record that says that they were pruned."""
    events, old = events_of(make.key), make.lines
    after = lambda *more: seal([*events, *more])
    log = lambda size, **other: after(pruned(old, size, **other), started())
    yield "good_pruned_2", without(make, log(2), 2), None, 0
    yield "good_pruned_12", without(make, log(12), 12), make.key.line, 0
    yield "good_pruned_all_before", without(make, log(20), 20), None, 0
    yield "good_pruned_and_all_here", make.files(lines=log(12)), None, 0
    yield "good_pruned_less_than_said", without(make, log(12), 4), None, 0
    yield "good_pruned_twice", without(make, after(pruned(old, 4), pruned(old, 12)), 12), None, 0
    yield "good_pruned_twice_backwards", without(make, after(pruned(old, 12), pruned(old, 4)), 12), None, 0
    for name, left in ("too_early", 1), ("in_time", 0):
        when = stamp_text(START + timedelta(days=2192) - timedelta(microseconds=left))
        yield f"good_pruned_{name}", without(make, after(pruned(old, 4, time=when), started(time=when)), 4), None, 0
    yield "good_pruned_with_a_decision", without(make, log(4, sha256="0" * 64), 4), None, 0
    notes = {size: make.note(old, size) for size in (1, 3, 12, 20)}
    yield "good_pruned_earlier", without(make, log(12), 12, earlier=notes), None, 0
    yield "good_pruned_earlier_trusted", without(make, log(12), 12), make.note(old, 7), 0
    yield "pruned_earlier_forged", without(make, log(12), 12), make.note(seal([events[0], *events[2:]]), 7), 1
    anchors, archive = make.anchor(notes[12], 12), {"example": make.authority.root}
    yield ("good_pruned_anchored", without(make, log(12), 12, earlier={12: notes[12]}, anchors=anchors, archive=archive),
           make.trust, 0)
    kept = {name: data for n in range(6, 10) for name, data in blobs_of(n).items()}
    yield "good_pruned_content", without(make, log(12), 12, blobs=kept, claim=CLAIM), None, 0
    yield "pruned_content_of_what_is_pruned", without(make, log(12), 12, blobs={**blobs_of(1), **kept}), None, 1
    yield "pruned_content_absent", without(make, log(12), 12, blobs=blobs_of(6), claim=CLAIM), None, 1
    yield "pruned_by_nobody", without(make, after(started()), 12), None, 1
    yield "pruned_more_than_said", without(make, log(4), 12), None, 1
    yield "pruned_another_root", without(make, log(12, root="0" * 64), 12), None, 1
    yield "pruned_nothing", without(make, log(1), 12), None, 1
    yield "pruned_what_is_to_come", without(make, log(21), 12), None, 1
    yield "pruned_under_a_hold", without(make, after(hold(exchange=exchange_of(9)), pruned(old, 4)), 4), None, 1
    yield "good_pruned_after_a_hold", without(make, after(hold(), released(), pruned(old, 4)), 4), None, 0
    yield "pruned_through_an_exchange", without(make, log(3), 3), None, 1
    lines, hashes = log(12), b"".join(leaves_of(log(12)[:12]))
    for at in (0, 5, 31, 32, 200, 11 * 32, 12 * 32 - 1):
        yield f"pruned_flip_{at}", without(make, lines, 12, hashes=flipped(hashes, at)), None, 1
    yield "pruned_no_hashes", without(make, lines, 12, hashes=b"", count=10), None, 1
    yield "pruned_one_hash", without(make, old, 1), None, 1
    yield "pruned_half_a_hash", without(make, lines, 12, hashes=hashes + bytes(16)), None, 1
    yield "pruned_one_hash_more", without(make, lines, 12, hashes=hashes + ZERO), None, 1
    yield "pruned_one_hash_less", without(make, lines, 12, hashes=hashes[:-32]), None, 1
    yield "pruned_hashes_swapped", without(make, lines, 12, hashes=hashes[:32] + hashes[64:96] + hashes[32:64] + hashes[96:]), None, 1
    yield "pruned_opening_too", without(make, lines, 12, kept=lines[12:]), None, 1
    yield "pruned_other_opening", without(make, lines, 12, kept=[old[1], *lines[12:]]), None, 1
    yield "pruned_edited_opening", without(make, lines, 12, kept=[old[0].replace(b"Example", b"Exbmple"), *lines[12:]]), None, 1
    yield "pruned_everything_too", without(make, lines, 12, kept=[]), None, 1
    yield "pruned_opening_alone", without(make, lines, 12, kept=lines[:1]), None, 1
    yield "pruned_and_one_deleted", without(make, lines, 12, kept=[lines[0], *lines[13:]]), None, 1
    yield "pruned_and_one_repeated", without(make, lines, 12, kept=[lines[0], lines[12], *lines[12:]]), None, 1
    yield "pruned_and_one_still_here", without(make, lines, 12, kept=[lines[0], *lines[11:]]), None, 1
    yield "pruned_and_edited", without(make, lines, 12, kept=[
        lines[0], lines[12].replace(b"Example", b"Exbmple"), *lines[13:]]), None, 1
    good = without(make, lines, 12)
    yield "pruned_not_listed", resealed_manifest([file for file in good if file[0] != "pruned"], make, 22), None, 1
    yield "pruned_after_the_records", [*good[:-3], good[-2], good[-3], good[-1]], None, 1
    yield "pruned_count_of_lines", without(make, lines, 12, count=11), None, 1
    bare = lambda event: make.files(lines=seal([*events, event, started()]))
    for name, event, expected in (
        ("good", pruned(old, 4), 0), ("root_in_capitals", pruned(old, 4, root="A" * 64), 1),
        ("root_short", pruned(old, 4, root="0" * 63), 1), ("size_as_a_text", {**pruned(old, 4), "size": "4"}, 1),
        ("reason", pruned(old, 4, reason="retention"), 1),
        ("without_root", {name: value for name, value in pruned(old, 4).items() if name != "root"}, 1),
    ):
        yield f"pruned_form_{name}", bare(event), None, expected


def anchor_cases(make):
    """Stamps, witnesses, and the times of records."""
    note, key, authority, trust = make.note(make.lines), make.key, make.authority, make.trust
    good = make.anchor(note, 20)
    archive = {"example": authority.root}
    names = list(good)
    put = lambda anchors, **more: make.files(anchors=anchors, archive=archive, **more)
    yield "good_anchor", put(good), trust, 0
    yield "good_anchor_policy", put(good), trust + "policy 1.3.6.1.4.1.99999.1\n", 0
    yield "anchor_other_policy", put(good), trust + "policy 1.3.6.1.4.1.99999.2\n", 1
    yield "good_anchor_no_trust", put(good), None, 0
    yield "good_anchor_other_root", put(good), make.key.line + "\n" + make.stranger.root, 0
    earlier = make.note(make.lines, 12)
    yield "good_anchor_of_earlier", put(make.anchor(earlier, 12), earlier={12: earlier}), trust, 0
    yield "anchor_of_absent_note", put(make.anchor(earlier, 12)), trust, 1
    for name, change in {
        "other_index": {"index": 0}, "other_path": {"proof": [ZERO, ZERO]}, "longer_path": {"proof": [ZERO] * 129},
        "other_root": {"text": note_text(ORIGIN, 3, ZERO)}, "forged_signature": {"key": Key(key.scratch, ORIGIN, 7)},
        "stamp_over_something_else": {"stamped": "something else"}, "imprint_sha1": {"digest": "sha1"},
        "other_cosignature": {"cosignatures": make.witness.cosign("something else", 5)},
        "cosignature_of_no_time": {"cosignatures": make.witness.cosign(note_text(ORIGIN, 3, ZERO), 0)},
        "garbage_cosignature": {"cosignatures": "\u2014 x y\n"},
        "other_deployment": {"text": note_text("bulla/dep_" + "9" * 32, 3, ZERO)},
    }.items():
        yield f"anchor_{name}", put(make.anchor(note, 20, **change)), trust, 1
    yield "good_anchor_imprint_sha512", put(make.anchor(note, 20, digest="sha512")), trust, 0
    yield "anchor_garbage_token", put({**good, names[3]: b"garbage"}), trust, 1
    token = good[names[3]]
    # Of the unsigned list of digests, which means nothing.
    yield "good_anchor_flip_token_40", put({**good, names[3]: flipped(token, 40, 1)}), trust, 0
    # The name of the algorithm stands beside what is signed; the last one is that of the token's own signature.
    algorithm = token.rindex(bytes.fromhex("06082a8648ce3d040302")) + 3
    yield "anchor_flip_signature_algorithm", put({**good, names[3]: flipped(token, algorithm, 1)}), trust, 1
    for at in (4, 120, 200, 300, 500, -20, -1):
        yield f"anchor_flip_token_{at}", put({**good, names[3]: flipped(token, at % len(token), 1)}), trust, 1
    yield "anchor_token_with_a_tail", put({**good, names[3]: good[names[3]] + b"x"}), trust, 1
    yield "anchor_without_checkpoint", put({name: good[name] for name in names[1:]}), trust, 1
    yield "anchor_without_inclusion", put({name: good[name] for name in names if "inclusion" not in name}), trust, 1
    yield "good_anchor_without_stamp", put({name: good[name] for name in names[:3]}), trust, 0
    yield "anchor_renamed", put({name.replace("03.", "04."): data for name, data in good.items()}), trust, 1
    yield "anchor_swapped_tokens", put({**good, names[3]: make.anchor(earlier, 12)[names[3]]}), trust, 1
    yield "good_anchor_two_tokens", put(make.anchor(note, 20, tokens=("example", "second"))), trust, 0
    yield ("good_anchor_odd_archive",
           make.files(anchors=good, archive={"example": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}), trust, 0)
    # A certificate that has ended since is no reason to doubt a stamp of its time, nor is one that leads nowhere.
    ended = authority.ended_certificate()
    yield "good_anchor_ended_archive", make.files(anchors=good, archive={"example": ended + authority.root}), trust, 0
    yield ("anchor_unreadable_list",
           make.files(anchors=good, archive={"example": "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"}), trust, 1)
    now = datetime.now(timezone.utc)
    tomorrow, last_week = stamp_text(now + timedelta(days=1)), stamp_text(now - timedelta(days=7))
    now = stamp_text(now)

    def dated(events, times, covered, trusted=trust, tokens=None):
        lines = seal(events, times=times)
        covering = make.note(lines, covered)
        anchors = tokens or make.anchor(covering, covered)
        before = {covered: covering} if covered < len(lines) else {}
        return make.files(lines=lines, anchors=anchors, earlier=before), trusted

    yield "dated_after_its_stamp", *dated([opened(key), started(), started()], [now, tomorrow, tomorrow], 2), 1
    yield ("good_dated_after_no_trust",
           *dated([opened(key), started(), started()], [now, tomorrow, tomorrow], 2, None), 0)
    yield "good_written_anew_and_stamped_late", *dated([opened(key), started()], [last_week, last_week], 2), 0
    two = seal([opened(key), started()], times=[now, now])
    anchors = make.anchor(make.note(two), 2)
    token = anchors[names[3]]
    said = subprocess.run(["openssl", "ts", "-reply", "-token_in", "-in", "/dev/stdin", "-text"], input=token, capture_output=True, check=True)
    said = next(line for line in said.stdout.decode(errors="replace").splitlines() if line.startswith("Time stamp: "))
    stamped = datetime.strptime(said[12:], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
    named = {"kind": "log.anchored", "size": 2, "authority": "example", "stamped": now, "sha256": sha256(token).hex()}
    skewed = {"kind": "clock.skewed", "authority": "example", "stamped": stamp_text(stamped)}
    unheard = {**skewed, "stamped": stamp_text(stamped + timedelta(days=7))}
    yesterday = stamp_text(stamped - timedelta(days=1))
    for name, more, expected in (
        ("good", [(now, started())], 0), ("before", [(now, started()), (last_week, started())], 1),
        ("good_told_before", [(last_week, skewed), (last_week, started())], 0),
        ("good_told_after", [(last_week, started()), (last_week, skewed)], 0),
        ("told_of_a_right_clock", [(last_week, started()), (now, skewed)], 1),
        ("told_of_less", [(last_week, started()), (yesterday, skewed)], 1),
        ("told_of_a_stamp_that_never_was", [(last_week, started()), (now, unheard)], 1),
        ("told_too_late", [(last_week, started()), (now, named), (now, skewed)], 1),
    ):
        events, times = [opened(key), started(), named, *(event for _, event in more)], [now, now, now, *(time for time, _ in more)]
        yield f"floor_{name}", *dated(events, times, 2, tokens=anchors), expected
    crossed = Authority(key.scratch, "revoked")
    late = crossed.revocation_list()
    anchored = make.anchor(note, 20, authority=crossed)
    trusted = f"{key.line}\n{crossed.root}"
    yield "good_revocation_list_without_it", make.files(anchors=anchored, archive={"example": late}), trusted, 0
    stolen = crossed.revocation_list("keyCompromise")
    yield "revoked_stolen_key", make.files(anchors=anchored, archive={"example": stolen}), trusted, 1
    yield "revoked_on_the_second_list", make.files(anchors=anchored, archive={"example": late + stolen}), trusted, 1
    yield "revoked_on_the_first_list", make.files(anchors=anchored, archive={"example": stolen + late}), trusted, 1
    der = base64.b64decode("".join(late.splitlines()[1:-1]))
    altered = b64(flipped(der, len(der) - 3))
    forged = f"-----BEGIN X509 CRL-----\n{altered}\n-----END X509 CRL-----\n"
    # Whoever altered the list may hide by it that the certificate is revoked.
    yield "revocation_list_altered", make.files(anchors=anchored, archive={"example": forged}), trusted, 1
    yield ("revocation_list_altered_beside_the_right_one",
           make.files(anchors=anchored, archive={"example": late + forged}), trusted, 1)
    yield "good_revocation_list_of_another", make.files(anchors=good, archive={"example": stolen}), trust, 0


def one_record(index, record, path, note, archive=None, anchors=None, head="c2sp.org/tlog-proof@v1"):
    """The files of the proof of one record."""
    proof = "\n".join([head, f"index {index}", *map(b64, path), "", note]).encode()
    certificates = [(f"authorities/{name}.pem", pem.encode()) for name, pem in (archive or {}).items()]
    return [("record", record), ("record.tlog-proof", proof), *certificates, *(anchors or {}).items()]


def one_record_cases(make):
    """Proofs of one record."""
    lines, key, note = make.lines, make.key, make.note(make.lines)
    leaves = leaves_of(lines)

    archive = {"example": make.authority.root}

    def one(at=7, record=None, path=None, note=note, index=None, anchors=None, archive=archive, **more):
        return one_record(at if index is None else index, lines[at] if record is None else record,
                          proof_of(at, leaves) if path is None else path, note, archive if anchors else None, anchors, **more)

    trust, good = make.trust, make.anchor(note, 20)
    for at in (0, 7, 19):
        yield f"one_good_{at}", one(at), trust, 0
    shorter = {"path": proof_of(7, leaves[:12]), "note": make.note(lines, 12)}
    for name, files, trusted, expected in (
        ("good_no_trust", one(), None, 0),
        ("good_key_only", one(), key.line, 0),
        ("good_anchor", one(anchors=good), trust, 0),
        ("good_anchor_no_trust", one(anchors=good), None, 0),
        ("good_anchor_other_root", one(anchors=good), key.line + "\n" + make.stranger.root, 0),
        ("good_of_one", one(0, path=[], note=make.note(lines, 1)), key.line, 0),
        ("good_without_archive", one(anchors=good, archive=None), trust, 0),
        ("roots_only", one(anchors=good), make.authority.root, 1), ("other_key", one(), make.other.line, 1),
        ("note_by_another_key", one(note=make.note(lines, key=make.other)), trust, 1),
        ("other_record", one(record=lines[8]), trust, 1),
        ("edited", one(record=lines[7].replace(b"Example", b"Exbmple")), trust, 1),
        ("not_a_record", one(record=b"{}"), trust, 1), ("with_a_line_feed", one(record=lines[7] + b"\n"), trust, 1),
        ("other_index", one(index=8), trust, 1),
        ("index_beyond", one(index=20), trust, 1),
        ("index_with_zero", one(index="07"), trust, 1),
        ("huge_index", one(index=2**64), trust, 1),
        ("no_path", one(path=[]), trust, 1),
        ("longer_path", one(path=[*proof_of(7, leaves), ZERO]), trust, 1),
        ("path_too_long", one(path=[ZERO] * 129), trust, 1), ("short_hash", one(path=[ZERO[:31]]), trust, 1),
        ("other_head", one(head="c2sp.org/tlog-proof@v2"), trust, 1),
        ("extra_data", one(head="c2sp.org/tlog-proof@v1\nextra AAAA"), trust, 1),
        ("no_note", one(note=""), trust, 1),
        ("proof_not_utf8", [one()[0], ("record.tlog-proof", b"\xff")], trust, 1),
        ("no_proof", one()[:1], trust, 1),
        ("note_not_utf8", with_file(one(), "record.tlog-proof", lambda data: data + b"\xe2\x80\x94 x\xff "), trust, 1),
        ("good_earlier_note", one(**shorter), trust, 0),
        ("anchor_over_another_note", one(**shorter, anchors=good), trust, 1),
        ("anchor_other_root", one(anchors=make.anchor(note, 20, text=note_text(ORIGIN, 3, ZERO))), trust, 1),
        ("anchor_other_deployment", one(anchors=make.anchor(note, 20, text=note_text("bulla/dep_" + "9" * 32, 3, ZERO))), trust, 1),
        ("anchor_before_the_proof", [one()[0], *good.items(), one()[1]], trust, 1),
        ("proof_before_the_anchor_twice", one(anchors=good) + [one()[1]], trust, 1),
        ("record_twice", [*one(), one()[0]], trust, 1),
        ("anchors_out_of_order", one() + list(good.items())[::-1], trust, 1),
        ("unknown_file", [*one(), ("notes.txt", b"x")], trust, 1),
        ("part_of_a_bundle", [*one(), ("checkpoint", note.encode())], trust, 1),
        ("too_long", one(record=b"x" * ((1 << 20) + 1)), trust, 1),
        ("proof_first", one()[::-1], trust, 2), ("cut", {"tar": tar_of(one(anchors=good))[:2000]}, trust, 1),
        ("dotted", [("./" + name, data) for name, data in one()], trust, 2), ("folder", {"folder": one()}, trust, 2),
        ("bad_trust", one(), "nonsense", 2), ("nothing", {"tar": tar_of(one())[:7]}, trust, None),
    ):
        yield f"one_{name}", files, trusted, expected
    now = datetime.now(timezone.utc)
    late = seal([opened(key), started()], times=[stamp_text(now), stamp_text(now + timedelta(days=1))])
    covering = make.note(late)
    dated = one_record(1, late[1], proof_of(1, leaves_of(late)), covering, archive, make.anchor(covering, 2))
    yield "one_dated_after_its_stamp", dated, trust, 1
    yield "one_good_dated_after_no_trust", dated, None, 0


def compare_tokens(tokens, node):
    """The corpus of time-stamp tokens: see its `cases.tsv`. How many are judged otherwise than expected there."""
    done = subprocess.run([node, HERE / "tokens_test.mjs", tokens], check=False, timeout=120)
    differ, rows = done.returncode, (tokens / "cases.tsv").read_text().splitlines()
    for row in rows:
        name, token, _, roots, archive, policies, expected, _ = row.split("\t")
        # A bundle keeps no request, so nobody can ask for its nonce: that token is as good as any.
        expected = "good" if expected == "other_nonce" else expected
        trust = verify.Trust((tokens / roots).read_text() + ("" if policies == "-" else f"policy {policies}\n"))
        authorities = verify.Authorities(trust)
        if archive != "-":
            authorities.archive((tokens / archive).read_text())
        try:
            stamp = authorities.check((tokens / token).read_bytes(), (tokens / "message").read_text())
            said = "good" if stamp else "path"
        except verify.NotAStamp:
            said = "bad"
        equal = said == (expected if expected in ("good", "path") else "bad")
        if equal == (name in KNOWN_TOKENS):
            differ += 1
            print(f"token {name}: expected {expected}, python {said}" + ("; known to differ" if equal else ""))
    print(f"verify.py: {len(rows)} tokens, {differ} with a difference, {len(KNOWN_TOKENS)} known")
    return differ


def flip_cases(make, count, seed):
    """One bit flipped anywhere in a bundle with everything in it. What the flip means is not known beforehand."""
    lines = seal([*events_of(make.key), gone(before="2026-11-22"), hold(), released(), offboarded()])
    earlier = make.note(lines, 12)
    anchors = make.anchor(earlier, 12)
    archive = {"example": make.authority.root}
    bundle = make.files(lines=lines, earlier={12: earlier}, archive=archive, blobs=blobs_of(3), anchors=anchors, claim=CLAIM)
    one = one_record(7, lines[7], proof_of(7, leaves_of(lines[:12])), earlier, archive, anchors)
    short = seal([*events_of(make.key), pruned(make.lines, 12), started()])
    tars, chance = [tar_of(bundle), tar_of(one), tar_of(without(make, short, 12))], random.Random(seed)
    for number in range(count):
        tar = tars[(0, 0, 1, 2)[number % 4]]
        at, bit = chance.randrange(len(tar)), chance.randrange(8)
        yield f"flipped_{number}_of_{seed}_byte_{at}_bit_{bit}", {"tar": flipped(tar, at, bit)}, make.trust, None


class Server:
    """`bulla serve` on a port of this machine, until the block ends."""

    def __init__(self, bulla, data):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [bulla, "serve", "--data", data, "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def wait(self):
        for _ in range(400):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.05)
        raise AssertionError("the server did not begin to listen")

    def ask(self, key):
        """Sends a prompt that is refused, because nothing is configured; it is sealed and recorded. Id and receipt."""
        body = {"model": "none", "messages": [{"role": "user", "content": "A synthetic prompt."}]}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            answer = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as refused:
            answer = refused
        return answer.headers["x-request-id"], answer.headers.get("x-bulla-receipt")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def random_cases(make, count, seed):
    """Disposals, holds and absent content as chance has it. Who is right is not known beforehand."""
    chance = random.Random(seed)
    units = [{"exchange": exchange_of(n)} for n in (1, 2, 3, 4)] + [{"conversation": name} for name in (CONVERSATION, OTHER_CONVERSATION)]
    days = [f"2026-11-{day}" for day in range(18, 24)]
    for number in range(count):
        events, kept = [opened(make.key)], {}
        for n in range(1, 7):
            more = {"key_day": chance.choice(days)} if chance.random() < 0.8 else {}
            if chance.random() < 0.4:
                more["conversation"] = chance.choice((CONVERSATION, OTHER_CONVERSATION))
            events += [intent(n, **more), outcome(n, len(events), **more)]
            parts = [part for part in ("prompt", "window") if chance.random() < 0.5]
            kept.update({name: data for name, data in blobs_of(n).items() if name.split("/")[2].startswith(tuple(parts))})
            for _ in range(chance.randrange(3)):
                classes = [name for name in ALL if chance.random() < 0.7]
                events.append(chance.choice([
                    gone(classes, **chance.choice(units)), gone(classes, before=chance.choice(days)),
                    hold(chance.choice("ab"), **chance.choice([{}, *units])) if number % 2 else started(),
                    released(chance.choice("ab")) if number % 2 else started(),
                    offboarded() if chance.random() < 0.2 else gone(ALL, before="2026-11-30"),
                ]))
        yield f"random_{number}_of_{seed}", make.files(lines=seal(events), blobs=kept, claim=CLAIM), None, None


def real_cases(bulla, scratch):
    """Bundles that the real program makes, before and after content is disposed of."""
    data, number = scratch / "data", 0

    def call(*arguments):
        return run(bulla, *arguments, "--data", data).decode()

    def export(*arguments):
        nonlocal number
        number += 1
        call("audit", "export", "--out", scratch / f"real-{number}.tar", *arguments)
        return {"tar": (scratch / f"real-{number}.tar").read_bytes()}

    run(bulla, "init", data, "--org", "Example Clinic (synthetic)")
    call("key", "create", "--owner", "A \u201cquoted\u201d owner \u2028 \U0001f600")
    key = re.search("bulla_[A-Za-z0-9_-]+", call("key", "create", "--owner", "Ann Lee (synthetic)"))[0]
    with Server(bulla, data) as server:
        server.wait()
        asked = [server.ask(key) for _ in range(4)]
    first, second, third, _ = [exchange for exchange, _ in asked]
    yield "real_good", export(), None, 0
    call("receipt", asked[1][1], "--out", scratch / "one.tar")
    proof = (scratch / "one.tar").read_bytes()
    yield "real_one_good", {"tar": proof}, None, 0
    yield "real_one_altered", {"tar": proof.replace(b'"outcome":"', b'"outcoma":"', 1)}, None, 1
    whole = export("--content")
    yield "real_good_content", whole, None, 0
    for part in (b'"kind":"api_key.created"', b'"owner":"', b"\n\xe2\x80\x94 bulla/", b'"format": "bulla', b'"key_day":"'):
        flip = flipped(whole["tar"], whole["tar"].index(part) + len(part) - 2)
        yield f"real_flip_{part[-6:].hex()}", {"tar": flip}, None, 1
    court = ("--authority", "Example Court (synthetic)")
    decision = scratch / "decision"
    decision.write_text("Signed, Example Court (synthetic)\n")
    call("hold", "place", "--name", "matter-7", "--exchange", second, *court)
    call("dispose", "--exchange", first, *court, "--reason", "order", "--decision", decision)
    call("rotate", "organisation")
    call("hold", "release", "--name", "matter-7", *court)
    call("dispose", "--exchange", third, *court, "--reason", "request", "--classes", "prompts", "--decision", decision)
    disposed = export("--content")
    yield "real_good_disposed", disposed, None, 0
    yield "real_flip_authority", {"tar": disposed["tar"].replace(b"Example Court", b"Exbmple Court", 1)}, None, 1


# ---- Where the three are known to differ -------------------------------------------------------------------

# Who differs from the others, and why. A row that is no longer true is a failure.
KNOWN = {
    "good_anchor_flip_token_40": ("python", "OpenSSL refuses a digest that it does not know, also where it means nothing"),
    "anchor_flip_signature_algorithm": ("python", "OpenSSL goes by the key, and not by the algorithm that is named"),
}
KNOWN_TOKENS = {
    "signer_by_key_identifier": "openssl ts reads tokens as PKCS #7, which knows no key identifiers",
}

# ---- The comparison ----------------------------------------------------------------------------------------

FIGURES = "records intents outcomes open_intents blobs key_source earlier_trusted earlier_inside exposure".split()


FIGURES_OF_ONE = "log seq leaf checkpoint_size key_trusted".split()


def answer_of(verdict):
    """What is compared of a verdict: exit code, first fault, disposals, and of a good one the figures."""
    problems, code = verdict["problems"], 0 if verdict["good"] else 1
    first = (problems[0]["at"], problems[0]["kind"]) if problems else None
    if "leaf" in verdict:
        return code, first, [verdict[name] for name in FIGURES_OF_ONE], [len(verdict["stamps"]), len(verdict["warnings"])]
    figures = [verdict[name] for name in FIGURES] if code == 0 else []
    # The browser's names are in another spelling.
    figures += [*(verdict["pruned"] or {}).values()] if code == 0 else []
    figures += [len(verdict["stamps"]), len(verdict["warnings"])] if code == 0 else []
    return code, first, verdict["disposed"], figures


UNREADABLE = (2, None, [], [])


def ask_rust(program, cases):
    def ask(case):
        path, trust = case
        done = subprocess.run([program, path, *(["--trust", trust] if trust else []), "--json"], capture_output=True,
                              check=False, timeout=120)
        return answer_of(json.loads(done.stdout)) if done.returncode in (0, 1) else (done.returncode, None, [], [])

    return list(map(ask, cases))


def ask_python(cases):
    """All in this process: starting Python for each would cost more than the check."""
    answers = []
    for path, trust in cases:
        try:
            answers.append(answer_of(verify.verify(path, verify.read_trust(trust) if trust else verify.Trust())))
        except (OSError, verify.Unreadable):
            answers.append(UNREADABLE)
        if sys.stderr.isatty() and len(answers) % 50 == 0:
            print(f"{len(answers)} of {len(cases)}", file=sys.stderr)
    return answers


def ask_node(node, cases):
    """All in one process, a line of JSON for each."""
    lines = "".join(json.dumps([str(path), trust and str(trust)]) + "\n" for path, trust in cases)
    done = subprocess.run([node, HERE / "corpus_node.mjs"], input=lines.encode(), capture_output=True, check=False, timeout=300)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases), done.stderr.decode(errors="replace")
    snake = lambda verdict: {re.sub("[A-Z]", lambda it: "_" + it[0].lower(), name): value for name, value in verdict.items()}
    return [answer_of(snake(verdict)) if verdict else UNREADABLE for verdict in answers]


def check_command_lines(commands, cases):
    """The exit codes of the programs themselves, once for each code."""
    differ = 0
    for (path, trust), expected in cases:
        for command in commands:
            done = subprocess.run([*command, path, *(["--trust", trust] if trust else [])], capture_output=True, check=False,
                                  timeout=60)
            if done.returncode != expected:
                differ += 1
                print(f"{' '.join(map(str, command))} {path}: expected {expected}, not {done.returncode}")
    return differ


def compare(name, expected, answers):
    """Whether a case is as it should be; prints what is not."""
    odd, why = KNOWN.get(name, (None, None))
    others = [answer for who, answer in answers.items() if who != odd]
    agree = all(answer == others[0] for answer in others) and expected in (None, others[0][0])
    if agree and (odd is None or answers[odd] != others[0]):
        return True
    print(f"{name}: expected exit code {expected}")
    if agree:
        print(f"    no longer differs, to be taken out of KNOWN: {odd} {why}")
    for who, answer in answers.items():
        print(f"    {who:<7} {answer}")
    return False


def write_case(scratch, name, files, trust):
    path = scratch / name
    if isinstance(files, dict) and "folder" in files:
        for inner, data in files["folder"]:
            (path / inner).parent.mkdir(parents=True, exist_ok=True)
            (path / inner).write_bytes(data)
    elif isinstance(files, dict):
        if "tar" in files:
            path.write_bytes(files["tar"])
    else:
        path.write_bytes(tar_of(files))
    if trust is None:
        return path, None
    file = scratch / f"{name}.trust"
    file.write_bytes(trust if isinstance(trust, bytes) else trust.encode())
    return path, file


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rust", required=True, help="the bulla-verify binary")
    arguments.add_argument("--bulla", help="the bulla binary, for bundles of its making")
    arguments.add_argument("--tokens", type=pathlib.Path, help="the folder with cases.tsv; its tokens are checked too")
    arguments.add_argument("--node", default="node", help="the program of Node 20")
    arguments.add_argument("--keep", type=pathlib.Path, help="keep the bundles here")
    arguments.add_argument("--flips", type=int, default=0, help="so many bundles with one flipped bit, too")
    arguments.add_argument("--random", type=int, default=30, help="so many with disposals and holds at random")
    arguments.add_argument("--seed", type=int, default=1, help="which of both")
    arguments.add_argument("names", nargs="*", help="only cases whose names begin so")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch, folder = arguments.keep or pathlib.Path(folder) / "cases", pathlib.Path(folder)
        scratch.mkdir(exist_ok=True)
        make = Maker(folder)
        makers = (file_cases, record_cases, form_cases, trust_cases, content_cases, disposal_cases, pruned_cases, anchor_cases,
                  one_record_cases)
        cases = [case for maker in makers for case in maker(make)]
        if arguments.bulla:
            cases += real_cases(arguments.bulla, folder)
        cases += random_cases(make, arguments.random, arguments.seed)
        cases += flip_cases(make, arguments.flips, arguments.seed)
        cases = [case for case in cases if case[0].startswith(tuple(arguments.names or [""]))]
        assert len({case[0] for case in cases}) == len(cases), "two cases have one name"
        written = [write_case(scratch, *case[:3]) for case in cases]
        with ThreadPoolExecutor() as pool:
            asked = {"rust": pool.submit(ask_rust, arguments.rust, written), "python": pool.submit(ask_python, written),
                     "node": pool.submit(ask_node, arguments.node, written)}
            answers = {who: answer.result() for who, answer in asked.items()}
        differ = 0
        for at, (name, _, _, expected) in enumerate(cases):
            differ += not compare(name, expected, {who: answer[at] for who, answer in answers.items()})
        commands = [[arguments.rust], [sys.executable, SCRIPT], [arguments.node, PAGE / "verify-cli.mjs"]]
        proofs = {"good_folder", "deleted_5_to_8", "no_tar"}
        differ += check_command_lines(commands, [(files, case[3]) for case, files in zip(cases, written) if case[0] in proofs])
        known = sum(case[0] in KNOWN for case in cases)
        last = f"{len(cases)} bundles, {differ} with a difference, {known} known"
    if arguments.tokens:
        differ += compare_tokens(arguments.tokens, arguments.node)
    print(last)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
