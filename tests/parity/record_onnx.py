"""Makes tests/fixtures/onnx from exports of a toy SigLIP, and records what they hold and give. Usage: record_onnx.py FOLDER

FOLDER has `raw` and `slim`, exports of the two generations on the hub, and the model.safetensors and config.json they were
made of. The exports are shortened: one block per tower is kept, and the first tokens. The nodes stay as the exporters made them.

The record says which values every tensor must have. A tensor's values are found by comparing all initializers with the
safetensors, and not by the nodes' names, which is how the reader finds them.
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file
from transformers import SiglipConfig, SiglipModel

from reference import ROOT, check_versions, rows, write_json

VERSIONS = check_versions("torch", "transformers", "safetensors", "numpy", "onnx", "onnxruntime")
SOURCE, TARGET = Path(sys.argv[1]), ROOT / "tests/fixtures/onnx"
KEPT = [
    "raw/model_quantized", "slim/model_quantized", "slim/vision_model_q4f16", "slim/text_model_quantized", "slim/vision_model_fp16",
    "slim/text_model_fp16",
]
TOKENS, IMAGES = 157, 2
TOWERS = ("vision_model", "text_model")


def shortened(model):
    """The model with the first block of each tower."""
    graph = model.graph
    last = {f"/{tower}/encoder/layers.11/Add_1_output_0": f"/{tower}/encoder/layers.0/Add_1_output_0" for tower in TOWERS}
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = last.get(name, name)
    wanted, nodes = {output.name for output in graph.output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(node.input)
    initializers = [short_table(tensor) for tensor in graph.initializer if tensor.name in wanted]
    for field, kept in (("node", nodes[::-1]), ("initializer", initializers), ("value_info", [])):
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    onnx.checker.check_model(model)
    return model


def short_table(tensor):
    if "token_embedding.weight" in tensor.name and len(tensor.dims) == 2:
        return numpy_helper.from_array(numpy_helper.to_array(tensor)[:TOKENS], tensor.name)
    return tensor


def stored(model):
    """The values of every initializer in f32, without names."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    values = []
    for name, array in arrays.items():
        base, _, kind = name.rpartition("_")
        if kind == "quantized":
            levels = array.astype(np.int32) - arrays[f"{base}_zero_point"].astype(np.int32)
            values.append(levels.astype(np.float32) * arrays[f"{base}_scale"])
        elif kind == "Q4":
            levels = np.stack([array & 15, array >> 4], -1).reshape(*array.shape[:2], -1).astype(np.float32) - 8
            scales = arrays[f"{base}_scales"].astype(np.float32).reshape(array.shape[:2])
            # The last block of a row is filled up.
            values.append((levels * scales[..., None]).reshape(array.shape[0], -1))
        elif array.dtype in (np.float32, np.float16):
            values.append(array.astype(np.float32))
    return values


def found(wanted, values):
    """The stored values that are nearest to a tensor's."""
    shape = wanted.shape
    candidates = []
    for array in values:
        turned = (array, array.T, array[:, : shape[-1]]) if array.ndim == 2 else (array,)
        candidates += [one.reshape(shape) for one in turned if one.size == wanted.size and [s for s in one.shape if s > 1] == [s for s in shape if s > 1]]
    if not candidates:
        return None
    error = lambda one: np.linalg.norm(one - wanted) / np.linalg.norm(wanted)
    best = min(candidates, key=error)
    return best if error(best) < 0.25 else None


def tensors(model, weights):
    """What each tensor of the model must be read as."""
    values, record = stored(model), {}
    for name, wanted in weights.items():
        value = found(wanted, values)
        if value is None and "in_proj" in name:
            width = wanted.shape[0] // 3
            value = [found(part, values) for part in (wanted[:width], wanted[width:])]
            value = None if value[0] is None else np.concatenate(value)
        if value is None and name == "logit_scale":
            value = found(np.exp(wanted), values)
            value = None if value is None else np.log(value)
        if value is not None:
            record[name] = [list(value.shape), hashlib.sha256(np.ascontiguousarray(value, "<f4").tobytes()).hexdigest()]
    return record


config = json.loads((SOURCE / "config.json").read_text())
for tower in ("text_config", "vision_config"):
    config[tower]["num_hidden_layers"] = 1
config["text_config"]["vocab_size"] = TOKENS
TARGET.mkdir(exist_ok=True)
(TARGET / "config.json").write_text(json.dumps(config, indent=2) + "\n")
weights = {name: array for name, array in load_file(SOURCE / "model.safetensors").items() if ".layers." not in name or ".layers.0." in name}
weights["text_model.embeddings.token_embedding.weight"] = weights["text_model.embeddings.token_embedding.weight"][:TOKENS]

side, length = config["vision_config"]["image_size"], config["text_config"]["max_position_embeddings"]
i = np.arange(3 * side * side)
pixel_values = np.stack([0.9 * np.sin((0.37 + 0.11 * image) * i) for image in range(IMAGES)]).astype(np.float32).reshape(IMAGES, 3, side, side)
ids = np.stack([(np.arange(length) * (7 + 4 * text) + 3) % TOKENS for text in range(IMAGES)])
model = SiglipModel(SiglipConfig.from_dict(config)).eval()
model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
with torch.no_grad():
    exact = model(input_ids=torch.tensor(ids), pixel_values=torch.tensor(pixel_values))


def normalised(array):
    return torch.tensor(array / np.linalg.norm(array, axis=-1, keepdims=True))


files = {}
for name in KEPT:
    path = TARGET / f"{name}.onnx"
    path.parent.mkdir(exist_ok=True)
    short = shortened(onnx.load(SOURCE / f"{name}.onnx"))
    onnx.save(short, path)
    session = onnxruntime.InferenceSession(path)
    inputs = {"pixel_values": pixel_values, "input_ids": ids}
    wanted = [one.name for one in session.get_inputs()]
    outputs = dict(zip([one.name for one in session.get_outputs()], session.run(None, {one: inputs[one] for one in wanted})))
    embeds = {}
    for kind, tower in (("image", "vision"), ("text", "text")):
        embedding = outputs.get(f"{kind}_embeds", outputs.get("pooler_output") if tower in name else None)
        if embedding is not None:
            embeds[f"{kind}_embeds"] = rows(normalised(embedding))
    of_towers = {one: array for one, array in weights.items() if not one.startswith("logit") or len(embeds) == 2}
    files[name] = {"tensors": tensors(short, of_towers), **embeds}
    print(name, path.stat().st_size, "bytes,", len(files[name]["tensors"]), "of", len(weights), "tensors")

# The same with its data in a file beside it, as exports of more than 2 GB are.
(TARGET / "external").mkdir(exist_ok=True)
# onnx would append to it.
(TARGET / "external/model_quantized.onnx_data").unlink(missing_ok=True)
onnx.save(
    onnx.load(TARGET / "slim/model_quantized.onnx"), TARGET / "external/model_quantized.onnx", save_as_external_data=True,
    location="model_quantized.onnx_data", size_threshold=1024,
)

write_json(ROOT / "tests/parity/onnx.json", {
    "made_by": "record_onnx.py", "versions": VERSIONS, "images": IMAGES, "input_ids": ids.tolist(),
    "image_embeds": rows(exact.image_embeds), "text_embeds": rows(exact.text_embeds),
    "logits_per_image": rows(exact.logits_per_image),
    "files": [{"file": name, **file} for name, file in files.items()],
})
