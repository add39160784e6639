#!/usr/bin/env bash
# Trains the tagger and puts its weights into the program: `training/run.sh CORPORA [STEPS [START]]`.
# With START, a folder of weights, it goes on from those, in smaller steps that a CPU can take.
#
# CORPORA is the folder with `raw/`, `gazetteers/` and `train/` (training/README.md). Needs Rust, Python 3.11 or
# later with numpy and PyTorch; about 4 GB of memory, and minutes with a GPU or hours without.
set -euo pipefail
corpora=$(cd "${1:?the folder of corpora}" && pwd)
steps=${2:-1600}
start=${3:+$(cd "$3" && pwd)}
cd "$(dirname "$0")/.."
work=target/training
mkdir -p "$work"
python3 training/generate.py --corpora "$corpora" --out "$work/made.jsonl" --documents 100000 --seed 20261127
python3 training/real.py --corpora "$corpora" --out "$work/real.jsonl"
cargo run --release -p phi --example export_features -- "$work/data" "$work/made.jsonl" "$work/real.jsonl"
if [ -n "$start" ]; then
  round=(--batch 64 --rate 1e-3 --start "$start")
else
  round=(--batch 512)
fi
python3 training/train.py --data "$work/data" --out "$work" --steps "$steps" "${round[@]}" --width 160 --seed 20261126
cp "$work/scout.safetensors" "$work/judge.safetensors" crates/phi/data/
