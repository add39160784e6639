"""Trains the tagger's two networks on what `export_features` wrote.

    python3 training/train.py --data PREFIX --out FOLDER [--steps 6000] [--seed 20261126]

PREFIX names the files that `cargo run --release -p phi --example export_features` wrote (`PREFIX.tags`,
`PREFIX.counts`, `PREFIX.rows`, `PREFIX.documents`). FOLDER receives `scout.safetensors` (small, runs on everything) and
`judge.safetensors` (larger, runs where the others disagree), and `training.json` with what was measured on
documents kept out. Needs PyTorch; a GPU makes it minutes instead of hours.

Both networks are the same: the rows of a token are added up, then a few residual convolutions over the
neighbours, then one score for each tag. The table is trained as it is shipped, in steps of 1/64.
"""

import argparse
import json
import struct
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TAGS = ["OUTSIDE", "NAME", "LOCATION", "DATE", "AGE", "CONTACT", "ID", "PROFESSION"]
IGNORE = 255
ROWS_PER_TOKEN = 26
GAP = 16
SCALE = 64.0
WORDS, AFFIXES = 32768, 4096
GIVEN = WORDS + 3 * AFFIXES
SURNAME, FLAGS, FOUND = GIVEN + 64, GIVEN + 128, GIVEN + 128 + 8 + 4 + 16 + 8 + 64 + 16 + 32
ROWS = FOUND + 64 + 8 + 8
PAD = ROWS


def read(prefix):
    """The tokens of all documents in one stream, with a gap after each document."""
    documents = np.fromfile(f"{prefix}.documents", dtype="<u4").reshape(-1, 2)
    tags = np.fromfile(f"{prefix}.tags", dtype=np.uint8)
    counts = np.fromfile(f"{prefix}.counts", dtype=np.uint8)
    raw = np.fromfile(f"{prefix}.rows", dtype="<u2")
    total = len(tags)
    starts = np.cumsum(counts, dtype=np.int64) - counts
    rows = np.full((total + GAP * len(documents), ROWS_PER_TOKEN), PAD, np.int32)
    stream_tags = np.full(total + GAP * len(documents), IGNORE, np.uint8)
    source = np.zeros(total + GAP * len(documents), np.uint16)
    shift = np.repeat(np.arange(len(documents)) * GAP, documents[:, 0])
    place = np.arange(total) + shift
    stream_tags[place] = tags
    source[place] = np.repeat(documents[:, 1], documents[:, 0]).astype(np.uint16)
    for k in range(ROWS_PER_TOKEN):
        has = np.nonzero(counts > k)[0]
        rows[place[has], k] = raw[starts[has] + k]
    document = np.repeat(np.arange(len(documents)), documents[:, 0] + GAP)
    return rows, stream_tags, source, document


class Network(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.table = nn.Parameter(torch.randn(ROWS + 1, width) * 0.08)
        self.layers = nn.ModuleList([nn.Conv1d(width, width, k, dilation=d, padding=d * (k // 2)) for k, d in layers])
        self.shape = layers
        self.out = nn.Linear(width, len(TAGS))

    def quantised(self):
        with torch.no_grad():
            step = (self.table * SCALE).round().clamp(-127, 127) / SCALE
        return self.table + (step - self.table).detach()

    def forward(self, rows, drop=0.0):
        table = self.quantised().clone()
        mask = torch.ones(ROWS + 1, 1, device=table.device)
        mask[PAD] = 0
        b, length, k = rows.shape
        x = F.embedding_bag(rows.reshape(-1, k), table * mask, mode="sum").reshape(b, length, -1)
        x = F.dropout(x, drop, self.training).transpose(1, 2)
        # What lies between documents is nothing, at every layer, as beyond the ends of a text.
        inside = (rows[:, :, 0] != PAD).unsqueeze(1).to(x.dtype)
        x = x * inside
        for layer in self.layers:
            x = (x + F.relu(layer(x))) * inside
            x = F.dropout(x, drop / 2, self.training)
        return self.out(x.transpose(1, 2))


def forget(rows, generator, device):
    """Hides a part of what is known, so that nothing is relied on alone."""
    rand = lambda: torch.rand(rows.shape[:2], device=device, generator=generator).unsqueeze(-1)
    words = (rows < WORDS) & (rand() < 0.10)
    found = (rows >= FOUND) & (rows < FOUND + 64) & (rand() < 0.3)
    rows = torch.where(words | found, torch.full_like(rows, PAD), rows)
    # A name that no list holds: only where no dictionary holds the word either.
    affix = ((rows >= WORDS) & (rows < GIVEN)).any(-1, keepdim=True)
    unknown = affix & (rand() < 0.30)
    given = (rows >= GIVEN) & (rows < SURNAME)
    surname = (rows >= SURNAME) & (rows < FLAGS)
    rows = torch.where(unknown & given, torch.full_like(rows, GIVEN), rows)
    rows = torch.where(unknown & surname, torch.full_like(rows, FLAGS + 3), rows)
    return rows


def batches(rows, tags, windows, size, length, generator, device):
    while True:
        offset = int(torch.randint(0, length, (1,), generator=generator, device=device))
        order = windows[torch.randperm(len(windows), generator=generator, device=device)]
        for chunk in order.split(size):
            if len(chunk) < size:
                break
            at = (chunk * length + offset).clamp(max=len(tags) - length)
            index = at.unsqueeze(1) + torch.arange(length, device=device)
            yield rows[index].long(), tags[index].long()


def evaluate(network, rows, tags, device, length=4096):
    network.eval()
    confusion = torch.zeros(len(TAGS), len(TAGS), dtype=torch.long)
    with torch.no_grad():
        for at in range(0, len(tags), length):
            r, t = rows[at:at + length].long().unsqueeze(0), tags[at:at + length].long()
            if len(t) == 0:
                continue
            p = network(r)[0].argmax(-1)
            keep = t != IGNORE
            flat = (t[keep] * len(TAGS) + p[keep]).cpu()
            confusion += torch.bincount(flat, minlength=len(TAGS) ** 2).reshape(len(TAGS), -1)
    network.train()
    c = confusion.double()
    table = {}
    for i, tag in enumerate(TAGS):
        table[tag] = {"recall": round(float(c[i, i] / c[i].sum().clamp(min=1)), 4), "precision": round(float(c[i, i] / c[:, i].sum().clamp(min=1)), 4), "touched": round(float(1 - c[i, 0] / c[i].sum().clamp(min=1)), 4), "tokens": int(c[i].sum())}
    return table


def train(name, network, teacher, data, options, device, log):
    rows, tags, windows, held = data
    generator = torch.Generator(device=device).manual_seed(options.seed)
    network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=options.rate, total_steps=options.steps, pct_start=0.1)
    weights = torch.tensor([1.0, 1.6, 1.5, 1.3, 1.2, 1.3, 1.4, 1.2], device=device)
    started, seen = time.time(), 0.0
    stream = batches(rows, tags, windows, options.batch, options.length, generator, device)
    for step in range(options.steps):
        r, t = next(stream)
        masked = forget(r, generator, device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            scores = network(masked, drop=options.drop)
        scores = scores.float()
        target = torch.where(t == IGNORE, torch.full_like(t, -100), t)
        loss = F.cross_entropy(scores.reshape(-1, len(TAGS)), target.reshape(-1), weight=weights, ignore_index=-100, label_smoothing=0.02)
        if teacher is not None:
            with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                soft = teacher(r).float().softmax(-1)
            keep = (t != IGNORE).unsqueeze(-1)
            loss = 0.5 * loss + (F.kl_div(scores.log_softmax(-1), soft, reduction="none") * keep).sum() / keep.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        seen = 0.98 * seen + 0.02 * float(loss.detach()) if step % 10 == 0 else seen
        if step % max(1, options.steps // 10) == 0 or step + 1 == options.steps:
            log(f"{name} step {step + 1} loss {float(loss.detach()):.4f} {time.time() - started:.0f}s")
    network.eval()
    return {k: evaluate(network, r, t, device) for k, (r, t) in held.items()}


def start_from(network, path):
    """Puts the weights of an earlier training into a network of the same shape."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    part = lambda name, kind: torch.from_numpy(np.frombuffer(raw[8 + size:][slice(*header[name]["data_offsets"])], kind).reshape(header[name]["shape"]).copy())
    with torch.no_grad():
        network.table[:ROWS] = part("table", np.int8).float() / SCALE
        for i, layer in enumerate(network.layers):
            layer.weight.copy_(part(f"layer.{i}.weight", np.float32).permute(2, 1, 0))
            layer.bias.copy_(part(f"layer.{i}.bias", np.float32))
        network.out.weight.copy_(part("out.weight", np.float32).t())
        network.out.bias.copy_(part("out.bias", np.float32))
    return network


def save(network, path):
    """The safetensors form: a length, a JSON header, the bytes."""
    table = (network.table[:ROWS].detach().cpu() * SCALE).round().clamp(-127, 127).to(torch.int8).numpy()
    parts = [("table", "I8", table)]
    for i, (layer, (k, d)) in enumerate(zip(network.layers, network.shape)):
        # [tap][in][out], so that a tap is one matrix that rows are multiplied by.
        parts.append((f"layer.{i}.weight", "F32", layer.weight.detach().cpu().permute(2, 1, 0).contiguous().numpy()))
        parts.append((f"layer.{i}.bias", "F32", layer.bias.detach().cpu().numpy()))
    parts.append(("out.weight", "F32", network.out.weight.detach().cpu().t().contiguous().numpy()))
    parts.append(("out.bias", "F32", network.out.bias.detach().cpu().numpy()))
    header, at, body = {"__metadata__": {"scale": str(SCALE), "dilations": ",".join(str(d) for _, d in network.shape)}}, 0, b""
    for name, kind, array in parts:
        data = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--drop", type=float, default=0.1)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--start", type=Path, help="a folder with weights of an earlier training to go on from")
    parser.add_argument("--weights", default="", help="how often each file is read, by its number: 1,1,0.5")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = lambda line: print(line, flush=True)
    started = time.time()
    rows, tags, source, document = read(options.data)
    log(f"{len(tags)} places, {document[-1] + 1} documents, read in {time.time() - started:.0f}s on {device}")
    # One document in forty of each file is kept out.
    out = document % 40 == 7
    held = {f"file {f}": (torch.from_numpy(rows[out & (source == f)]).to(device), torch.from_numpy(tags[out & (source == f)]).to(device)) for f in np.unique(source)}
    keep = ~out
    r, t, s = torch.from_numpy(rows[keep]).to(device), torch.from_numpy(tags[keep]).to(device), torch.from_numpy(source[keep].astype(np.int64)).to(device)
    count = len(t) // options.length - 1
    windows = torch.arange(count, device=device)
    if options.weights:
        weights = torch.tensor([float(w) for w in options.weights.split(",")], device=device)
        w = weights[s[windows * options.length]]
        whole = w.floor().long()
        times = whole + (torch.rand(len(w), device=device) < w - whole)
        windows = windows.repeat_interleave(times)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {}
    judge = Network(options.width, [(3, 1), (3, 2), (3, 4), (3, 8), (3, 1)])
    if options.start:
        start_from(judge, options.start / "judge.safetensors")
    report["judge"] = train("judge", judge, None, (r, t, windows, held), options, device, log)
    save(judge, options.out / "judge.safetensors")
    scout = Network(32, [(5, 1), (3, 3)])
    if options.start:
        start_from(scout, options.start / "scout.safetensors")
    report["scout"] = train("scout", scout, judge, (r, t, windows, held), options, device, log)
    save(scout, options.out / "scout.safetensors")
    (options.out / "training.json").write_text(json.dumps({"options": {k: str(v) for k, v in vars(options).items()}, "measured": report}, indent=1))
    for network, tables in report.items():
        for file, table in tables.items():
            log(f"{network} {file}: " + "  ".join(f"{tag[:4]} r{v['recall']:.3f} p{v['precision']:.3f} t{v['touched']:.3f} n{v['tokens']}" for tag, v in table.items() if v["tokens"]))


if __name__ == "__main__":
    main()
