"""Records what transformers' SiglipModel makes of a checkpoint in hub layout, computed in f32.

Usage: record_model.py DIR OUT.json [--variant f16] [--images 2] [--texts TEXT...]
The pictures are a formula, so that nobody has to store them; `--variant f16` takes model.f16.safetensors.
"""
import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from transformers import SiglipModel

from reference import check_versions, input_ids, rows, write_json

TEXTS = ["This is a photo of a cat.", "a sports car", ""]

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--variant")
parser.add_argument("--images", type=int, default=2)
parser.add_argument("--texts", nargs="+", default=TEXTS)
arguments = parser.parse_args()
versions = check_versions("torch", "transformers", "tokenizers", "numpy")


def pixel_values(image, size):
    """0.9 sin((0.37 + 0.11 image) i) for the i-th value of [3, size, size], in f64, rounded to f32."""
    i = np.arange(3 * size * size, dtype=np.float64)
    return (0.9 * np.sin((0.37 + 0.11 * image) * i)).astype(np.float32).reshape(3, size, size)


model = SiglipModel.from_pretrained(
    arguments.folder, variant=arguments.variant, dtype=torch.float32, attn_implementation="eager").eval()
text, size = model.config.text_config, model.config.vision_config.image_size
ids = input_ids(arguments.folder, arguments.texts, text.max_position_embeddings, text.pad_token_id)
pictures = np.stack([pixel_values(image, size) for image in range(arguments.images)])
with torch.no_grad():
    output = model(input_ids=torch.tensor(ids), pixel_values=torch.from_numpy(pictures))

variant = f".{arguments.variant}" if arguments.variant else ""
weights = f"model{variant}.safetensors"
with open(arguments.folder / weights, "rb") as file:
    weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
write_json(arguments.out, {
    "made_by": "record_model.py", "versions": versions, "weights": weights, "weights_sha256": weights_sha256,
    "pixel_values": "0.9 * sin((0.37 + 0.11 * image) * i)", "images": arguments.images,
    "texts": arguments.texts, "input_ids": ids,
    "image_embeds": rows(output.image_embeds), "text_embeds": rows(output.text_embeds),
    "logits_per_image": rows(output.logits_per_image),
})
print(f"{arguments.out.name}: logits", *rows(output.logits_per_image))
