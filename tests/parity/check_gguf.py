"""Checks a file that `siglip convert` wrote with the `gguf` package. Usage: check_gguf.py FILE.gguf DIR

Every tensor of DIR/model.safetensors has to be there, in its shape, with its values as near as its type allows, and every small
file has to be inside, byte by byte.
"""
import argparse
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors import safe_open

from reference import check_versions

parser = argparse.ArgumentParser()
parser.add_argument("file", type=Path)
parser.add_argument("folder", type=Path)
arguments = parser.parse_args()
check_versions("gguf", "numpy", "safetensors")
# Of a tensor's largest value: half a step of the type, and the rounding of its scale. A k-quant's scale is that of the least
# squared error, so the number at the end of a part may be a step off.
ALLOWED = {"F32": 0.0, "F16": 2**-11, "Q8_0": 0.5 / 127 + 2**-11, "Q6_K": 0.036, "Q5_K": 0.09, "Q4_K": 0.18}

reader = GGUFReader(arguments.file)
assert reader.get_field("general.architecture").contents() == "siglip"
for key in ("config", "preprocessor_config", "tokenizer"):
    inside = reader.get_field(f"siglip.{key}_json").contents()
    assert inside == (arguments.folder / f"{key}.json").read_text(), f"{key}.json differs"

worst = dict.fromkeys(ALLOWED, 0.0)
with safe_open(arguments.folder / "model.safetensors", framework="np") as weights:
    assert {tensor.name for tensor in reader.tensors} == set(weights.keys()), "other tensors"
    for tensor in reader.tensors:
        original, kind = weights.get_tensor(tensor.name).astype(np.float32), tensor.tensor_type.name
        assert list(reversed(tensor.shape.tolist())) == list(original.shape), f"{tensor.name}: {tensor.shape}"
        values = dequantize(tensor.data, tensor.tensor_type).reshape(original.shape)
        error = np.abs(values - original).max() / np.abs(original).max()
        assert error <= ALLOWED[kind], f"{tensor.name}: {error} in {kind}"
        worst[kind] = max(worst[kind], float(error))
print(f"{arguments.file.name}: {len(reader.tensors)} tensors; largest errors {worst}")
