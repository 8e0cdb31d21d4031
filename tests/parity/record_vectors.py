"""Records what transformers gives besides embeddings: the pooling head's output as it is, the mean over the patches, the
patches themselves, and the pooling head's output for 3 x 3 patches around each patch, all others masked.
Usage: record_vectors.py

Picture n is a formula: the level at place i of [height, width, 3] is (7 i² + 13 i + 31 n) mod 256.
"""
import numpy as np
import torch
from PIL import Image
from transformers import Siglip2Model, SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from reference import ROOT, check_versions, rows, write_json

VERSIONS = check_versions("torch", "transformers", "numpy", "pillow")
PICTURES = [(40, 25), (9, 70)]


def picture(number, height, width):
    i = np.arange(height * width * 3, dtype=np.int64)
    return Image.fromarray(((7 * i * i + 13 * i + 31 * number) % 256).astype(np.uint8).reshape(height, width, 3))


def windows_of(height, width, side=3):
    """The patches in the square around each patch, cut off at the image's edges."""
    reach = side // 2
    for row in range(height):
        for column in range(width):
            yield [
                other * width + next_column
                for other in range(max(0, row - reach), min(height, row + reach + 1))
                for next_column in range(max(0, column - reach), min(width, column + reach + 1))
            ]


@torch.no_grad()
def pooled(head, patches, window):
    """The pooling head's output where all patches outside the window are masked."""
    masked = torch.ones(1, len(patches), dtype=torch.bool)
    masked[0, window] = False
    probe = head.probe.repeat(1, 1, 1)
    attended = head.attention(probe, patches[None], patches[None], key_padding_mask=masked)[0]
    return (attended + head.mlp(head.layernorm(attended)))[0, 0]


images = [picture(number, *sides) for number, sides in enumerate(PICTURES)]
models = []
for name, kind, processor in [("siglip2", SiglipModel, SiglipImageProcessorPil), ("naflex", Siglip2Model, Siglip2ImageProcessorPil)]:
    folder = ROOT / f"tests/fixtures/random-{name}"
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    inputs = processor.from_pretrained(folder)(images, return_tensors="pt")
    grids = inputs.pop("spatial_shapes").tolist() if name == "naflex" else [[4, 4]] * len(images)
    if name == "naflex":
        inputs["spatial_shapes"] = torch.tensor(grids)
    with torch.no_grad():
        output = model.vision_model(**inputs) if name == "siglip2" else model.vision_model(
            pixel_values=inputs["pixel_values"], pixel_attention_mask=inputs["pixel_attention_mask"], spatial_shapes=inputs["spatial_shapes"])
    patches = [hidden[: height * width] for hidden, (height, width) in zip(output.last_hidden_state, grids)]
    windows = [[pooled(model.vision_model.head, each, window) for window in windows_of(*grid)] for each, grid in zip(patches, grids)]
    models.append({
        "model": name, "grids": grids, "head": rows(output.pooler_output), "mean": rows(torch.stack([each.mean(0) for each in patches])),
        "patches": [rows(each) for each in patches], "windows": [rows(torch.stack(each)) for each in windows],
    })
write_json(ROOT / "tests/parity/vectors.json", {"made_by": "record_vectors.py", "versions": VERSIONS, "pictures": PICTURES, "models": models})
print("vectors:", *[(each["model"], each["grids"]) for each in models])
