"""Rounds each row that the engine keeps in 8 bits to multiples of its step: levels.py MODEL

A step is the largest magnitude of the row over 127, as in crates/siglip-kernels/src/quantize.rs. The engine then finds the
same levels again, so that 8 bits lose no more than f16 does: a step is 1/127 of the largest, and f16 has 1/2048 of each.
"""

import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def is_kept_in_8_bits(name: str) -> bool:
    """The token table and every linear layer; the patch embedding and the positions stay in single precision."""
    in_layer = any(part in name for part in (".layers.", ".head."))
    return name.endswith("token_embedding.weight") or in_layer and name.endswith(("weight", "in_proj_weight"))


def rounded(rows: torch.Tensor) -> torch.Tensor:
    rows = rows.float()
    step = rows.abs().amax(1, keepdim=True) / 127
    return torch.where(step > 0, (rows / step).round() * step, 0).half()


path = Path(sys.argv[1]) / "model.safetensors"
with safe_open(path, "pt") as file:
    metadata = file.metadata()
    tensors = {name: file.get_tensor(name) for name in file.keys()}
for name, tensor in tensors.items():
    if tensor.ndim != 2 or not is_kept_in_8_bits(name):
        continue
    # Queries and keys of the pooling head come first: the engine multiplies them with each other beforehand.
    first = 2 * len(tensor) // 3 if name.endswith("in_proj_weight") else 0
    tensors[name] = torch.cat([tensor[:first], rounded(tensor[first:])])
save_file(tensors, path, metadata=metadata)
