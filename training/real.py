"""Puts the labelled public corpora into the form that `export_features` reads.

    python3 training/real.py --corpora CORPORA --out FILE.jsonl

A country, a state or a year alone identifies no one (45 CFR 164.514(b)(2)(i)(B) and (C)), so their labels are
dropped. Nothing is learnt on organisations, which some of these corpora label and others do not. Corpora that label names and places only say so, and so does text whose labels are not exhaustive.
"""

import argparse
import json
import re
from pathlib import Path

from generate import COUNTRIES, IGNORE
from people import STATE_NAMES, STATES

# File, share of it that is used, the labels that its annotators knew (None: all).
CORPORA = [
    ("mtsamples_slots", None), ("ambientmeta", None), ("presidio_generated_large", None), ("presidio_synth_v2", None), ("meddocan_es", None),
    ("ner_wnut17", ["NAME", "LOCATION"]), ("ner_btc", ["NAME", "LOCATION"]), ("ner_uner_ewt", ["NAME", "LOCATION"]), ("ner_uner_pud", ["NAME", "LOCATION"]), ("ner_wikigold", ["NAME", "LOCATION"]),
]
YEAR = re.compile(r"(19|20)\d\d")
ORGANISATIONS = {"ORG", "corporation", "ORGANIZATION", "company", "group"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--corpora", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    nations = {line.split("\t")[0].lower() for line in open(options.corpora / "gazetteers" / "countries.tsv", encoding="utf-8")}
    regions = nations | {s.lower() for s in STATES + STATE_NAMES + COUNTRIES} | {"us", "usa", "uk", "u.s.", "europe", "asia", "africa", "england", "america"}
    with open(options.out, "w", encoding="utf-8") as out:
        for name, classes in CORPORA:
            for line in open(options.corpora / "train" / f"{name}.jsonl", encoding="utf-8"):
                row = json.loads(line)
                for span in row["spans"]:
                    if span.get("sub") in ORGANISATIONS:
                        span["label"] = IGNORE
                row["spans"] = [s for s in row["spans"] if not (s["label"] == "LOCATION" and s["text"].lower() in regions or YEAR.fullmatch(s["text"]))]
                row = {k: row[k] for k in ("id", "source", "text", "spans", "complete") if k in row}
                if classes:
                    row["classes"] = classes
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
