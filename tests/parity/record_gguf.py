"""Makes tests/fixtures/gguf-types.gguf: random blocks of every type that is read, each tensor T beside T.values, what the `gguf`
package makes of it in f32. Of the types that the package can write, T.quantized are weights as it quantizes them. Usage:
record_gguf.py
"""
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

from reference import ROOT, check_versions

check_versions("gguf", "numpy")
# Where the blocks of a type keep their scales in half precision.
SCALES = {
    Type.F16: [0], Type.BF16: [], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}
ROWS, WIDTH = 2, 256

random = np.random.default_rng(1)
path = ROOT / "tests/fixtures/gguf-types.gguf"
writer = GGUFWriter(path, "siglip")
for kind, scales in SCALES.items():
    block_len, block_bytes = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * WIDTH // block_len, block_bytes), dtype=np.uint8)
    for scale in scales:
        # Any scale but an infinite one.
        blocks[:, scale + 1] &= 0b10111111
    if kind == Type.BF16:
        blocks[:, 1] &= 0b10111111
    stored = blocks.reshape(ROWS, -1)
    if kind == Type.F16:
        stored = stored.view(np.float16)
    values = dequantize(stored, kind).astype(np.float32)
    assert values.shape == (ROWS, WIDTH) and np.isfinite(values).all()
    writer.add_tensor(kind.name, stored, raw_dtype=kind)
    writer.add_tensor(f"{kind.name}.values", values)
weights = np.random.default_rng(2).normal(0, 0.05, (ROWS, WIDTH)).astype(np.float32)
for kind in (Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0):
    stored = quantize(weights, kind)
    writer.add_tensor(f"{kind.name}.quantized", stored, raw_dtype=kind)
    writer.add_tensor(f"{kind.name}.quantized.values", dequantize(stored, kind).astype(np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
print(f"{path.name}: {path.stat().st_size} bytes")
