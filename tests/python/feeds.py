"""Checks lines of the log against the public schemas that others made: OCSF 1.8.0, FHIR R4B, CEF.

Reads one JSON object a line, {"format", "kind", "seq", "leaf", "line"}, and prints one verdict a line.
"""

import argparse
import hashlib
import json
import sys

import jsonschema
import pycef
from fhir.resources.R4B.auditevent import AuditEvent
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

OCSF = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
NEVER = {"prompt_text", "response_text", "prompt_data", "response_data"}
BALP_DISCLOSURE = {"110152", "110153"}


def keys(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def ocsf(case, line):
    event = json.loads(line)
    name = OCSF.lookup_class_name_from_uid(event["class_uid"])
    profiles = event["metadata"].get("profiles", [])
    schema = OCSF.get_class_schema(class_name=name, profiles=profiles)
    jsonschema.Draft202012Validator(schema).validate(event)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000
    assert event["metadata"]["sequence"] == case["seq"]
    assert event["metadata"]["uid"].endswith(f"#{case['seq']}@{case['leaf']}")
    assert not NEVER & set(keys(event))
    if case["kind"].startswith("exchange."):
        assert event["class_uid"] == 6003 and "ai_operation" in profiles


def fhir(case, line):
    resource = AuditEvent.model_validate_json(line)
    written = json.loads(line)
    assert json.loads(resource.model_dump_json())["id"] == case["leaf"] == written["id"]
    details = {it["type"]: it["valueString"] for it in written["entity"][-1]["detail"]}
    assert details["seq"] == str(case["seq"]) and details["leaf"] == case["leaf"]
    assert all(agent.requestor is not None for agent in resource.agent)
    if resource.type.code == "110106":
        # BALP, PrivacyDisclosure.Source: both ends with their networks, the source of the event is the
        # source of the disclosure, a patient and the data.
        ends = {a.type.coding[0].code: a for a in resource.agent}
        assert BALP_DISCLOSURE <= ends.keys()
        assert all(ends[code].network and ends[code].who for code in BALP_DISCLOSURE)
        assert ends["110153"].who == resource.source.observer
        assert any(s.code == "disclose" for s in resource.subtype)
        assert resource.action == "R" and resource.outcome == "0"
        patients = [e for e in resource.entity if e.type.code == "1" and e.role.code == "1"]
        assert len(patients) == 1 and patients[0].what.type == "Patient"
        assert len(resource.entity) >= 2


def cef(case, line):
    event = pycef.parse(line)
    assert event is not None and event["CEFVersion"] == "0"
    assert event["DeviceVendor"] == "Bulla" and event["DeviceEventClassID"] == case["kind"]
    assert event["seq"] == str(case["seq"]) and event["leaf"] == case["leaf"]
    assert 0 <= int(event["DeviceSeverity"]) <= 10


def jsonl(case, line):
    event = json.loads(line)
    assert (event["seq"], event["leaf"]) == (case["seq"], case["leaf"])
    # Whoever has the line can compute the leaf hash again.
    record = line.split('"record":', 1)[1].rsplit(',"seq":', 1)[0]
    assert hashlib.sha256(b"\0" + record.encode()).hexdigest() == event["leaf"]


CHECKS = {"ocsf": ocsf, "fhir": fhir, "cef": cef, "jsonl": jsonl}


def refuses_what_is_none(case, line):
    """The validators see a mistake; otherwise they would prove nothing."""
    event = json.loads(line)
    if case["format"] == "ocsf":
        event.pop("severity_id")
    else:
        event.pop("recorded")
    try:
        CHECKS[case["format"]](case, json.dumps(event))
    except Exception:
        return
    raise AssertionError("a broken line passed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", required=True)
    failed = 0
    with open(parser.parse_args().lines, encoding="utf-8") as lines:
        for text in lines:
            case = json.loads(text)
            verdict = {"format": case["format"], "kind": case["kind"], "ok": True}
            try:
                CHECKS[case["format"]](case, case["line"])
                if case["format"] in ("ocsf", "fhir"):
                    refuses_what_is_none(case, case["line"])
            except Exception as error:  # noqa: BLE001 - whatever it is, the line did not pass
                verdict.update(ok=False, error=f"{type(error).__name__}: {error}"[:2000])
                failed += 1
            # Of what fails, all of it is read; so it comes alone, where output is cut off.
            print(json.dumps(verdict), file=sys.stdout if verdict["ok"] else sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
