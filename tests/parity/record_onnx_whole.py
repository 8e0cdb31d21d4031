"""Records what onnxruntime gives with the whole exports of a toy SigLIP. Usage: record_onnx_whole.py FOLDER

FOLDER is as for record_onnx.py, which shortens the exports so that they can be kept here. With the whole ones at hand,
SIGLIP_ONNX_EXPORTS=FOLDER cargo test -p siglip --test checkpoints whole_exports -- --nocapture compares with this record.
"""
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import SiglipModel

from reference import ROOT, check_versions, rows, write_json

VERSIONS = check_versions("torch", "transformers", "numpy", "onnxruntime")
SOURCE, IMAGES = Path(sys.argv[1]), 2

model = SiglipModel.from_pretrained(SOURCE, dtype=torch.float32).eval()
side, length = model.config.vision_config.image_size, model.config.text_config.max_position_embeddings
i = np.arange(3 * side * side)
pixel_values = np.stack([0.9 * np.sin((0.37 + 0.11 * image) * i) for image in range(IMAGES)]).astype(np.float32).reshape(IMAGES, 3, side, side)
ids = np.stack([(np.arange(length) * (7 + 4 * text) + 3) % model.config.text_config.vocab_size for text in range(IMAGES)])
with torch.no_grad():
    exact = model(input_ids=torch.tensor(ids), pixel_values=torch.tensor(pixel_values))

files = []
for path in sorted(SOURCE.glob("*/*.onnx")):
    session = onnxruntime.InferenceSession(path)
    inputs = {"pixel_values": pixel_values, "input_ids": ids}
    names = [one.name for one in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {one.name: inputs[one.name] for one in session.get_inputs()})))
    embeds = {}
    for kind, tower in (("image", "vision"), ("text", "text")):
        embedding = outputs.get(f"{kind}_embeds", outputs.get("pooler_output") if path.name.startswith(tower) else None)
        if embedding is not None:
            embedding = torch.tensor(embedding, dtype=torch.float32)
            embeds[f"{kind}_embeds"] = rows(embedding / embedding.norm(dim=-1, keepdim=True))
            print(path.parent.name, path.name, kind, "cosine", torch.nn.functional.cosine_similarity(embedding, exact[f"{kind}_embeds"]).min().item())
    files.append({"file": f"{path.parent.name}/{path.stem}", **embeds})

write_json(ROOT / "tests/parity/onnx-whole.json", {
    "made_by": "record_onnx_whole.py", "versions": VERSIONS, "images": IMAGES, "input_ids": ids.tolist(),
    "image_embeds": rows(exact.image_embeds), "text_embeds": rows(exact.text_embeds), "files": files,
})
