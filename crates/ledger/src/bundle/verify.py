#!/usr/bin/env python3
"""Checks the export of an audit log without the program that wrote it.

    verify.py BUNDLE [--trust FILE] [--json]

BUNDLE is the tar file, or a folder with the same files, or the proof of one record. It needs Python 3.9 and the
`openssl` 3 command, no network, and no other file. The exit code is 0 (good), 1 (bad) or 2 (could not be read).

Every rule names where it comes from. "Format" is docs/bundle.md of the project, which specifies the bundle.
The file is meant to be read from the top: what a record may hold, how records hang together, who signed them,
what sealed content is beside them, who outside vouches for them, and last the files and the report.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from bisect import bisect_right
from collections import deque, namedtuple
from datetime import datetime, timedelta

# ---- What a record may hold (Format, "Record") -------------------------------------------------------------

MAX_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: the largest that every reader of JSON holds exactly.
MAX_RECORD_BYTES = 65_535


def form(pattern):
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: type(value) is str and compiled.fullmatch(value) is not None


def word(*words):
    return lambda value: type(value) is str and value in words


def some(check):
    """A list or map that is left out when it is empty."""
    return lambda value: bool(value) and (
        type(value) is list and all(map(check, value)) or type(value) is dict and all(map(check, value.values()))
    )


def one(shape, **may):
    """An object of exactly these members, and perhaps those of `may`."""
    def check(value):
        return (
            type(value) is dict
            and shape.keys() <= value.keys() <= shape.keys() | may.keys()
            and all((shape.get(key) or may[key])(item) for key, item in value.items())
        )
    return check


def a_list(check):
    return lambda value: type(value) is list and all(map(check, value))


def a_map(check):
    return lambda value: type(value) is dict and some(check)(value)


def text(value):
    return type(value) is str


def number(value):
    return type(value) is int and 0 <= value <= MAX_INTEGER


def flag(value):
    return type(value) is bool


def time(value):
    return type(value) is str and micros(value) is not None


def day(value):
    """A day as `2026-11-23`, so that the order of texts is that of days."""
    return type(value) is str and time(value + "T00:00:00.000000Z")


HASH = form("[0-9a-f]{64}")
LOG = form("bulla/dep_[0-9a-f]{32}/ten_[0-9a-f]{32}")
COUNTS = a_map(number)
CLASS = word("prompts", "answers", "surrogates")

FIELDS = {
    "actor": one({"id": text, "kind": word("api_key", "operator", "system"), "name": text}),
    "agreement": text, "alert": text, "api": text, "authority": text, "batch": form("bat_[0-9a-f]{32}"), "before": day,
    "changes": a_list(one({"change": word("added", "changed", "removed"), "object": text})),
    "classes": lambda value: a_list(CLASS)(value) and len(set(value)) == len(value),
    "code": text, "conversation": form("cnv_[0-9a-f]{32}"), "copy": text, "count": number, "current": text,
    "days": lambda value: number(value) and value < 2**32,
    "decided": time, "decision": text, "deployment": form("dep_[0-9a-f]{32}"), "destination": text, "detector": text,
    "exchange": form("exc_[0-9a-f]{32}"), "expires": time, "feed": text, "file": text, "filters": a_list(text), "findings": COUNTS,
    "former": text, "from": number, "held": number, "hold": text, "intent": number,
    "key": form("key_[0-9a-f]{32}"), "key_day": day, "kind": text, "level": text,
    "log": LOG, "minimum": a_map(text), "organisation": text, "outcome": text, "owner": text,
    "categories": some(text), "capabilities": a_map(text), "considered": a_map(text), "retry_of": form("exc_[0-9a-f]{32}"),
    "path": some(one({"by": word("inside", "agreement", "evidence", "no_content"), "hop": text}, id=text, region=text)),
    "reduced_by": form("exc_[0-9a-f]{32}"), "removed": COUNTS,
    "patient": HASH, "policy": HASH, "prev": HASH, "previous": form("exc_[0-9a-f]{32}"), "prompt": HASH, "purpose": text, "reason": text,
    "reply": one({"bytes": number, "digest": HASH, "restored": number, "unknown": number, "windows": number},
                 findings=COUNTS),
    "reviewer": text, "role": text, "root": HASH, "route": text, "rules": some(text), "seq": number, "sha256": HASH, "signatories": some(text),
    "signed": day, "size": number, "stamped": time,
    "stream": flag, "surface": text, "surrogates": one({"minted": number, "read": number}),
    "tenant": form("ten_[0-9a-f]{32}"), "time": time, "treatments": a_map(text), "upstream_request": text,
    "usage": one({"completion": number, "prompt": number}), "v": lambda value: value == 1 and number(value),
    "verifier_key": text, "version": lambda value: text(value) or number(value),
}

ABOUT = "exchange actor surface api stream"
ABOUT_MAY = ("purpose conversation route policy detector findings treatments decision rules destination path prompt"
             " key_day patient categories considered retry_of decided minimum removed alert reduced_by previous capabilities batch")

# For each kind: the fields that it must have besides those of every record, and those that it may have.
KINDS = {
    "log.opened": ("deployment tenant organisation verifier_key", ""),
    "exchange.intent": (ABOUT + " surrogates", ABOUT_MAY),
    "exchange.outcome": (ABOUT + " outcome", ABOUT_MAY + " code reason intent reply upstream_request usage"),
    "configuration.applied": ("actor version sha256 changes", ""),
    "api_key.created": ("actor key owner", "purpose expires role"),
    "api_key.revoked": ("actor key", ""),
    "audit.exported": ("actor size", ""),
    "audit.streamed": ("actor from", "size"),
    "content.read": ("actor exchange reason", ""),
    "access.refused": ("count", ""),
    "service.started": ("actor version", ""),
    "service.stopped": ("actor", ""),
    "agreement.expiring": ("agreement expires days", ""),
    "agreement.filed": ("actor agreement sha256 size signatories signed", ""),
    "agreement.read": ("actor agreement sha256", ""),
    "agreement.disposed": ("actor agreement sha256 authority", ""),
    "log.anchored": ("size authority stamped sha256", ""),
    "anchor.failing": ("authority reason", ""),
    "clock.skewed": ("authority stamped", ""),
    "feed.failing": ("feed reason", ""),
    "copy.failing": ("copy reason", ""),
    "batch.file": ("batch destination outcome", "file reason count sha256"),
    "access.denied": ("actor reason count", ""),
    "audit.tiles": ("actor size", ""),
    "audit.searched": ("actor filters count", ""),
    "activity.reported": ("actor from size sha256", ""),
    "activity.reviewed": ("actor reviewer from size sha256", "reason"),
    "review.overdue": ("expires days", ""),
    "content.disposed": ("actor classes authority reason count held", "exchange conversation before sha256"),
    "hold.placed": ("actor hold authority", "exchange conversation"),
    "hold.released": ("actor hold authority", ""),
    "key.rotated": ("actor level former current", ""),
    "records.pruned": ("actor size root authority", "sha256"),
    "answer.withdrawn": ("actor exchange", ""),
    "tenant.offboarded": ("actor authority sha256", ""),
    "selftest.passed": ("count", "policy"),
    "selftest.failed": ("reason", "route api policy"),
    "cache.mismatch": ("reason route", ""),
}
FRAME = {"v", "log", "seq", "prev", "time", "kind"}
KINDS = {kind: (FRAME | set(must.split()), set(may.split())) for kind, (must, may) in KINDS.items()}

TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z", re.ASCII)
EPOCH_DAY = datetime(1970, 1, 1).toordinal()


def micros(value):
    """Microseconds since 1970 of RFC 3339 in UTC with six decimals, years 1 to 9998; None for every other text."""
    match = TIME.fullmatch(value) if value < "9999" else None
    try:
        year, month, day, hour, minute, second, fraction = map(int, match.groups()) if match else ()
        days = datetime(year, month, day, hour, minute, second).toordinal() - EPOCH_DAY
    except ValueError:
        return None
    return (days * 86_400 + hour * 3600 + minute * 60 + second) * 10**6 + fraction


def in_order(pairs):
    """RFC 8785 section 3.2.3: keys are sorted by UTF-16 code units, so none stands twice."""
    keys = [key.encode("utf-16-be") for key, _ in pairs]
    if any(later <= earlier for earlier, later in zip(keys, keys[1:])):
        raise ValueError
    return dict(pairs)


def refuse(_):
    raise ValueError


DECODER = json.JSONDecoder(object_pairs_hook=in_order, parse_float=refuse, parse_constant=refuse)
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def read_record(data):
    """The record in these bytes; None when they are no record in its one canonical form (RFC 8785).

    What is hashed is always the bytes as they stand. Writing the value again, in the order in which it was read,
    shows whether they were canonical: white space, other escapes or other spellings of a number would differ.
    """
    try:
        record = DECODER.decode(data.decode("utf-8"))
        if len(data) > MAX_RECORD_BYTES or ENCODER.encode(record).encode("utf-8") != data:
            return None
        must, may = KINDS[record["kind"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fits = must <= record.keys() <= must | may and all(FIELDS[field](value) for field, value in record.items())
    # The one field whose form depends on the kind: the number of a configuration, or the text of a program.
    numbered = type(record.get("version")) is int
    fits = fits and numbered == (record["kind"] == "configuration.applied")
    # A disposal is of one thing, and a hold covers one thing or everything.
    scopes = len(record.keys() & {"exchange", "conversation", "before"})
    allowed = {"content.disposed": (1,), "hold.placed": (0, 1)}.get(record["kind"])
    return record if fits and (allowed is None or scopes in allowed) else None


# ---- How records hang together (Format, "Record") ----------------------------------------------------------

ZERO = bytes(32)
MAX_OPEN_INTENTS = 1_000_000
MAX_STEP_BACK = 5 * 10**6  # Microseconds that a record may be dated before the latest one without a word.
LEAF_BYTES = 32
RECENT = 1024  # Leaves that are remembered to recognise a record that stands twice.


def sha256(data):
    return hashlib.sha256(data).digest()


def node_hash(left, right):
    return sha256(b"\1" + left + right)  # RFC 6962 section 2.1.


class Tree:
    """The RFC 6962 tree over the leaves so far, as the roots of its full subtrees."""

    def __init__(self, size=0, roots=()):
        self.size, self.roots = size, list(roots)

    def push(self, leaf):
        size = self.size
        while size & 1:
            leaf, size = node_hash(self.roots.pop(), leaf), size >> 1
        self.roots.append(leaf)
        self.size += 1

    def root(self):
        if not self.roots:
            return sha256(b"")
        *rest, root = self.roots
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


KINDS_OF_PROBLEMS = ("edited deleted inserted reordered duplicated truncated rewritten inconsistent content misdated"
                     " anchor signature format").split()
MAX_PROBLEMS = 20


class Findings:
    """What is wrong, and what is only worth knowing."""

    def __init__(self):
        self.placed, self.unplaced, self.more, self.warnings = [], [], 0, []

    def fault(self, kind, words, at=None):
        problems = self.unplaced if at is None else self.placed
        if len(problems) < MAX_PROBLEMS:
            problems.append({"at": at, "kind": kind, "words": words})
        else:
            self.more += 1

    def warn(self, words):
        if words not in self.warnings:
            self.warnings.append(words)

    def problems(self):
        order = lambda problem: (problem["at"] or 0, KINDS_OF_PROBLEMS.index(problem["kind"]))
        return sorted(self.placed, key=order) + sorted(self.unplaced, key=order)


class Break:
    """A chain from its first line that does not fit.

    A chain shows that two neighbours do not fit, not which of them is wrong. The lines that follow, their number and
    the signed root tell more: the smallest alteration that explains them is named.
    """

    def __init__(self, at, before, before_that, tree, recent, first):
        self.at, self.before, self.before_that, self.tree, self.recent = at, before, before_that, tree, recent
        self.first, self.next, self.lines, self.found = first, None, at + 1, None

    def add(self, line):
        if self.found is None and (line["seq"], line["prev"]) == (self.at, self.before):
            self.found = self.lines
        self.next = self.next or line
        self.lines += 1

    def explain(self, size, root):
        """Kind, position and words. `size` and `root` are what the checkpoint signs, None when there is none."""
        at, seq, leaf = self.at, self.first["seq"], self.first["leaf"]
        as_many, more = size == self.lines, size is not None and self.lines > size
        if not self.first["ended"]:
            return "truncated", at, "the file ends in the middle of this record"
        again = seq is not None and 0 <= at - seq <= len(self.recent) and at > seq and self.recent[seq - at] == leaf
        if again and (not as_many or self.found is not None):
            return "duplicated", at, f"record {seq} stands here once more"
        if more:
            if seq == at - 1 and self.first["prev"] == self.before_that and self.goes_on(size, root, [leaf]):
                return "inserted", seq, "two records claim this position; the log goes on from the second"
            if at >= size:
                return "inserted", at, "this line is beyond the signed size"
            if self.found is not None or seq not in (None, at):
                return "inserted", at, "this line is no record of the log at this place"
        if self.found is not None and seq not in (None, at):
            return "reordered", at, f"record {seq} stands here; record {at} stands in line {self.found + 1}"
        if self.found is None and seq is not None and seq > at and not as_many:
            return "deleted", at, f"records {at} to {seq - 1} are missing; record {seq} stands here"
        if self.found is not None:
            return "inserted", at, "this line is no record of the log; the right one follows"
        if at > 0 and seq == at and self.goes_on(size, root, [self.first["prev"], leaf]):
            return "edited", at - 1, "the records after it were made over other bytes than stand here"
        if seq is None:
            return "edited", at, "the bytes are not a record in canonical form"
        return "edited", at, "the record does not follow from the one before it, or claims another position"

    def goes_on(self, size, root, leaves):
        """Whether the log goes on from the first line that did not fit."""
        if self.next:
            return self.next["prev"] == self.first["leaf"]
        tree = Tree(self.tree.size, self.tree.roots)
        for leaf in leaves:
            tree.push(leaf)
        return (tree.size, tree.root()) == (size, root)


class Records:
    """records.jsonl, as a stream: the chain, the tree, and what the records say of each other."""

    def __init__(self, findings, marks, content, bounds, disposals):
        self.findings, self.content, self.bounds, self.disposals = findings, content, bounds, disposals
        self.marks = sorted(marks, key=lambda mark: mark["size"])
        self.waiting = deque(self.marks)
        self.tree, self.pending = Tree(), None
        self.recent, self.broken = deque(maxlen=RECENT), None
        self.count, self.log, self.opening, self.open = 0, None, None, {}
        self.first = self.last = None
        self.intents = self.outcomes = self.steps_back = self.misdated = self.size = 0
        self.pruned = Pruned()
        self.check_marks()

    def hashes(self, stream):
        """Format, "Pruned records": the leaf hashes of the log's first records."""
        first = None
        while len(leaf := stream.read(LEAF_BYTES)) == LEAF_BYTES:
            first = first or leaf
            self.fits(leaf)
        if leaf or self.count < 2:
            self.findings.fault("format", "pruned does not hold the hashes of two records or more")
        if first:
            tree = Tree(self.tree.size, self.tree.roots)
            tree.push(self.pending[0])
            self.pruned.size, self.pruned.first, self.pruned.root = tree.size, first, tree.root()

    def read(self, stream):
        while line := stream.readline(MAX_RECORD_BYTES + 1):
            self.size += len(line)
            while len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
                # Longer than any record: its end is found, its bytes are not kept.
                more = stream.readline(MAX_RECORD_BYTES)
                self.size += len(more)
                line = b"x" * MAX_RECORD_BYTES + more if more else b"x"
            self.line(line.removesuffix(b"\n"), line.endswith(b"\n"))
        if not self.broken:
            self.push_pending()

    def line(self, data, ended):
        leaf = sha256(b"\0" + data)  # RFC 6962 section 2.1.
        record = read_record(data) if ended else None
        seq, prev = (record["seq"], bytes.fromhex(record["prev"])) if record else (None, None)
        last, before_last = self.pending or (ZERO, None)
        here = {"seq": seq, "prev": prev, "leaf": leaf, "ended": ended}
        if self.pruned.lacks_opening():
            self.pruned.opened = True
            if (seq, prev, leaf) == (0, ZERO, self.pruned.first):
                self.fitting(0, record)
            else:
                words = "the first line is not the record whose hash stands first in pruned"
                self.findings.fault("edited", words, 0)
        elif self.broken:
            self.broken.add(here)
        elif record and (seq, prev) == (self.count, last):
            self.fits(leaf)
            if seq > 0 and self.pruned.kept_from is None:
                self.pruned.kept_from = record["time"]
            self.fitting(seq, record)
        else:
            self.broken = Break(self.count, last, before_last, self.tree, self.recent, here)

    def fits(self, leaf):
        last = self.pending[0] if self.pending else ZERO
        self.push_pending()
        self.pending = leaf, last
        self.recent.append(leaf)
        self.count += 1

    def push_pending(self):
        """Adds the last line that fitted. It waits for the next one, which may show that it was altered."""
        if self.pending:
            self.tree.push(self.pending[0])
            self.pending = None
            self.check_marks()

    def check_marks(self):
        """Format, "Checkpoint": earlier checkpoints have the size and root of the first records."""
        while self.waiting and self.waiting[0]["size"] <= self.tree.size:
            mark = self.waiting.popleft()
            mark["fits"] = mark["root"] == self.tree.root()

    def fitting(self, at, record):
        fault = self.findings.fault
        moment = micros(record["time"])
        if at == 0:
            self.begin(record)
        elif record["log"] != self.log:
            fault("edited", "the record is of another log", at)
        self.first = record["time"] if self.first is None else self.first
        latest = moment if self.last is None else self.last
        if moment + MAX_STEP_BACK < latest:
            self.steps_back += 1
            if self.steps_back == 1:
                self.findings.warn(f"the clock stepped back at position {at}, to {record['time']}")
        self.last = max(latest, moment)
        self.misdated += self.bounds.see(at, moment)
        kind = record["kind"]
        if kind == "log.opened" and at > 0:
            fault("inconsistent", "the log begins a second time", at)
        elif kind == "log.opened":
            self.pruned.begun = moment
        elif kind == "log.anchored":
            self.bounds.anchored(bytes.fromhex(record["sha256"]), moment)
        elif kind == "clock.skewed":
            self.bounds.skewed(at, moment, micros(record["stamped"]))
        elif kind == "exchange.intent":
            self.intents += 1
            if len(self.open) < MAX_OPEN_INTENTS:
                self.open[at] = record["exchange"]
            else:
                fault("inconsistent", "too many intents are open at once", at)
        elif kind == "exchange.outcome":
            self.outcomes += 1
            self.end_intent(at, record)
        elif kind == "records.pruned":
            words = self.pruned.told(at, record) or self.disposals.prune()
            if words:
                fault("inconsistent", words, at)
        elif kind in DISPOSING:
            self.disposals.take(at, record)
        if kind in ("exchange.intent", "exchange.outcome"):
            for absent in self.content.compare(at, record):
                self.disposals.misses(at, record, absent)

    def begin(self, record):
        """Format, "Record": record 0, and no other, is log.opened, and names the log and its key."""
        fault, self.log = self.findings.fault, record["log"]
        if record["kind"] != "log.opened":
            fault("inconsistent", "the log does not begin with log.opened", 0)
            return
        self.opening, self.log = record, f"bulla/{record['deployment']}/{record['tenant']}"
        if self.log != record["log"]:
            fault("inconsistent", "the first record names two logs", 0)
        key = read_key(record["verifier_key"], ED25519)
        if key is None or key["name"] != self.log:
            fault("inconsistent", "the first record names no key of this log", 0)

    def end_intent(self, at, record):
        """Format, "Record": an outcome ends an open intent of the same exchange."""
        intent = record.get("intent")
        if intent is None:
            return
        if self.open.get(intent) == record["exchange"]:
            del self.open[intent]
            return
        words = "the outcome names a position that is no intent, or one that has ended before"
        if intent in self.open:
            words = "the outcome names the intent of another exchange"
        elif intent >= at:
            words = "the outcome names an intent that comes after it"
        self.findings.fault("inconsistent", words, at)


# Records are kept for six years at the least, unless somebody signed that they are not. In microseconds.
SIX_YEARS = 2192 * 86_400 * 1_000_000


class Pruned:
    """Format, "Pruned records": what is absent was pruned by a record, and its leaf hashes are here."""

    def __init__(self):
        self.size, self.first, self.root, self.opened = 0, None, None, False
        self.widest, self.kept_from = None, None
        self.begun, self.too_early = None, None

    def lacks_opening(self):
        """Whether record 0 is still to come after the hashes."""
        return self.size > 0 and not self.opened

    def told(self, at, record):
        """A record that says what was pruned, and what is wrong with it."""
        size = record["size"]
        if "sha256" not in record and self.begun is not None and micros(record["time"]) < self.begun + SIX_YEARS:
            self.too_early = at if self.too_early is None else self.too_early
        if size < 2:
            return "it prunes nothing"
        if size > at:
            return "it prunes what was still to come"
        if self.widest is None or self.widest["size"] < size:
            self.widest = {"size": size, "at": at, "authority": record["authority"]}
        if size == self.size and bytes.fromhex(record["root"]) != self.root:
            return "the root that it names is not that of the pruned records"
        return None

    def verdict(self):
        """What was pruned; None when nothing was."""
        if self.size and self.widest and self.widest["size"] >= self.size:
            return {"records": self.size - 1, "at": self.widest["at"], "authority": self.widest["authority"],
                    "kept_from": self.kept_from}
        return None


# ---- Who signed (Format, "Checkpoint"; C2SP signed-note, tlog-checkpoint, tlog-cosignature) -----------------

ED25519, COSIGNATURE = b"\x01", b"\x04"
MAX_NOTE_BYTES, MAX_SIGNATURES = 64 * 1024, 100
NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f+]+")
SIZE = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)


class Unsigned(Exception):
    """A note that is not accepted, in words."""


class NotByThisKey(Unsigned):
    """No line of the note claims to be by the key."""


def unbase64(value):
    """The bytes of base64 in its one spelling; None for every other text."""
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == value else None


def read_key(line, kind):
    """A key `name+hash+base64(kind || public key)` whose hash fits; None for any other text."""
    parts = line.split("+", 2)
    typed = unbase64(parts[2]) if len(parts) == 3 else None
    if typed is None or len(typed) != 33 or typed[:1] != kind or not NAME.fullmatch(parts[0]):
        return None
    key_hash = sha256(parts[0].encode() + b"\n" + typed)[:4]
    key = {"name": parts[0], "hash": key_hash, "public": typed[1:], "line": line}
    return key if parts[1] == key_hash.hex() else None


def split_note(note):
    """The text of a signed note and its signatures, None in their place when a line is none; or `Unsigned`."""
    body, gap, lines = note.rpartition("\n\n")
    control = any(character < " " and character != "\n" for character in note)
    if len(note.encode()) > MAX_NOTE_BYTES or control or not note.endswith("\n") or not gap or not lines:
        raise Unsigned("not a signed note")
    signatures = [signature_of(line) for line in lines.removesuffix("\n").split("\n")]
    return body + "\n", signatures if len(signatures) <= MAX_SIGNATURES else [None]


def signature_of(line):
    """Name and bytes of a signature line; None when it is none."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    data = unbase64(encoded)
    return (name, data) if dash == "\u2014" and NAME.fullmatch(name) and data and len(data) > 4 else None


def claimed(note):
    """Origin, size and root that a note claims, whoever signed it; None when it is no checkpoint of three lines."""
    try:
        lines = split_note(note)[0].removesuffix("\n").split("\n")
    except Unsigned:
        return None
    root = unbase64(lines[2]) if len(lines) == 3 else None
    if root is None or len(root) != 32 or not lines[0] or not SIZE.fullmatch(lines[1]) or int(lines[1]) >= 2**64:
        return None
    return {"origin": lines[0], "size": int(lines[1]), "root": root, "note": note}


def signed_parts(note, key, kind):
    """The text, and each signature that claims to be by this key. Those by other keys are passed over."""
    body, signatures = split_note(note)
    if None in signatures:
        raise Unsigned("not a signed note")
    own = [data[4:] for name, data in signatures if (name, data[:4]) == (key["name"], key["hash"])]
    if not own:
        raise NotByThisKey("the note is not signed by this key")
    return body, own


def check_signature(public, message, signature):
    """RFC 8032 Ed25519, by the `openssl` command. The bytes in front make the key a SubjectPublicKeyInfo (RFC 8410)."""
    key = bytes.fromhex("302a300506032b6570032100") + public
    arguments = "pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
    if not openssl(arguments, key=key, message=message, signature=signature).good:
        raise Unsigned("the signature does not fit the text")


def opened(note, key):
    """The checkpoint in a note, when every signature that claims to be by this key holds, and there is one."""
    body, own = signed_parts(note, key, ED25519)
    for signature in own:
        check_signature(key["public"], body.encode(), signature)
    checkpoint = claimed(note)
    if checkpoint is None or checkpoint["origin"] != key["name"]:
        raise Unsigned("the signed text is not a checkpoint of the key's log")
    return checkpoint


def self_test():
    """RFC 8032 section 7.1, test 2: an `openssl` that does not accept it could not check any signature."""
    key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                 "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
    try:
        check_signature(bytes.fromhex(key), b"\x72", bytes.fromhex(signature))
    except Unsigned as error:
        raise Unreadable("this openssl cannot check Ed25519 signatures; version 3 is needed") from error


def is_by(note, key):
    try:
        return opened(note, key) is not None
    except Unsigned:
        return False


def cosigned(note, witness):
    """The latest time, in seconds since 1970, at which a witness cosigned a note."""
    body, own = signed_parts(note, witness, COSIGNATURE)
    latest = 0
    for signature in own:
        seconds = int.from_bytes(signature[:8], "big")
        if not 0 < seconds < 2**63 or len(signature) < 8:
            raise Unsigned("the signature does not fit the text")
        check_signature(witness["public"], f"cosignature/v1\ntime {seconds}\n{body}".encode(), signature[8:])
        latest = max(latest, seconds)
    return latest


Ran = namedtuple("Ran", "good said complained made")


def openssl(arguments, **files):
    """Runs `openssl` in a folder of its own that holds `files`; `made` is what it wrote into the file of that name."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            with open(os.path.join(scratch, name), "wb") as file:
                file.write(content if type(content) is bytes else content.encode())
        done = subprocess.run(["openssl", *arguments.split()], cwd=scratch, capture_output=True, check=False)
        made = os.path.join(scratch, "made")
        made = open(made, encoding="utf-8", errors="replace").read() if os.path.exists(made) else ""
    said, complained = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return Ran(done.returncode == 0, said, complained, made)


# ---- What the reader trusts (Format, "The trust file") -----------------------------------------------------

MAX_TRUST_BYTES = 1 << 20
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
POLICY = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+", re.ASCII)


class Unreadable(Exception):
    """A file that is not what was asked for: exit code 2."""


class Trust:
    """Keys, notes, root certificates and policies that the reader got elsewhere."""

    def __init__(self, content=""):
        self.keys, self.witnesses, self.notes, self.roots, self.policies = [], [], [], [], []
        lines = deque(line.rstrip() for line in content.split("\n"))
        while lines:
            self.take(lines.popleft(), lines)
        if self.policies and not self.roots:
            raise Unreadable("the trust file has a policy and no root certificate")

    def is_empty(self):
        return not (self.keys or self.witnesses or self.notes or self.roots)

    def take(self, line, lines):
        if not line or line.startswith("#"):
            return
        if key := read_key(line, ED25519):
            self.keys.append(key)
        elif key := read_key(line, COSIGNATURE):
            self.witnesses.append(key)
        elif line.startswith("policy ") and POLICY.fullmatch(line[7:].strip()):
            self.policies.append(line[7:].strip())
        elif line == BEGIN:
            block = [line]
            while lines and block[-1] != END:
                block.append(lines.popleft())
            self.roots.append("\n".join(block) + "\n")
            if not openssl("x509 -noout -in root", root=self.roots[-1]).good:
                raise Unreadable("the trust file has a certificate that cannot be read")
        else:
            self.take_note(line, lines)

    def take_note(self, line, lines):
        note = line + "\n"
        while lines and lines[0]:
            note += lines.popleft() + "\n"
        note += "\n"
        if lines:
            lines.popleft()
        while lines and lines[0].startswith("\u2014"):
            note += lines.popleft() + "\n"
        mark = claimed(note)
        if mark is None:
            # A trust file that is understood in part would trust less than its owner thinks.
            raise Unreadable(f"the trust file has a line that is not understood: {line[:60]}")
        self.notes.append(mark)


# ---- Sealed content beside the records (Format, "Content") -------------------------------------------------

BLOB_HEAD = re.compile(rb"bulla-blob-1 kek_[0-9a-f]{32} ([0-9a-f]{64})\n")
MAX_EXCHANGES_WITH_CONTENT = 4_000_000


class Content:
    def __init__(self, findings):
        self.findings, self.held, self.windows, self.exchange = findings, {}, None, None
        self.count, self.size, self.digest = 0, 0, hashlib.sha256()

    def read(self, exchange, window, stream):
        """One file of content; `window` is -1 for the prompt. Files come in order of exchange and part."""
        fault = lambda words: self.findings.fault("content", f"content of {exchange}: {words}")
        head, sealed = stream.readline(160), hashlib.sha256()
        pieces, piece = head, head
        self.count += 1
        while piece:
            self.digest.update(piece)
            self.size += len(piece)
            piece = stream.read(1 << 16)
            sealed.update(piece)
        form = BLOB_HEAD.fullmatch(pieces)
        if not form:
            return fault("a file is not sealed content")
        digest = sha256(sealed.digest() + bytes.fromhex(form[1].decode()))
        if exchange != self.exchange:
            self.close()
            if len(self.held) >= MAX_EXCHANGES_WITH_CONTENT:
                return fault("more exchanges have content than one bundle may hold")
            self.exchange, self.held[exchange] = exchange, {}
        if window < 0:
            self.held[exchange]["prompt"] = digest
            return None
        self.windows = self.windows or (0, hashlib.sha256())
        number, digests = self.windows
        if number != window:
            return fault("a window of the answer is missing")
        digests.update(digest)
        self.windows = number + 1, digests
        return None

    def close(self):
        """Ends the windows of an answer: its digest is over the digests of the windows in order."""
        if self.windows:
            number, digests = self.windows
            self.held[self.exchange]["reply"] = number, digests.digest()
            self.windows = None

    def compare(self, at, record):
        """Content that is here is what the record names. Returns the classes of what is not, named here first."""
        held, reply, absent = self.held.get(record["exchange"], {}), record.get("reply"), []
        names = {
            "prompt": bytes.fromhex(record["prompt"]) if "prompt" in record else None,
            "reply": (reply["windows"], bytes.fromhex(reply["digest"])) if reply and reply["windows"] else None,
        }
        for part, named in names.items():
            if named and part in held:
                held[part, "named"] = True
                if held[part] != named:
                    self.findings.fault("content", f"the sealed {part} is not the one that this record names", at)
            elif named and (part == "reply" or "intent" not in record):
                # The prompt that an outcome names was named by its intent before.
                absent.append("answers" if part == "reply" else "prompts")
        return absent

    def stray(self):
        """The first exchange with content that no record names."""
        stray = lambda held: any(part in held and (part, "named") not in held for part in ("prompt", "reply"))
        return next((exchange for exchange, held in self.held.items() if stray(held)), None)


# ---- What was disposed of, and what was held (Format, "Record" and "Content") -------------------------------

DISPOSING = ("content.disposed", "agreement.disposed", "hold.placed", "hold.released", "tenant.offboarded")
CLAIM = "all that was not disposed of\n"
MAX_SINGLE = 1_000_000  # Holds in force, and units that were disposed of one by one.
MAX_TOLD = 10_000  # Disposals that a verdict tells of; what goes by later ones is counted at the last of them.


def unit_of(record):
    """What goes, or is held, together: a conversation, or an exchange outside of any; None for everything."""
    return next(((name, record[name]) for name in ("conversation", "exchange") if name in record), None)


class Disposals:
    """Whoever wants something gone could say that it was never kept. Therefore a bundle can claim that all is here."""

    def __init__(self, findings):
        self.findings, self.complete, self.holds, self.units, self.days = findings, False, {}, {}, {}
        self.everything, self.told, self.missing = None, [], []

    def take(self, at, record):
        kind, holds, hold, unit = record["kind"], self.holds, record.get("hold"), unit_of(record)
        words = None
        if kind == "hold.placed" and len(holds) >= MAX_SINGLE:
            words = "more holds are in force than one log may have"
        elif kind == "hold.placed":
            words = f"the hold {hold} is placed a second time" if hold in holds else None
            holds[hold] = unit
        elif kind == "hold.released":
            words = None if hold in holds else f"the hold {hold} is released and was not in force"
            holds.pop(hold, None)
        elif kind == "agreement.disposed":
            over = [name for name, held in holds.items() if held is None]
            words = f"it was disposed of while the hold {min(over)} covered it" if over else None
        else:
            words = self.dispose(at, record, unit)
        if words:
            self.findings.fault("inconsistent", words, at)

    def dispose(self, at, record, unit):
        """A disposal, and what is wrong with it."""
        if record.get("before", "") > record["time"][:10]:
            return f"it disposes of what was still to come, before {record['before']}"
        number = min(len(self.told), MAX_TOLD - 1)
        if len(self.told) < MAX_TOLD:
            self.told.append({"at": at, "authority": record["authority"], "payloads": 0})
        if record["kind"] == "tenant.offboarded":
            self.everything = number
            return f"everything was disposed of under the hold {min(self.holds)}" if self.holds else None
        for name in record["classes"] if "before" in record else []:
            # The first disposal of something counts, so a later one matters only for days that are later still.
            days = self.days.setdefault(name, [])
            if not days or record["before"] > days[-1][0]:
                days.append((record["before"], number))
        if unit and len(self.units) >= MAX_SINGLE:
            return "more was disposed of piece by piece than one log may tell"
        if unit:
            self.units.setdefault(unit, []).append((record["classes"], number))
        over = [hold for hold, held in self.holds.items() if held in (None, unit)]
        return f"it was disposed of while the hold {min(over)} covered it" if over else None

    def prune(self):
        """What is wrong with pruning records now."""
        return f"records were pruned under the hold {min(self.holds)}" if self.holds else None

    def misses(self, at, record, name):
        """A record names content of a class, and the bundle does not hold it."""
        if self.complete and len(self.missing) >= MAX_EXCHANGES_WITH_CONTENT:
            self.findings.fault("content", "more content is absent than one bundle may tell of", at)
        elif self.complete:
            # An answer is sealed under the keys of its intent.
            since = record.get("intent", at) if name == "answers" else at
            self.missing.append((since, record["exchange"], unit_of(record), record.get("key_day"), name))

    def disposal_of(self, since, unit, key_day, name):
        """The first disposal by which such content went, and that comes after it; None when there is none."""
        later = lambda number: self.told[number]["at"] > since
        numbers = [number for classes, number in self.units.get(unit, []) if name in classes and later(number)]
        days = self.days.get(name, []) if key_day else []
        numbers += [number for _, number in days[bisect_right(days, (key_day, MAX_TOLD)):][:1]]
        numbers += [self.everything] if self.everything is not None and later(self.everything) else []
        return min(numbers, default=None)

    def finish(self, broken):
        first = None
        for since, exchange, unit, key_day, name in self.missing:
            number = self.disposal_of(since, unit, key_day, name)
            if number is not None:
                self.told[number]["payloads"] += 1
            else:
                first = first or f"{name} of {exchange}: named by a record, not in the bundle, and no record says " \
                                 "that it was disposed of"
        if first and not broken:
            self.findings.fault("content", first)


# ---- RFC 3161 time stamps, by `openssl ts` (docs/decisions/014-time-stamps.md) -----------------------------

MAX_TOKEN_BYTES = 64 * 1024
HARMLESS = {"Unspecified", "Affiliation Changed", "Superseded", "Cessation Of Operation"}
CERTIFICATE = re.compile(f"{BEGIN}.*?{END}\n?", re.DOTALL)
PEM = re.compile("-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \\1-----")
LIST = re.compile("-----BEGIN X509 CRL-----.*?-----END X509 CRL-----\n?", re.DOTALL)


class NotAStamp(Exception):
    """A token that does not hold, in words."""


def printed(name, text):
    """The value that `openssl` prints after a name."""
    found = re.search(rf"^\s*{name}[:=]\s*(.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def moment(text):
    """Microseconds since 1970 of a time as `openssl` prints it: `Nov 26 16:43:35.382 2026 GMT`."""
    whole, _, fraction = re.sub(r"(\.\d+)( \d{4}) GMT$", r"\2 GMT\1", text).partition("GMT")
    try:
        seconds = (datetime.strptime(whole.strip(), "%b %d %H:%M:%S %Y") - datetime(1970, 1, 1)).total_seconds()
    except ValueError as error:
        raise NotAStamp("not a time-stamp token") from error
    return int(seconds) * 10**6 + int((fraction.lstrip(".") + "000000")[:6])


def describe(pem):
    """Names, serial number and end of a certificate."""
    said = openssl("x509 -noout -subject -issuer -serial -enddate -nameopt RFC2253,utf8,-esc_msb -in it", it=pem).said
    return {name: printed(name, said) for name in ("subject", "issuer", "serial", "notAfter")}


def accuracy(text):
    """Microseconds by which the time may be off; None when the authority did not say."""
    if text in ("", "unspecified"):
        return None
    parts = {unit: int(value, 16) for value, unit in re.findall(r"0x([0-9A-Fa-f]+) (seconds|millis|micros)", text)}
    return parts.get("seconds", 0) * 10**6 + parts.get("millis", 0) * 1000 + parts.get("micros", 0)


def is_one_element(token):
    """Whether a token is one DER element and nothing behind it, where OpenSSL does not look."""
    digits = token[1] - 0x80 if token[1] > 0x80 else 0
    length = int.from_bytes(token[2:2 + digits], "big") if digits else token[1]
    return len(token) == 2 + digits + length


class Authorities:
    """Checks tokens for a reader who trusts some roots, with certificates and lists that are only archived."""

    def __init__(self, trust):
        self.roots, self.policies = "".join(trust.roots), trust.policies
        self.certificates, self.lists = [], []

    def archive(self, pem):
        """Certificates and revocation lists of an authority. None of them is believed for being here."""
        blocks = PEM.findall(pem)
        if len(blocks) != pem.count("-----BEGIN") or None in [unbase64("".join(body.split())) for _, body in blocks]:
            raise NotAStamp("a certificate or a revocation list cannot be read")
        readable = lambda certificate: openssl("x509 -noout -in it", it=certificate).good
        self.certificates += filter(readable, CERTIFICATE.findall(pem))
        for crl in LIST.findall(pem):
            read = openssl("crl -noout -text -issuer -nameopt RFC2253,utf8,-esc_msb -in it", it=crl)
            if not read.good:
                raise NotAStamp("a certificate or a revocation list cannot be read")
            entries = {}
            for entry in re.split(r"^    Serial Number: ", read.said, flags=re.MULTILINE)[1:]:
                reason = re.search(r"Reason Code:.*\n\s*(.*\S)", entry)
                dates = re.findall(r"(?:Revocation Date: |Invalidity Date:.*\n\s*)(.* GMT)", entry)
                entries[entry.split()[0]] = (reason and reason[1], [moment(date) for date in dates])
            self.lists.append({"issuer": printed("issuer", read.said), "entries": entries, "pem": crl})

    def check(self, token, note):
        """What a token over a note says; None when no root that is trusted leads to it; or `NotAStamp`."""
        said = openssl("ts -reply -token_in -in token -text", token=token)
        time = moment(printed("Time stamp", said.said))
        if not said.good or len(token) > MAX_TOKEN_BYTES or not is_one_element(token):
            raise NotAStamp("not a time-stamp token")
        if printed("Hash Algorithm", said.said) not in ("sha256", "sha384", "sha512"):
            raise NotAStamp("the token uses an algorithm that is not accepted")  # Two messages can share a SHA-1.
        if self.policies and printed("Policy OID", said.said) not in self.policies:
            raise NotAStamp("the policy of the time stamp is not one that is accepted")
        if ": critical" in said.said.partition("\nExtensions:")[2]:
            raise NotAStamp("the time stamp has a critical extension that is not known")
        carried = openssl("pkcs7 -inform DER -print_certs -in token", token=token).said
        known = CERTIFICATE.findall(carried) + self.certificates
        files = {"token": token, "note": note, "known": "".join(known) + self.roots, "roots": self.roots}
        # The check is at the time that the token states: a token outlives the certificate that signed it.
        verify = f"ts -verify -token_in -in token -data note -untrusted known -attime {time // 10**6} -CAfile "
        trusted = openssl(verify + "roots", **files)
        # Taking its own certificates for roots leaves every other rule in force: what was stamped, one signature,
        # the certificate that it names (RFC 5816), its purpose (RFC 3161 section 2.3), its validity.
        if not trusted.good and not openssl(verify + "known -partial_chain", **files).good:
            raise NotAStamp("openssl ts -verify does not accept it")
        if not trusted.good and re.search("Verify error:.*(has expired|not yet valid)", trusted.complained):
            raise NotAStamp("a certificate was not valid at the time of the time stamp")
        if not trusted.good:
            return None
        signer = "cms -verify -noverify -inform DER -in token -certfile known -signer made -out info"
        signer = describe(openssl(signer, **files).made)
        name = re.search(r"(?:^|,)CN=((?:\\.|[^,])*)", signer["subject"]) or re.search("(.*)", signer["subject"])
        self.ask_lists(signer, name[1], known, time, files["known"])
        return {"time": time, "accuracy": accuracy(printed("Accuracy", said.said)), "authority": name[1],
                "certificate_ends": moment(signer["notAfter"])}

    def ask_lists(self, signer, name, known, time, pems):
        """Asks every archived list that speaks for the signer or one of its issuers."""
        above = {found["subject"]: found for found in map(describe, known)} if self.lists else {}
        path = [signer]
        while len(path) <= 8:
            issuer = above.get(path[-1]["issuer"])
            # A root is believed for being trusted; no list speaks for it.
            if issuer is None or issuer["subject"] == issuer["issuer"]:
                break
            path.append(issuer)
        for crl in self.lists:
            for certificate in [of for of in path if of["issuer"] == crl["issuer"]]:
                signed = openssl("crl -noout -verify -CAfile pems -in it", pems=pems, it=crl["pem"])
                if "verify OK" not in signed.complained:
                    # Whoever altered the list may hide by it that the certificate is revoked.
                    raise NotAStamp(f"stamp of {name}: a revocation list in authorities/ is not signed by its issuer")
                reason, dates = crl["entries"].get(certificate["serial"], (None, []))
                # RFC 3161 section 4, item 1: for such a reason, earlier stamps stay valid.
                later = certificate is signer and reason in HARMLESS and all(date > time for date in dates)
                if dates and not later:
                    raise NotAStamp("a certificate is revoked")


# ---- Who outside of the deployment vouches for the log (Format, "Anchors") ---------------------------------

MAX_SKEW_SECONDS = 60
SECOND = 10**6
CHECKPOINT, COSIGNATURES, INCLUSION, STAMP = range(4)
MAX_PROOF_HASHES = 128


def included(leaf, index, size, path, root):
    """RFC 9162 section 2.1.3.2."""
    if index >= size:
        return False
    last = size - 1
    for other in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            leaf = node_hash(other, leaf)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            leaf = node_hash(leaf, other)
        index, last = index >> 1, last >> 1
    return last == 0 and leaf == root


def read_inclusion(text):
    """Which checkpoint, its position, and the proof; None when the text is not of the one form."""
    first, second, *hashes = text.removesuffix("\n").split("\n") + [""] * (text.count("\n") < 2)
    of, index = first.removeprefix("checkpoint "), second.removeprefix("index ")
    path = [unbase64(line) for line in hashes]
    numbers = SIZE.fullmatch(of) and SIZE.fullmatch(index) and int(of) < 2**64 and int(index) < 2**64
    if not numbers or len(path) > MAX_PROOF_HASHES or any(not hash or len(hash) != 32 for hash in path):
        return None
    written = "\n".join([f"checkpoint {of}", f"index {index}", *hashes]) + "\n"
    return (int(of), int(index), path) if written == text else None


class Anchors:
    def __init__(self, trust, findings):
        self.trust, self.findings, self.authorities = trust, findings, Authorities(trust)
        self.current, self.origins, self.tokens = None, [], {}
        self.stamps, self.cosignatures, self.unchecked, self.untrusted = [], [], 0, 0

    def archive(self, data):
        try:
            if self.trust.roots:
                self.authorities.archive(data.decode("utf-8", "replace"))
        except NotAStamp as error:
            self.findings.fault("anchor", f"the archive of an authority: {error}")

    def file(self, size, kind, data, find_note):
        """One file of an anchor; `find_note` finds the signed note of this log by its number of records."""
        fault = lambda words: self.findings.fault("anchor", f"the anchor of size {size}: {words}")
        try:
            text = "" if kind == STAMP else data.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if kind == CHECKPOINT:
            self.current = None
            checkpoint = claimed(text)
            if checkpoint is None or checkpoint["size"] != size:
                return fault("not a signed checkpoint of that size")
            own = [key for key in self.trust.keys if key["name"] == checkpoint["origin"]]
            if own and not any(is_by(text, key) for key in own):
                return fault("not signed by the deployment's key")
            self.origins.append(checkpoint["origin"])
            self.current = {**checkpoint, "covers": None, "cosignatures": ""}
        elif not self.current or self.current["size"] != size:
            return fault("it has no checkpoint")
        elif kind == COSIGNATURES:
            self.current["cosignatures"] = text
        elif kind == INCLUSION:
            return self.inclusion(read_inclusion(text), find_note, fault)
        else:
            return self.stamp(data, fault)
        return None

    def inclusion(self, proof, find_note, fault):
        """The second link: the note of this log is a leaf of the deployment's log."""
        if proof is None:
            return fault("the inclusion is not of its form")
        of, index, path = proof
        note = find_note(of)
        if note is None:
            return fault(f"its checkpoint of {of} is not here")
        if not included(sha256(b"\0" + note.encode()), index, self.current["size"], path, self.current["root"]):
            return fault("the proof does not lead to the root")
        self.current["covers"] = of
        for witness in self.trust.witnesses:
            try:
                seconds = cosigned(self.current["note"] + self.current["cosignatures"], witness)
                self.cosignatures.append({"size": of, "time": seconds * SECOND, "witness": witness["name"]})
            except NotByThisKey:
                pass
            except Unsigned as error:
                return fault(f"{witness['name']}: {error}")
        return None

    def stamp(self, token, fault):
        """The third link: an authority says when the deployment's checkpoint was there."""
        if self.current["covers"] is None:
            return fault("it has a stamp and no inclusion")
        if not self.trust.roots:
            self.unchecked += 1
            return None
        try:
            stamp = self.authorities.check(token, self.current["note"])
        except NotAStamp as error:
            return fault(str(error))
        if stamp is None:
            self.untrusted += 1
            return None
        self.tokens[sha256(token)] = (stamp["time"], leeway(stamp))
        self.stamps.append({"size": self.current["covers"], **stamp})
        return None


def leeway(stamp):
    """How far a stamp may be from the true time, in whole seconds; of an unknown accuracy, one."""
    return 1 if stamp["accuracy"] is None else stamp["accuracy"] // SECOND + 1


class Bounds:
    """What the times of records are held to: earlier than the stamps over them, later than the tokens before them."""

    def __init__(self, findings, anchors):
        self.findings, self.tokens = findings, anchors.tokens
        limits = sorted((stamp["size"], stamp["time"] + (MAX_SKEW_SECONDS + leeway(stamp)) * SECOND, stamp["time"])
                        for stamp in anchors.stamps)
        # A record is held to the earliest of all stamps that cover it.
        self.upper, least = [], None
        for size, *limit in reversed(limits):
            least = limit if least is None else min(least, limit)
            self.upper.insert(0, (size, *least))
        self.next, self.floor, self.skew, self.late, self.early, self.longest = 0, None, 0, None, None, None
        self.told = False

    def see(self, at, time):
        """Whether the time of the record at a position contradicts a stamp."""
        while self.next < len(self.upper) and self.upper[self.next][0] <= at:
            self.next += 1
        size, limit, stamped = self.upper[self.next] if self.next < len(self.upper) else (None, None, None)
        if size is not None:
            seconds = max((stamped - time) // SECOND, 0)
            if self.longest is None or seconds > self.longest["seconds"]:
                self.longest = {"seconds": seconds, "at": at}
        if size is not None and time > limit:
            by, words = time - limit, f"a stamp over {size} records shows that it was there by {shown(stamped)}"
            if self.late is None or by > self.late[1]:
                self.late = at, by, f"the record says {shown(time)}; {words}"
            return True
        if self.floor is not None and time < self.floor:
            by = time - self.floor
            words = f"it stands after a record that could not be written before {shown(self.floor)}"
            if self.early is None or by < self.early[1]:
                self.early = at, by, f"the record says {shown(time)}; {words}"
            return True
        return False

    def anchored(self, token, time):
        """A record names a token: what follows is later than its stamp, and shows how the clock stands."""
        if token not in self.tokens:
            return
        stamped, leeway_seconds = self.tokens[token]
        slack = (MAX_SKEW_SECONDS + leeway_seconds) * SECOND
        # That the clock is wrong has to be said; how wrong it is by then, every stamp shows.
        self.settle(0 if abs(time - stamped) <= slack or self.skew == 0 else time - stamped)
        self.floor = max(stamped - slack, self.floor if self.floor is not None else stamped - slack)

    def skewed(self, at, time, stamped):
        """The log says that its clock is wrong. It counts when there was such a stamp, as far as the bundle shows."""
        over = self.upper[self.next] if self.next < len(self.upper) else None
        between = over and over[0] > at and stamped <= over[1] and (self.floor is None or stamped >= self.floor)
        if between or any(stamped == known for known, _ in self.tokens.values()):
            self.settle(time - stamped)

    def settle(self, skew):
        """What contradicts a stamp is a fault, but for what a wrong clock explains of which the log told."""
        least, most, self.skew = min(self.skew, skew), max(self.skew, skew), skew
        for at, by, words in filter(None, (self.late, self.early)):
            if not (by <= most if by > 0 else by >= least):
                self.findings.fault("misdated", words, at)
            elif not self.told:
                self.told = True
                self.findings.warn(f"the clock was wrong, as the log says itself; position {at}: {words}")
        self.late = self.early = None


def shown(time):
    """A time in microseconds as people read it."""
    return (datetime(1970, 1, 1) + timedelta(microseconds=time)).isoformat(timespec="microseconds") + "Z"


# ---- The files (Format, "Files, in this order" and "Manifest") ---------------------------------------------

BUNDLE = "bulla-bundle-1"
MAX_SMALL_FILE_BYTES, MAX_FILES, MAX_FOLDER_DEPTH = 1 << 20, 20_000, 4
DIGITS = "([0-9]{10}|[1-9][0-9]{10,19})"
AUTHORITY = "[a-z0-9_-]{1,64}"
# The forms of names, in the order of the files.
PARTS = [re.compile(pattern, re.ASCII) for pattern in (
    r"VERIFY\.md",
    r"verify\.html",
    r"verify\.py",
    r"checkpoint",
    rf"checkpoints/{DIGITS}",
    rf"authorities/{AUTHORITY}\.pem",
    rf"anchors/{DIGITS}\.(?:(checkpoint)|(cosignatures)|(inclusion)|({AUTHORITY}\.tst))",
    r"content",
    r"blobs/(exc_[0-9a-f]{32})/(?:prompt|window-([0-9]{6}|[1-9][0-9]{6,9}))",
    r"pruned",
    r"records\.jsonl",
    r"manifest\.json",
)]
INSTRUCTIONS, PAGE, SCRIPT, LAST, EARLIER, ARCHIVE, ANCHOR, WHOLE, BLOB, PRUNED, RECORDS, MANIFEST = range(len(PARTS))
# Carried for people. Who checks takes no program from what is checked.
CARRIED = (INSTRUCTIONS, PAGE, SCRIPT)


def part_of(name):
    """What a file is by its name, as a tuple in the order of the files; None when it is no part of a bundle."""
    for part, pattern in enumerate(PARTS):
        if match := pattern.fullmatch(name):
            groups = match.groups()
            if part == BLOB:
                window = -1 if groups[1] is None else int(groups[1])
                return (part, groups[0], window) if window < 2**32 else None
            if part in (EARLIER, ANCHOR):
                size, kinds = int(groups[0]), [at for at, group in enumerate(groups[1:]) if group]
                return (part, size, *kinds) if size < 2**64 else None
            return (part,)
    return None


class Slice(io.RawIOBase):
    """The next `left` bytes of a file; fewer when it breaks off, where tarfile's own reader would give none."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.file.read(min(len(buffer), self.left))
        buffer[: len(data)] = data
        self.left -= len(data)
        return len(data)


class Hashing:
    """A stream that counts and hashes what passes."""

    def __init__(self, stream):
        self.stream, self.size, self.digest = stream, 0, hashlib.sha256()

    def read(self, count):
        data = self.stream.read(count)
        self.size += len(data)
        self.digest.update(data)
        return data


def each_in_tar(path):
    """Name and content of each plain file of a tar, in its order."""
    with tarfile.open(path, "r:") as archive, open(path, "rb") as file:
        for entry in archive:
            if entry.isreg():
                file.seek(entry.offset_data)
                yield entry.name.removeprefix("./"), io.BufferedReader(Slice(file, entry.size), 1 << 16)
            elif not entry.isdir():
                yield "(not a plain file)", io.BytesIO()
        # tarfile takes a damaged header for the end of the archive.
        file.seek(archive.offset)
        end = file.read(512)
        if any(end) or len(end) not in (0, 512):
            raise tarfile.ReadError("a header is damaged")


def each_in_folder(root):
    """Name and content of each plain file of a folder, in the order of a bundle."""
    found, folders = [], [("", 0)]
    while folders:
        prefix, depth = folders.pop()
        for entry in os.scandir(os.path.join(root, prefix)):
            if entry.is_dir(follow_symlinks=False) and depth < MAX_FOLDER_DEPTH:
                folders.append((prefix + entry.name + "/", depth + 1))
            elif entry.is_file(follow_symlinks=False):
                found.append(prefix + entry.name)
    for name in sorted(found, key=lambda name: (part_of(name) or (len(PARTS),), name)):
        with open(os.path.join(root, name), "rb") as file:
            yield name, file


class Bundle:
    """A check under way. Files are handed over in their order; `finish` says what can be said only at the end."""

    def __init__(self, trust):
        self.trust, self.findings = trust, Findings()
        self.content, self.anchors = Content(self.findings), Anchors(trust, self.findings)
        self.disposals = Disposals(self.findings)
        self.marks = [{**mark, "trusted": True} for mark in trust.notes]
        self.part, self.name, self.seen, self.parts, self.strangers = None, "", {}, set(), []
        self.note = self.checkpoint = self.manifest = self.key_source = None
        self.bounds = Bounds(self.findings, self.anchors)
        self.records = Records(self.findings, self.marks, self.content, self.bounds, self.disposals)

    def file(self, name, content):
        part = part_of(name)
        if part is None:
            return self.strangers.append(name)
        if self.part is not None and (part < self.part or part == self.part and name <= self.name):
            return self.findings.fault("format", f"{name} stands twice or out of order")
        self.part, self.name = part, name
        if part[0] == BLOB:
            return self.content.read(part[1], part[2], content)
        if len(self.seen) >= MAX_FILES:
            return self.findings.fault("format", "there are more files than a bundle may hold")
        self.parts.add(part[0])
        if part[0] == PRUNED:
            self.begin_records()
            content = Hashing(content)
            self.records.hashes(content)
            self.seen[name] = {"name": name, "size": content.size, "sha256": content.digest.hexdigest()}
            return None
        if part[0] == RECORDS:
            if PRUNED not in self.parts:
                self.begin_records()
            self.records.read(content)
            self.seen[name] = {"name": name, "size": self.records.size}
            return None
        data, size, digest = content.read(MAX_SMALL_FILE_BYTES + 1), 0, hashlib.sha256()
        piece = data
        while piece:
            size += len(piece)
            digest.update(piece)
            piece = content.read(1 << 16)
        self.seen[name] = {"name": name, "size": size, "sha256": digest.hexdigest()}
        if part[0] in CARRIED:
            return None
        if size > MAX_SMALL_FILE_BYTES:
            self.findings.fault("format", f"{name} is too long")
            data = b""
        return self.small_file(part, name, data)

    def begin_records(self):
        self.content.close()
        self.bounds = Bounds(self.findings, self.anchors)
        self.records = Records(self.findings, self.marks, self.content, self.bounds, self.disposals)

    def small_file(self, part, name, data):
        if part[0] == ANCHOR:
            return self.anchors.file(part[1], part[2], data, self.find_note)
        if part[0] == ARCHIVE:
            return self.anchors.archive(data)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
            self.findings.fault("format", f"{name} is not UTF-8")
        if part[0] == LAST:
            self.note, self.checkpoint = text, claimed(text)
        elif part[0] == WHOLE and text == CLAIM:
            self.disposals.complete = True
        elif part[0] == WHOLE:
            self.findings.fault("format", "content does not say what it must say")
        elif part[0] == EARLIER:
            mark = claimed(text)
            if mark is None or mark["size"] != part[1]:
                return self.findings.fault("format", f"{name} is not a checkpoint of that size")
            self.marks.append({**mark, "trusted": False})
        else:
            self.manifest = read_manifest(text)
            if self.manifest is None:
                self.findings.fault("format", "manifest.json is not a manifest")
        return None

    def find_note(self, size):
        """The first link of an anchor: the signed note of this log over so many records."""
        here = [self.checkpoint] if self.checkpoint else []
        notes = here + [mark for mark in self.marks if not mark["trusted"]]
        return next((note["note"] for note in notes if note["size"] == size), None)

    def finish(self):
        self.bounds.settle(self.bounds.skew)
        self.finish_chain()
        self.finish_signature()
        self.finish_marks()
        self.finish_anchors()
        self.finish_files()
        records, findings = self.records, self.findings
        stray = self.content.stray()
        if records.count and not records.broken and stray:
            findings.fault("content", f"content of {stray}: no record commits to it")
        self.disposals.finish(records.broken)
        absent = records.pruned.size - 1
        if absent >= 0 and records.pruned.verdict() is None and not records.broken:
            words = "are not here, and no record says that they were pruned"
            findings.fault("deleted", f"records 1 to {absent} {words}")
        if records.pruned.size and records.pruned.too_early is not None:
            findings.warn(f"records were pruned at {records.pruned.too_early}, less than six years after the log "
                          "began, and no decision is named")
        if records.open and not records.broken:
            findings.warn(f"{len(records.open)} intent(s) have no outcome; the first is {min(records.open)}")
        if self.strangers:
            # The first is named and the others are counted, so that they cannot crowd out another warning.
            others = f" and {len(self.strangers) - 1} other files" if len(self.strangers) > 1 else ""
            findings.warn(f"{self.strangers[0]}{others}: no part of a bundle; not looked at")
        if records.steps_back > 1:
            findings.warn(f"the clock stepped back {records.steps_back} times")
        return self.verdict()

    def finish_chain(self):
        """Format, "Checkpoint": size and root of `checkpoint` equal those of the records."""
        fault, records = self.findings.fault, self.records
        size, root = (self.checkpoint["size"], self.checkpoint["root"]) if self.checkpoint else (None, None)
        if RECORDS not in self.parts:
            fault("format", "records.jsonl is missing")
        elif records.pruned.lacks_opening():
            fault("deleted", "record 0 is missing", 0)
        if RECORDS not in self.parts:
            return
        if records.broken:
            kind, at, words = records.broken.explain(size, root)
            records.count = records.broken.lines
            fault(kind, words, at)
        elif size is not None and records.count != size:
            kind, at = ("truncated", records.count) if records.count < size else ("inserted", size)
            fault(kind, f"the checkpoint signs {size} records; {records.count} are here", at)
        elif size is not None and records.tree.root() != root:
            words = "the chain is whole and the signed root differs: the last record was edited, or all records from "
            fault("edited", words + "some earlier position on were written anew", max(size - 1, 0))

    def own_key(self):
        """The key that the first record names."""
        opening = self.records.opening
        return read_key(opening["verifier_key"], ED25519) if opening else None

    def finish_signature(self):
        """The key that signs is the trusted one when one is given, and the one that the first record names."""
        fault, own = self.findings.fault, self.own_key()
        if self.note is None:
            return fault("format", "the checkpoint is missing")
        if not self.trust.keys:
            if own is None:
                return fault("signature", "the key of the checkpoint is unknown")
            try:
                opened(self.note, own)
                self.key_source = "bundle_only"
            except Unsigned as error:
                fault("signature", f"the checkpoint: {error}")
            return None
        origin = self.checkpoint["origin"] if self.checkpoint else ""
        key = next((key for key in self.trust.keys if key["name"] == origin and is_by(self.note, key)), None)
        if key is None:
            return fault("signature", "the checkpoint is not signed by a key that you trust")
        self.key_source = "trusted"
        if (own is None or own["line"] != key["line"]) and not self.records.broken:
            fault("signature", "the first record names another key than the trusted one", 0)
        return None

    def finish_marks(self):
        """Format, "Checkpoint" and "The trust file": every earlier note of this log fits its beginning."""
        fault, records, vouched, own = self.findings.fault, self.records, 0, self.own_key()
        if self.checkpoint and records.opening and self.checkpoint["origin"] != records.log:
            fault("signature", "the checkpoint is of another log than the records")
        keys = self.trust.keys if self.key_source == "trusted" else [own] if own else []
        self.earlier_trusted, self.earlier_inside, foreign = [], 0, 0
        for mark in sorted(self.marks, key=lambda mark: mark["size"]):
            size, which = mark["size"], f"the earlier checkpoint of {mark['size']} records"
            if mark["origin"] != records.log:
                foreign += 1
            elif not any(is_by(mark["note"], key) for key in keys):
                fault("signature", f"{which} is not signed by this log's key")
            elif mark.get("fits"):
                vouched = size
                self.earlier_inside += not mark["trusted"]
                self.earlier_trusted += [size] * mark["trusted"]
            elif mark.get("fits") is False:
                words = f"{which} has another root: the log was written anew from some position before {size}"
                fault("rewritten", words, vouched)
            elif not records.broken:
                fault("truncated", f"{which} exists; {records.count} are here", records.count)
        if foreign:
            self.findings.warn(f"{foreign} earlier checkpoint(s) of another log; not looked at")
        if self.key_source == "bundle_only" and self.earlier_trusted:
            self.key_source = "earlier_checkpoint"
        # Fail closed: someone who gave a trust file must not read "good" when none of it applied.
        if self.key_source == "bundle_only" and (self.trust.keys or self.trust.notes) and not records.broken:
            fault("signature", "nothing in the trust file vouches for this log")

    def finish_anchors(self):
        log, anchors, warn = self.records.log or "", self.anchors, self.findings.warn
        if any(origin != log.rpartition("/")[0] for origin in anchors.origins) and not self.records.broken:
            self.findings.fault("anchor", "an anchor is of another deployment than the log")
        if anchors.unchecked:
            warn(f"{anchors.unchecked} time stamps were not checked: no authority is in the trust file")
        if anchors.untrusted:
            warn(f"{anchors.untrusted} time stamps are by authorities that are not in the trust file")
        if self.records.misdated > 1:
            warn(f"{self.records.misdated} records are dated against a time stamp")

    def finish_files(self):
        """Format, "Manifest": nothing in it is believed, and whatever it says, the log must say too."""
        fault, manifest, opening = self.findings.fault, self.manifest, self.records.opening or {}
        if manifest is None:
            if MANIFEST not in self.parts:
                fault("format", "manifest.json is missing: the bundle is not whole")
            return
        seen = [file for name, file in self.seen.items() if name != "manifest.json"]
        if manifest["files"] != seen:
            other = next((file["name"] for file in manifest["files"] if file not in seen), "a file")
            fault("format", f"{other} is not as the manifest lists it, or the order is another")
        blobs = {"count": self.content.count, "size": self.content.size, "sha256": self.content.digest.hexdigest()}
        says = [manifest[name] for name in ("log", "records", "blobs", "organisation", "verifier_key")]
        log = [self.records.log, self.records.count, blobs, opening.get("organisation"), opening.get("verifier_key")]
        if says != log:
            fault("format", "the manifest says something else than the log")

    def verdict(self):
        records, problems, opening = self.records, self.findings.problems(), self.records.opening or {}
        return {
            "good": not problems, "problems": problems, "more_problems": self.findings.more,
            "warnings": self.findings.warnings, "log": opening and records.log,
            "organisation": opening.get("organisation"), "verifier_key": opening.get("verifier_key"),
            "key_source": self.key_source, "records": records.count,
            "checkpoint_size": self.checkpoint and self.checkpoint["size"],
            "checkpoint_root": self.checkpoint and self.checkpoint["root"].hex(),
            "earlier_trusted": self.earlier_trusted, "earlier_inside": self.earlier_inside,
            "stamps": sorted(self.anchors.stamps, key=lambda stamp: (stamp["size"], stamp["time"])),
            "exposure": self.bounds.longest, "witnessed": self.anchors.cosignatures,
            "first": records.first, "last": records.last, "intents": records.intents, "outcomes": records.outcomes,
            "open_intents": len(records.open), "blobs": self.content.count,
            "pruned": records.pruned.verdict(), "disposed": self.disposals.told,
        }


MANIFEST_FORM = one({
    "format": word(BUNDLE), "log": LOG, "organisation": text, "verifier_key": text, "records": number, "created": time,
    "files": a_list(one({"name": text, "size": number}, sha256=HASH)),
    "blobs": one({"count": number, "size": number, "sha256": HASH}),
})
MANIFEST_ORDER = "format log organisation verifier_key records created files blobs".split()


def read_manifest(text):
    """The manifest, in the one layout in which it is written; None for any other text."""
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        return None
    same = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n" == text
    return manifest if same and MANIFEST_FORM(manifest) and list(manifest) == MANIFEST_ORDER else None


# ---- The proof of one record (Format, "The proof of one record"; C2SP tlog-proof) ---------------------------

ONE, PROOF = "record", "record.tlog-proof"


def read_proof(data):
    """Position, proof and signed note, without extra data; None for any other text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    index = lines[1][6:] if len(lines) > 1 and lines[:1] == ["c2sp.org/tlog-proof@v1"] else ""
    path = [unbase64(line) for line in lines[2:]]
    if not gap or not SIZE.fullmatch(index) or int(index) >= 2**64 or lines[1] != f"index {index}":
        return None
    if len(path) > MAX_PROOF_HASHES or any(hash is None or len(hash) != 32 for hash in path):
        return None
    return int(index), path, note


class OneRecord:
    """A check under way of a record, its place under a signed checkpoint, and who vouches for that checkpoint."""

    def __init__(self, trust):
        self.trust, self.problems, self.warnings, self.anchors = trust, [], [], Anchors(trust, self)
        self.data = self.proof = self.last = None
        self.verdict = dict.fromkeys(("log", "seq", "time", "leaf", "checkpoint_size"))
        self.verdict["key_trusted"] = False

    def fault(self, kind, words, at=None):
        self.problems.append({"at": at, "kind": kind, "words": words})

    def file(self, name, content):
        data, part = content.read(MAX_SMALL_FILE_BYTES + 1), part_of(name) or (len(PARTS),)
        if len(data) > MAX_SMALL_FILE_BYTES:
            return self.fault("format", f"{name} is too long")
        first = self.proof is None if self.last is None else (part, name) <= self.last
        if first and name not in (ONE, PROOF):
            return self.fault("format", f"{name} stands twice or out of order")
        if name == ONE and self.data is None:
            self.data = data
        elif name == PROOF and self.proof is None:
            self.proof = read_proof(data)
            if self.proof is None:
                self.fault("format", f"{name} is not a proof")
        elif part[0] in (ARCHIVE, ANCHOR):
            self.last = part, name
            if part[0] == ARCHIVE:
                return self.anchors.archive(data)
            return self.anchors.file(part[1], part[2], data, self.find_note)
        else:
            self.fault("format", f"{name} is no part of a receipt")
        return None

    def find_note(self, size):
        note = self.proof[2] if self.proof else ""
        return note if (claimed(note) or {}).get("size") == size else None

    def finish(self):
        record, anchors, verdict = read_record(self.data) if self.data is not None else None, self.anchors, self.verdict
        if self.data is None or self.proof is None:
            self.fault("format", "the record or its proof is missing")
        elif record is None:
            self.fault("edited", "the bytes are not a record")
        else:
            self.check(record)
        if anchors.unchecked:
            self.warnings.append("time stamps were not checked: trust no authority")
        if anchors.untrusted:
            self.warnings.append("time stamps are by authorities that you do not trust")
        if any(origin != (verdict["log"] or "").rpartition("/")[0] for origin in anchors.origins):
            self.fault("anchor", "an anchor is of another deployment than the log", verdict["seq"])
        bounds = Bounds(self, anchors)
        if verdict["time"] and bounds.see(0, micros(verdict["time"])):
            self.fault("misdated", bounds.late[2], verdict["seq"])
        return {"good": not self.problems, "problems": self.problems, "warnings": self.warnings, **verdict,
                "stamps": anchors.stamps, "witnessed": anchors.cosignatures}

    def check(self, record):
        """The record is at its own position of the log that it names, under a checkpoint that a trusted key signed."""
        (index, path, note), leaf = self.proof, sha256(b"\0" + self.data)
        log, seq, checkpoint = record["log"], record["seq"], claimed(self.proof[2])
        size, root = (checkpoint["size"], checkpoint["root"]) if checkpoint else (None, None)
        trusted = any(is_by(note, key) for key in self.trust.keys if key["name"] == log)
        self.verdict.update(log=log, seq=seq, time=record["time"], leaf=leaf.hex(), checkpoint_size=size,
                            key_trusted=trusted)
        own = checkpoint and checkpoint["origin"] == log and index == seq
        if not own or not included(leaf, seq, size, path, root):
            self.fault("edited", "the record is not under the checkpoint", seq)
        words = "no trusted key signed the checkpoint"
        if not trusted and self.trust.is_empty():
            self.warnings.append(f"{words}: give the log's key by --trust")
        elif not trusted:
            self.fault("signature", words, seq)


# ---- The call and the report -------------------------------------------------------------------------------


def read_trust(path):
    with open(path, "rb") as file:
        data = file.read(MAX_TRUST_BYTES + 1)
    try:
        trust = Trust(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable("the trust file is not UTF-8") from error
    if len(data) > MAX_TRUST_BYTES or trust.is_empty():
        raise Unreadable("the trust file is too long, or there is nothing to trust in it")
    return trust


def is_one_record(path):
    """Whether a file is the proof of one record: a tar whose first file is the record."""
    if os.path.isdir(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(ONE) + 1) == ONE.encode() + b"\0"


def verify(path, trust):
    one = is_one_record(path)
    check = OneRecord(trust) if one else Bundle(trust)
    try:
        for name, content in each_in_folder(path) if os.path.isdir(path) else each_in_tar(path):
            check.file(name, content)
    except tarfile.TarError as error:
        (check if one else check.findings).fault("format", f"the archive is damaged: {error}")
    if not one and check.part is None:
        raise Unreadable("this is no export of a log")
    return check.finish()


def visible(text):
    """Text of a bundle for a terminal: nothing in it may move the cursor or turn the reading order."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "\ufffd", str(text))


def rows_of_bundle(verdict):
    rows = [(name, verdict[name]) for name in ("log", "organisation", "records", "verifier_key", "checkpoint_root")]
    rows.append(("key known by", verdict["key_source"] or "nothing: the signature does not hold"))
    rows += [("continues", f"your checkpoint of {size} records") for size in verdict["earlier_trusted"]]
    if exposure := verdict["exposure"]:
        rows.append(("exposure", f"{exposure['seconds']} s at the longest between a record (position {exposure['at']}) "
                                 "and the first stamp over it"))
    if pruned := verdict["pruned"]:
        kept = f"; the oldest that was kept is of {pruned['kept_from']}" if pruned["kept_from"] else ""
        rows.append(("pruned", f"records 1 to {pruned['records']} pruned at {pruned['at']} under authority "
                               f"\"{pruned['authority']}\", hashes intact{kept}"))
    for gone in verdict["disposed"][-10:]:
        what = f"{gone['payloads']} payload(s)" if gone["payloads"] else "payloads"
        authority = f"under authority \"{gone['authority']}\""
        rows.append(("disposed", f"{what} disposed at {gone['at']} {authority}, commitment intact"))
    return rows


def rows_of_one_record(verdict):
    under = None if verdict["checkpoint_size"] is None else f"a checkpoint of {verdict['checkpoint_size']} records"
    return [("log", verdict["log"]), ("record", verdict["seq"]), ("says", verdict["time"]), ("leaf", verdict["leaf"]),
            ("under", under)]


def report(verdict):
    one = "leaf" in verdict
    rows = rows_of_one_record(verdict) if one else rows_of_bundle(verdict)
    rows += [("stamped", f"{stamp['size']} records by {shown(stamp['time'])}, says {stamp['authority']}")
             for stamp in verdict["stamps"][-3:]]
    rows += [("witnessed", f"{seen['size']} records by {shown(seen['time'])}, saw {seen['witness']}")
             for seen in verdict["witnessed"][-3:]]
    rows += [("note", words) for words in verdict["warnings"]]
    rows += [(problem["kind"], ("" if problem["at"] is None else f"at position {problem['at']}: ") + problem["words"])
             for problem in verdict["problems"]]
    for name, value in rows:
        print(f"  {name:<16} {visible('unknown' if value is None else value)}")
    places = [problem["at"] for problem in verdict["problems"] if problem["at"] is not None]
    if one and verdict["good"]:
        print("GOOD  the record is in the log")
    elif one:
        print("BAD   this does not show that the record is in the log")
    elif verdict["good"]:
        print(f"GOOD  {verdict['records']} records, unaltered since the checkpoint was signed")
    else:
        print("BAD  ", f"the first bad position is {places[0]}" if places else "no single record is at fault")
    if verdict["good"] and not one and verdict["key_source"] == "bundle_only":
        print("      Without --trust this shows that the bundle agrees with itself, not who made it.")


def main():
    arguments = argparse.ArgumentParser(description="Check an exported audit log, offline.")
    what = "the export: a tar file, or a folder with the same files; or the proof of one record"
    arguments.add_argument("bundle", help=what)
    arguments.add_argument("--trust", metavar="FILE", help="keys and earlier checkpoints that you got elsewhere")
    arguments.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    arguments = arguments.parse_args()
    try:
        self_test()
        verdict = verify(arguments.bundle, read_trust(arguments.trust) if arguments.trust else Trust())
    except (OSError, Unreadable) as error:
        print(f"verify.py: {visible(error)}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(verdict, indent=2))
    else:
        report(verdict)
    return 0 if verdict["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
