"""Makes tests/fixtures/random-mlx, a small SigLIP with random weights as mlx-embeddings quantizes and saves it, and records its answers.

Names and layout are those of mlx-embeddings' `models/siglip.py`; quantized is what its `convert.py` quantizes: every matrix and
table in groups of GROUP with 8 bits, but for those whose rows are no whole groups, which stay in f16. mlx itself quantizes and writes
the file, so the tensors come in its order.

The embeddings in mlx.json are those of transformers with the weights that the file holds. Usage: record_mlx.py
"""
import hashlib
import json
import shutil

import mlx.core as mx
import numpy as np
import torch
from transformers import SiglipConfig, SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from random_weights import randomise
from reference import ROOT, check_versions, input_ids, picture, rows, write_json

VERSIONS = check_versions("torch", "transformers", "numpy", "pillow", "mlx")
SMALL, FOLDER = ROOT / "tests/fixtures/random-small", ROOT / "tests/fixtures/random-mlx"
GROUP, BITS, SIDE = 32, 8, 24
PICTURES = [(24, 24), (40, 25)]
TEXTS = ["This is a photo of a cat.", "a sports car", ""]
TOWER = {"hidden_size": 64, "intermediate_size": 80, "num_attention_heads": 4, "num_hidden_layers": 1}


def mlx_name(name):
    tower, dot, _ = name.partition(".")
    return f"{tower}.{name.replace('attention.in_proj_', 'attention.in_proj.')}" if dot else name


def normalised(pooled):
    return rows(torch.nn.functional.normalize(pooled, dim=-1))


FOLDER.mkdir(exist_ok=True)
config = {
    "architectures": ["SiglipModel"], "model_type": "siglip",
    "text_config": {**TOWER, "model_type": "siglip_text_model", "vocab_size": 157, "max_position_embeddings": 16},
    "vision_config": {**TOWER, "model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": 8},
    "quantization": {"group_size": GROUP, "bits": BITS, "mode": "affine"},
}
(FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n")
shutil.copyfile(SMALL / "tokenizer.json", FOLDER / "tokenizer.json")
preprocessor = json.loads((SMALL / "preprocessor_config.json").read_text())
preprocessor["size"] = {"height": SIDE, "width": SIDE}
(FOLDER / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")

model = SiglipModel(SiglipConfig.from_pretrained(FOLDER))
randomise(model, seed=8)
stored, values = {}, {}
for name, tensor in model.state_dict().items():
    array = tensor.numpy().astype(np.float16)
    values[name] = array.astype(np.float32)
    if name.endswith("patch_embedding.weight"):
        array = array.transpose(0, 2, 3, 1)
    array = mx.array(array)
    is_matrix = array.ndim == 2 and name.endswith(("weight", "in_proj_weight"))
    if not is_matrix or array.shape[-1] % GROUP:
        stored[mlx_name(name)] = array
        continue
    codes, scales, biases = mx.quantize(array, group_size=GROUP, bits=BITS)
    owner = mlx_name(name).removesuffix("weight")
    stored |= {f"{owner}weight": codes, f"{owner}scales": scales, f"{owner}biases": biases}
    each = np.array(codes).view(np.uint8).reshape(*scales.shape, GROUP).astype(np.float32)
    of_groups = [np.array(part).astype(np.float32)[..., None] for part in (scales, biases)]
    values[name] = (of_groups[0] * each + of_groups[1]).reshape(values[name].shape)
    again = np.array(mx.dequantize(codes, scales, biases, group_size=GROUP, bits=BITS).astype(mx.float32))
    # mlx computes in half precision.
    assert np.abs(again - values[name]).max() < 4e-3 * np.abs(again).max(), name
mx.save_safetensors(str(FOLDER / "model.safetensors"), stored, metadata={"format": "mlx"})
(FOLDER / "model.safetensors").chmod(0o644)

model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in values.items()})
model.eval()
processor = SiglipImageProcessorPil.from_pretrained(FOLDER)
ids = input_ids(FOLDER, TEXTS, 16, model.config.text_config.pad_token_id)
with torch.no_grad():
    pixels = processor([picture(number, *sides) for number, sides in enumerate(PICTURES)], return_tensors="pt")["pixel_values"]
    images = normalised(model.vision_model(pixel_values=pixels).pooler_output)
    texts = normalised(model.text_model(input_ids=torch.tensor(ids)).pooler_output)
tensors = {
    name: hashlib.sha256(np.ascontiguousarray(array, "<f4").tobytes()).hexdigest() for name, array in sorted(values.items())
}
write_json(ROOT / "tests/parity/mlx.json", {
    "made_by": "record_mlx.py", "versions": VERSIONS, "pictures": PICTURES, "image_embeds": images, "texts": TEXTS,
    "text_embeds": texts, "tensors": tensors,
})
print((FOLDER / "model.safetensors").stat().st_size, "bytes,", len(stored), "tensors")
