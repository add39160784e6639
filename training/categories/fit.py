"""Fits the weights of the groups of terms, and compares them with those of the list.

    cargo run --release -p phi --example measure_categories -- --groups \
        crates/phi/fixtures/category/train.tsv > train.groups
    (the same for held_out.tsv)
    python3 training/categories/fit.py train.groups held_out.groups

The scorer is the one of `phi::category`: a term of weight w leaves 1 - w open, the terms of a
category multiply. The fit goes down the log-loss with every sample in each step, so that no seed
is needed; a missed text costs as much as MISS wrong ones. Standard library only.
"""

import math
import pathlib
import re
import sys

MISS = 4.0
STEPS = 400
RATE = 0.05
# How strongly a weight is held at what the list says, where samples say little.
HOLD = 0.15
LIST = pathlib.Path(__file__).parents[2] / "crates/phi/data/categories.txt"
KEEPS = {
    "stands for itself": {},
    "negated near by": {
        "SUBSTANCE_USE": 0.45, "MENTAL_HEALTH": 0.45,
        "REPRODUCTIVE": 0.7, "GENDER_AFFIRMING": 0.7,
    },
    "of a relative": {
        "SUBSTANCE_USE": 0.65, "MENTAL_HEALTH": 0.65,
        "HIV": 0.8, "REPRODUCTIVE": 0.8, "GENDER_AFFIRMING": 0.8,
    },
}


def listed():
    weights = {}
    for line in LIST.read_text(encoding="utf8").splitlines():
        head = re.match(r"\[([A-Z_]+) (\S+) (\d+)\]", line)
        if head:
            weights[head[1], head[2]] = int(head[3]) / 100
    return weights


HAND = listed()


def samples(path):
    for line in pathlib.Path(path).read_text(encoding="utf8").splitlines():
        _, category, truth, *rest = line.split("\t")
        if truth == "?":
            continue
        terms = {}
        denied = (None, 0.0)
        for group, why, term in zip(rest[::3], rest[1::3], rest[2::3]):
            keeps = KEEPS[why].get(category, 1.0) if why in KEEPS else 0.2
            if why == "negated near by" and keeps < 1:
                # Several denials are one statement.
                denied = max(denied, (group, keeps), key=lambda t: HAND.get((category, t[0]), 0) * t[1])
                continue
            known = terms.get(term, (group, 0.0))
            terms[term] = max(known, (group, keeps), key=lambda t: t[1])
        yield category, truth == "1", [*terms.values(), *([denied] if denied[0] else [])]


def score(weights, category, terms):
    open_ = 1.0
    for group, keeps in terms:
        open_ *= 1 - weights.get((category, group), 0.85) * keeps
    return 1 - open_


def measure(weights, data):
    out = {}
    for category, truth, terms in data:
        found = score(weights, category, terms) >= 0.5
        row = out.setdefault(category, [0, 0, 0])
        row[0] += truth and found
        row[1] += truth and not found
        row[2] += found and not truth
    return out


def fit(start, data):
    weights = dict(start)
    for _ in range(STEPS):
        slope = {key: HOLD * (weights[key] - start[key]) for key in weights}
        for category, truth, terms in data:
            p = min(max(score(weights, category, terms), 0.01), 0.99)
            for group, keeps in terms:
                key = (category, group)
                if key not in weights:
                    continue
                rest = (1 - p) * keeps / max(1 - weights[key] * keeps, 0.01)
                slope[key] += -MISS * rest / p if truth else rest / (1 - p)
        for key, by in slope.items():
            step = RATE * math.tanh(by) * 0.2
            weights[key] = min(max(weights[key] - step, 0.01), 0.95)
    return weights


def main():
    train, held_out = (list(samples(path)) for path in sys.argv[1:3])
    hand = HAND
    fitted = fit(hand, train)
    flat = {key: 0.55 for key in hand}
    print("| category | weights | train recall | train precision | recall | precision |")
    print("|---|---|---|---|---|---|")
    for name, weights in (("all 55", flat), ("list", hand), ("fitted", fitted)):
        for (category, a), b in zip(measure(weights, train).items(),
                                    measure(weights, held_out).values()):
            cells = [f"{x / max(x + y, 1):.3f}" for r in (a, b) for x, y in ((r[0], r[1]), (r[0], r[2]))]
            print(f"| `{category}` | {name} | " + " | ".join(cells) + " |")
    for key in hand:
        if abs(fitted[key] - hand[key]) > 0.05:
            print(*key, f"{hand[key]:.2f} -> {fitted[key]:.2f}")


main()
