"""Records what transformers makes of pictures at another resolution than the checkpoint's. Usage: record_resolution.py

Models of fixed resolution take `interpolate_pos_encoding`, with the image processor at that size; NaFlex takes another
`max_num_patches`. Of a classifier the logits are recorded, of the others the embeddings.
"""
import torch
from transformers import Siglip2Model, SiglipForImageClassification, SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from reference import ROOT, check_versions, picture, rows, write_json

VERSIONS = check_versions("torch", "transformers", "numpy", "pillow")
PICTURES = [(40, 25), (9, 70), (31, 33)]
# Of patches of 14, 5 and 5, and positions for 3 x 3, 4 x 4 and 4 x 4: fewer patches, more, far more, and 3 x 3 without a rest.
SIZES = {"small": [14, 42, 70, 140], "siglip2": [5, 15, 25, 80], "classifier": [10, 35]}
NAFLEX_PATCHES = [9, 40, 256, 1024]


def load(kind, name):
    folder = ROOT / f"tests/fixtures/random-{name}"
    return folder, kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


images = [picture(number, *sides) for number, sides in enumerate(PICTURES)]
fixed = []
for name, sizes in SIZES.items():
    is_classifier = name == "classifier"
    folder, model = load(SiglipForImageClassification if is_classifier else SiglipModel, name)
    own, patch = model.config.vision_config.image_size, model.config.vision_config.patch_size
    assert all(size % patch == 0 or size == own for size in sizes), (name, own, patch)
    for size in sizes:
        inputs = SiglipImageProcessorPil.from_pretrained(folder, size={"height": size, "width": size})(images, return_tensors="pt")
        with torch.no_grad():
            answer = (model if is_classifier else model.get_image_features)(**inputs, interpolate_pos_encoding=True)
        values = answer.logits if is_classifier else torch.nn.functional.normalize(answer.pooler_output, dim=-1)
        fixed.append({"model": name, "image_size": size, "values": rows(values)})

folder, model = load(Siglip2Model, "naflex")
naflex = []
for patches in NAFLEX_PATCHES:
    inputs = Siglip2ImageProcessorPil.from_pretrained(folder, max_num_patches=patches)(images, return_tensors="pt")
    # In a grid of one column torch's CPU kernel gives every row the first one's position embedding.
    assert all(columns > 1 for _, columns in inputs.spatial_shapes.tolist())
    with torch.no_grad():
        embeds = torch.nn.functional.normalize(model.get_image_features(**inputs).pooler_output, dim=-1)
    naflex.append({"max_patches": patches, "grids": inputs.spatial_shapes.tolist(), "values": rows(embeds)})
write_json(ROOT / "tests/parity/resolution.json", {
    "made_by": "record_resolution.py", "versions": VERSIONS, "pictures": PICTURES, "fixed": fixed, "naflex": naflex,
})
print("resolution:", [(each["model"], each["image_size"]) for each in fixed], [each["grids"] for each in naflex])
