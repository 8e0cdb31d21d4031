"""Makes tests/fixtures/random-{vision,text} with transformers 5, and records their embeddings in one-tower.json.

Each is one tower of tests/fixtures/random-small, in f16, as `SiglipVisionModel` and `SiglipTextModel` save themselves: the
config.json is the tower's, and the tensors have no prefix. The vision tower has its image processor in processor_config.json, as
transformers 5 saves a processor, and its sides as [height, width].

Picture n is a formula: the level at place i of [height, width, 3] is (7 i² + 13 i + 31 n) mod 256. Usage: record_one_tower.py
"""
import json
import shutil

import torch
from safetensors.torch import load_file
from transformers import SiglipModel, SiglipTextModel, SiglipVisionModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from reference import ROOT, check_versions, input_ids, picture, rows, write_json

VERSIONS = check_versions("torch", "transformers", "numpy", "pillow", "safetensors")
SMALL = ROOT / "tests/fixtures/random-small"
PICTURES = [(44, 44), (40, 25), (9, 70)]
TEXTS = ["This is a photo of a cat.", "a sports car", ""]


def save(name, model):
    folder = ROOT / f"tests/fixtures/random-{name}"
    folder.mkdir(exist_ok=True)
    model.half().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    names = load_file(folder / "model.safetensors").keys()
    assert not any(name.startswith(("vision_model.", "text_model.")) for name in names), sorted(names)
    return folder


def normalised(pooled):
    return rows(torch.nn.functional.normalize(pooled, dim=-1))


whole = SiglipModel.from_pretrained(SMALL, dtype=torch.float32)
vision = SiglipVisionModel(whole.config.vision_config)
vision.load_state_dict(whole.vision_model.state_dict())
text = SiglipTextModel(whole.config.text_config)
text.load_state_dict(whole.text_model.state_dict())

folder = save("vision", vision)
processor = SiglipImageProcessorPil.from_pretrained(SMALL)
nested = {"image_processor": json.loads(processor.to_json_string()), "processor_class": "SiglipProcessor"}
(folder / "processor_config.json").write_text(json.dumps(nested, indent=2) + "\n")
config = json.loads((folder / "config.json").read_text())
config |= {side: [config[side]] * 2 for side in ("image_size", "patch_size")}
(folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
with torch.no_grad():
    pixels = processor([picture(number, *sides) for number, sides in enumerate(PICTURES)], return_tensors="pt")["pixel_values"]
    images = normalised(vision.float().eval()(pixel_values=pixels).pooler_output)

folder = save("text", text)
shutil.copyfile(SMALL / "tokenizer.json", folder / "tokenizer.json")
config = whole.config.text_config
ids = input_ids(folder, TEXTS, config.max_position_embeddings, config.pad_token_id)
with torch.no_grad():
    texts = normalised(text.float().eval()(input_ids=torch.tensor(ids)).pooler_output)

write_json(ROOT / "tests/parity/one-tower.json", {
    "versions": VERSIONS, "pictures": PICTURES, "image_embeds": images, "texts": TEXTS, "text_embeds": texts,
})
