#!/bin/sh
# Makes tests/fixtures/bundles/: a whole model in q8_0, and a bundle of the same in q8_0, of a small SigLIP with random weights
# whose rows are whole blocks. Usage: record_bundles.sh, in the repository's root, after `cargo build --package siglip-cli`.
set -eu
siglip=${SIGLIP:-target/debug/siglip}
out=tests/fixtures/bundles
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cat >"$work/config.json" <<'JSON'
{
  "model_type": "siglip",
  "text_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 512},
  "vision_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "image_size": 32, "patch_size": 16}
}
JSON
printf 'a cat\na dog\na boat\n' >"$work/things.txt"
printf 'red\ngreen\n' >"$work/colours.txt"
mkdir -p "$out"
"$siglip" random --config "$work/config.json" --seed 1 "$work/model"
"$siglip" convert "$work/model" "$out/whole-q8_0.gguf" --to q8_0
"$siglip" bundle "$work/model" "$out/q8_0.gguf" --to q8_0 --labels "$work/things.txt" --labels "$work/colours.txt"
