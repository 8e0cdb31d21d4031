"""Records what transformers' Siglip2ImageProcessorPil and Siglip2Model make of pictures whose aspect is kept. Usage: record_naflex.py

Picture n is a formula: the level at place i of [height, width, 3] is (7 i² + 13 i + 31 n) mod 256.
"""
import torch
from transformers import Siglip2Model
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil, get_image_size_for_max_num_patches

from reference import ROOT, check_versions, input_ids, picture, rows, write_json

VERSIONS = check_versions("torch", "transformers", "tokenizers", "numpy", "pillow")
FOLDER = ROOT / "tests/fixtures/random-naflex"
# Height and width: more and fewer rows and columns than the positions' square, one row, the square itself. Not one column: there
# torch's CPU kernel gives all rows the first one's position embedding.
PICTURES = [(16, 16), (40, 25), (9, 70), (70, 9), (3, 200), (1, 1), (5, 11), (31, 33)]
SIDES = [(height, width) for height in (1, 17, 224, 333, 1080, 5000) for width in (1, 16, 225, 640, 1920, 10000)]
PATCHES = [(16, 256), (14, 100), (4, 16), (16, 1024), (32, 7)]
TEXTS = ["This is a photo of a CAT.", "a sports car"]


model = Siglip2Model.from_pretrained(FOLDER, dtype=torch.float32, attn_implementation="eager").eval()
processor = Siglip2ImageProcessorPil.from_pretrained(FOLDER)
inputs = processor([picture(number, *sides) for number, sides in enumerate(PICTURES)], return_tensors="pt")
ids = input_ids(FOLDER, TEXTS, model.config.text_config.max_position_embeddings, model.config.text_config.pad_token_id)
with torch.no_grad():
    output = model(input_ids=torch.tensor(ids), **inputs)

# A patch's values back to the levels they came from: [patch, line, column, channel].
levels = ((inputs.pixel_values.double() * 0.5 + 0.5) * 255).round().int()
write_json(ROOT / "tests/parity/naflex.json", {
    "made_by": "record_naflex.py", "versions": VERSIONS,
    "sizes": [[*sides, *patches, *get_image_size_for_max_num_patches(*sides, *patches)] for sides in SIDES for patches in PATCHES],
    "level": "(7 i² + 13 i + 31 n) mod 256", "pictures": PICTURES,
    "spatial_shapes": inputs.spatial_shapes.tolist(),
    "levels": [
        levels[number, : rows * columns].flatten().tolist() for number, (rows, columns) in enumerate(inputs.spatial_shapes.tolist())
    ],
    "texts": TEXTS, "input_ids": ids,
    "image_embeds": rows(output.image_embeds), "text_embeds": rows(output.text_embeds),
    "logits_per_image": rows(output.logits_per_image),
})
print("naflex: grids", inputs.spatial_shapes.tolist(), "logits", *rows(output.logits_per_image))
