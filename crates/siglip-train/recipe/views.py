"""Renders the pictures as the trainer reads them: views.py DATA REGISTRY OUT

Writes pictures.json (class and file of each row, names of each class), pictures.safetensors (pixels [rows, 64, 64, 4] as
u8, with the opacity: drawings have no ground yet) and validation.safetensors (pixels [rows, 64, 64, 3], drawings on white).
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from pictures import drawings, photographs

SIDE = 64


def small(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def on_white(image: Image.Image) -> Image.Image:
    """The whole picture, a drawing on white."""
    image = small(image)
    if image.mode != "RGBA":
        return image
    canvas = Image.new("RGB", image.size, (255, 255, 255))
    canvas.paste(image, mask=image)
    return canvas


def main(data: Path, registry: Path, out: Path):
    pictures = [*photographs(data), *drawings(registry)]
    training = [p for p in pictures if p.split == "train"]
    validation = [p for p in pictures if p.split == "val"]
    index = {
        split: [{"class": p.class_key, "file": p.file} for p in rows]
        for split, rows in (("train", training), ("validation", validation))
    }
    index["classes"] = {p.class_key: p.names for p in pictures}
    out.mkdir(parents=True, exist_ok=True)
    (out / "pictures.json").write_text(json.dumps(index))
    for name, rows, view in (
        ("pictures", training, lambda image: small(image).convert("RGBA")),
        ("validation", validation, on_white),
    ):
        pixels = np.stack([np.asarray(view(p.image)) for p in rows])
        save_file({"pixels": pixels}, out / f"{name}.safetensors")
        print(f"{name}: {len(rows)}", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
