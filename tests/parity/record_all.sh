#!/usr/bin/env bash
# Records everything here anew, with the `python` in front: tests/parity/record_all.sh
set -euo pipefail
cd "$(dirname "$0")"

small=../fixtures/random-small
small_texts=("This is a photo of a cat." "a sports car" "" "a x-ray of a chest"
    "supercalifragilistic antidisestablishmentarianism, again and again: qwertyuiop")
python make_random_small.py
python make_random_architectures.py
python record_gguf.py
python record_naflex.py
python record_vectors.py
python record_resolution.py
python record_calibration.py
python record_classifiers.py
python record_one_tower.py
python record_mlx.py
python record_tokens.py
python record_model.py $small model-random-small.json --images 3 --texts "${small_texts[@]}"
for variant in f16 bf16; do
    python record_model.py $small model-random-small-$variant.json --variant $variant --images 3 --texts "${small_texts[@]}"
done
for kind in i18n siglip2 giant; do
    python record_model.py ../fixtures/random-$kind model-random-$kind.json --texts "This is a photo of a CAT." "Ein Foto, 猫" "" \
        "supercalifragilistic antidisestablishmentarianism, again and again: qwertyuiop"
done
python record_model.py ../../www/models/tiny model-tiny.json --texts "a cat" "This is a photo of a dog." "" \
    "zxqj the quick brown fox jumps over the lazy dog again and again"
python record_answers.py ../../www/models/tiny answers-tiny.json --images ../../www/samples/*.jpg --labels "a cat" "a dog" \
    "a sports car" "a pizza" "a boat" "a bird" "a coffee cup" "a rocket" "an insect" "a backpack" "a barn" "a snail"
python record_answers.py ../../www/models/tiny answers-hunt.json --images ../fixtures/pictures/hunt/*.* --labels "a cat" "a boat" \
    "an insect"

# 800 MB of random weights at a published shape.
base=$(mktemp -d)
trap 'rm -r "$base"' EXIT
cargo run --release --package siglip-cli -- random --config base-patch16-256 --seed 1 "$base"
python record_model.py "$base" model-base-patch16-256.json
