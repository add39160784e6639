#!/usr/bin/env bash
# Trains the tagger and puts its weights into the program: `training/run.sh CORPORA [STEPS]`.
#
# CORPORA is the folder with `raw/`, `gazetteers/` and `train/` (training/README.md). Needs Rust, Python 3.11 or
# later with numpy and PyTorch; about 4 GB of memory, and minutes with a GPU or hours without.
set -euo pipefail
corpora=$(cd "${1:?the folder of corpora}" && pwd)
steps=${2:-1600}
cd "$(dirname "$0")/.."
work=target/training
mkdir -p "$work"
python3 training/generate.py --corpora "$corpora" --out "$work/made.jsonl" --documents 100000 --seed 20261126
python3 training/real.py --corpora "$corpora" --out "$work/real.jsonl"
cargo run --release -p phi --example export_features -- "$work/data" "$work/made.jsonl" "$work/real.jsonl"
python3 training/train.py --data "$work/data" --out "$work" --steps "$steps" --batch 512 --width 160 --seed 20261126
cp "$work/scout.safetensors" "$work/judge.safetensors" crates/phi/data/
