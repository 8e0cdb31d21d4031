"""Makes tests/fixtures/random-small: a small SigLIP in hub layout, of odd sizes, with random weights in f32, f16 and bf16.

The sizes are no multiples of what kernels like (12 values a head, 100 in the MLP, 9 patches with 2 pixels left over, an odd
vocabulary).
"""
import json

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import SiglipConfig, SiglipModel

import texts
from random_weights import randomise
from reference import ROOT, check_versions

check_versions("torch", "transformers", "tokenizers", "safetensors", "numpy")
FOLDER = ROOT / "tests/fixtures/random-small"
LENGTH, IMAGE_SIZE = 16, 44
TOWER = {"hidden_size": 48, "intermediate_size": 100, "num_attention_heads": 4}


def tokenizer():
    """Lower-cased Unigram over the words and characters of some labels, with v1's special tokens."""
    words = sorted({word for label in texts.LABELS for word in label.lower().split()})
    characters = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isupper()]
    pieces = ["▁", *characters, *[f"▁{word}" for word in words if word not in characters]]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *[(piece, -2.0 - 1 / len(piece)) for piece in pieces]]
    made = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[("</s>", 1)])
    made.add_special_tokens([AddedToken(token, normalized=False) for token in ("<pad>", "</s>", "<unk>")])
    return made


def write(name, content):
    (FOLDER / name).write_text(json.dumps(content, indent=2) + "\n")


FOLDER.mkdir(exist_ok=True)
made = tokenizer()
made.save(str(FOLDER / "tokenizer.json"))
write("tokenizer_config.json", {
    "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>",
    "model_max_length": LENGTH,
})
write("preprocessor_config.json", {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    "image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor", "resample": 3,
    "rescale_factor": 1 / 255, "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
})
# As published: without the defaults.
config = {
    "architectures": ["SiglipModel"], "model_type": "siglip",
    "text_config": {
        **TOWER, "model_type": "siglip_text_model", "num_hidden_layers": 2, "vocab_size": made.get_vocab_size(),
        "max_position_embeddings": LENGTH,
    },
    "vision_config": {
        **TOWER, "model_type": "siglip_vision_model", "num_hidden_layers": 3, "image_size": IMAGE_SIZE, "patch_size": 14,
    },
}
write("config.json", config)

model = SiglipModel(SiglipConfig.from_pretrained(FOLDER))
randomise(model, seed=1)
weights = model.state_dict()
for name, dtype in [("model", torch.float32), ("model.f16", torch.float16), ("model.bf16", torch.bfloat16)]:
    narrowed = {key: values.to(dtype).contiguous() for key, values in weights.items()}
    file = FOLDER / f"{name}.safetensors"
    save_file(narrowed, file, metadata={"format": "pt"})
    file.chmod(0o644)
print(f"{FOLDER.name}: {sum(values.numel() for values in weights.values())} values, {made.get_vocab_size()} tokens")
