"""Makes tests/fixtures/random-*: a small checkpoint in hub layout of every kind that is published, with random weights in f32.

Each config.json says no more than the published ones do. The tokenizers of SigLIP 2 are as Gemma's: a byte-pair encoding that knows
of no lower case.
"""
import json

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel

import texts
from random_weights import randomise
from reference import ROOT, check_versions

check_versions("torch", "transformers", "tokenizers", "safetensors", "numpy")
TEXT = {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 3, "num_hidden_layers": 2}
VISION = {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 2, "num_hidden_layers": 2}
WIDE = {"hidden_size": 36, "intermediate_size": 70, "num_attention_heads": 4, "num_hidden_layers": 3}
SQUARE = {"image_size": 20, "patch_size": 5}


def gemma():
    """Gemma's special tokens, a token a byte and a character, and the merges that make words of some labels."""
    words = sorted({word for label in texts.LABELS for word in label.lower().split() if word.isascii()})
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    tokens += ["▁", *[chr(code) for code in range(0x21, 0x7F)]]
    merges = []
    for word in words[:40]:
        for end in range(2, len(word) + 1):
            if word[:end] not in tokens:
                tokens.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.post_processor = processors.TemplateProcessing(single="$A <eos>", pair="$A $B <eos>", special_tokens=[("<eos>", 1)])
    made.add_special_tokens([AddedToken(token, normalized=False) for token in tokens[:5]])
    return made


def multilingual():
    """A Unigram with v1's special tokens over characters of many scripts."""
    pieces = ["▁", *[chr(code) for code in range(0x21, 0x7F)], *"äéßžабвгдежαβγδεأبتث的一是不了在人有我猫狗あいうえおかきく"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *[(piece, -3.0) for piece in dict.fromkeys(pieces)]]
    made = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    made.add_special_tokens([AddedToken(token, normalized=False) for token in ("<pad>", "</s>", "<unk>")])
    return made


def identity_head(model):
    head = model.text_model.head
    head.weight.data = torch.eye(len(head.weight))
    head.bias.data.zero_()


V1_TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
V2_TOKENIZER = {
    "tokenizer_class": "GemmaTokenizer", "add_bos_token": False, "add_eos_token": True, "bos_token": "<bos>", "eos_token": "<eos>",
    "pad_token": "<pad>", "unk_token": "<unk>", "padding_side": "right",
}
# Tokenizer and its configuration, texts' length, the towers, Pillow's filter.
ARCHITECTURES = {
    "i18n": (multilingual, V1_TOKENIZER, 7, TEXT, VISION | SQUARE, 3),
    "siglip2": (gemma, V2_TOKENIZER, 16, TEXT, VISION | SQUARE, 2),
    "giant": (gemma, V2_TOKENIZER, 12, TEXT | {"projection_size": WIDE["hidden_size"]}, WIDE | SQUARE, 2),
    "naflex": (gemma, V2_TOKENIZER, 12, TEXT, VISION | {"num_patches": 16, "patch_size": 4}, 2),
}

for seed, (name, (tokenizer, tokenizer_config, length, text, vision, resample)) in enumerate(ARCHITECTURES.items(), 11):
    folder = ROOT / f"tests/fixtures/random-{name}"
    folder.mkdir(exist_ok=True)

    def write(file, content):
        (folder / file).write_text(json.dumps(content, indent=2) + "\n")

    made = tokenizer()
    made.save(str(folder / "tokenizer.json"))
    write("tokenizer_config.json", tokenizer_config | {"model_max_length": length})
    naflex = "num_patches" in vision
    kind = "siglip2" if naflex else "siglip"
    preprocessor = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "resample": resample, "rescale_factor": 1 / 255,
    }
    if naflex:
        sides = {"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 16, "patch_size": vision["patch_size"]}
    else:
        sides = {"image_processor_type": "SiglipImageProcessor", "size": {"height": vision["image_size"], "width": vision["image_size"]}}
    write("preprocessor_config.json", preprocessor | sides)
    write("config.json", {
        "architectures": ["Siglip2Model" if naflex else "SiglipModel"], "model_type": kind,
        "text_config": text | {
            "model_type": f"{kind}_text_model", "vocab_size": made.get_vocab_size(), "max_position_embeddings": length,
        },
        "vision_config": vision | {"model_type": f"{kind}_vision_model"},
    })
    model = Siglip2Model(Siglip2Config.from_pretrained(folder)) if naflex else SiglipModel(SiglipConfig.from_pretrained(folder))
    randomise(model, seed)
    if name == "i18n":
        identity_head(model)
    file = folder / "model.safetensors"
    save_file({key: values.contiguous() for key, values in model.state_dict().items()}, file, metadata={"format": "pt"})
    file.chmod(0o644)
    print(f"{folder.name}: {file.stat().st_size} bytes of weights, {made.get_vocab_size()} tokens")
