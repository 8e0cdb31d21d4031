"""Makes tests/fixtures/random-open-clip{,-i18n} with the `open_clip` package, and records what it computes from them.

Both are small SigLIPs with random weights in open_clip's layout: the first like its v1 models (exact GELU, a text projection,
canonicalized texts), the second like so400m-i18n (no text projection). `open-clip-configs.json` holds every configuration of a
SigLIP that the package has, and the sizes that it builds of it.

Usage: record_open_clip.py (needs open_clip_torch, timm, torchvision and ftfy as well)
"""
import json
import shutil

import numpy as np
import open_clip
import timm
import torch
from open_clip.model import CustomTextCLIP
from open_clip.tokenizer import canonicalize_text
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file

import texts
from reference import ROOT, check_versions, input_ids, picture, rows, write_json

HERE = ROOT / "tests/parity"
FIXTURES = ROOT / "tests/fixtures"
SMALL = FIXTURES / "random-small"
TEXTS = ["This is a photo of a cat.", "A sports_car, isn't  it?", "", "..."]
# Height and width: as the model sees them, and such that are made smaller, larger and of another aspect.
PICTURES = [(24, 24), (61, 47), (9, 30)]
IMAGES, SIDE, PATCH, WIDTH, LENGTH = 2, 24, 8, 32, 16
versions = {**check_versions("torch", "tokenizers", "safetensors", "numpy"),
            "open_clip_torch": open_clip.__version__, "timm": timm.__version__}


def randomise(model, seed):
    """As random_weights.py, by open_clip's names."""
    random = np.random.default_rng(seed)
    for name, values in model.named_parameters():
        mean, deviation = 0.0, 0.1
        if name in ("logit_scale", "logit_bias"):
            mean, deviation = (3.25 if name == "logit_scale" else -4.125), 0.0
        elif ("norm" in name or "ln_" in name) and name.endswith("weight"):
            mean, deviation = 1.0, 0.3
        elif "embed" in name and "patch" not in name or name.endswith("latent"):
            deviation = 0.5
        elif values.dim() > 1:
            gain = 2.0 if "qkv" in name or "in_proj" in name or ".q." in name or ".kv." in name else 1.0
            deviation = gain * values[0].numel() ** -0.5
        drawn = mean + deviation * random.standard_normal(tuple(values.shape))
        values.data = torch.from_numpy(np.asarray(drawn, dtype=np.float32))


def pixel_values(image):
    i = np.arange(3 * SIDE * SIDE, dtype=np.float64)
    return (0.9 * np.sin((0.37 + 0.11 * image) * i)).astype(np.float32).reshape(3, SIDE, SIDE)


def record(kind, seed, text_fields, config):
    folder = FIXTURES / f"random-{kind}"
    folder.mkdir(exist_ok=True)
    vision = {"image_size": 224, "timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none"}
    text = {
        "context_length": LENGTH, "vocab_size": 157, "width": WIDTH, "heads": 4, "layers": 2, "mlp_ratio": 2.5,
        "no_causal_mask": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}, **text_fields,
    }
    with torch.device("meta"):
        model = CustomTextCLIP(WIDTH, vision, text, init_logit_bias=-10)
    model = model.to_empty(device="cpu")
    model.visual.trunk = timm.create_model(
        "vit_base_patch16_siglip_224", img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=2, num_heads=4,
        mlp_ratio=2.5, num_classes=0)
    model.eval()
    randomise(model, seed)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    shutil.copy(SMALL / "tokenizer.json", folder / "tokenizer.json")
    tower = {"hidden_size": WIDTH, "intermediate_size": 80, "num_attention_heads": 4, "num_hidden_layers": 2, "hidden_act": "gelu"}
    (folder / "config.json").write_text(json.dumps({
        "model_type": "siglip",
        "text_config": {**tower, "vocab_size": 157, "max_position_embeddings": LENGTH, "canonicalize": True, **config},
        "vision_config": {**tower, "image_size": SIDE, "patch_size": PATCH},
    }, indent=2) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": SIDE, "width": SIDE}}) + "\n")

    ids = input_ids(folder, [canonicalize_text(text) for text in TEXTS], LENGTH, 1)
    pictures = np.stack([pixel_values(image) for image in range(IMAGES)])
    with torch.no_grad():
        image_embeds, text_embeds, scale, bias = model(torch.from_numpy(pictures), torch.tensor(ids))
        logits = scale * image_embeds @ text_embeds.T + bias
    half = [0.5, 0.5, 0.5]
    preprocess = image_transform_v2(
        PreprocessCfg(size=SIDE, mean=half, std=half, interpolation="bicubic", resize_mode="squash"), is_train=False)
    with torch.no_grad():
        picture_embeds = model.encode_image(
            torch.stack([preprocess(picture(number, *sides)) for number, sides in enumerate(PICTURES)]), normalize=True)
    write_json(HERE / f"model-random-{kind}.json", {
        "made_by": "record_open_clip.py", "versions": versions, "images": IMAGES, "texts": TEXTS, "input_ids": ids,
        "image_embeds": rows(image_embeds), "text_embeds": rows(text_embeds), "logits_per_image": rows(logits),
        "pictures": PICTURES, "picture_embeds": rows(picture_embeds),
    })
    print(kind, *rows(logits))


def sizes(name):
    """The configuration `name`, and what the package builds of it."""
    model_cfg = open_clip.get_model_config(name)
    with torch.device("meta"):
        model = CustomTextCLIP(model_cfg["embed_dim"], dict(model_cfg["vision_cfg"]), dict(model_cfg["text_cfg"]))
    trunk, text = model.visual.trunk, model.text
    block, resblock = trunk.blocks[0], text.transformer.resblocks[0]

    def activation(module):
        return "gelu_pytorch_tanh" if getattr(module, "approximate", "tanh") == "tanh" else "gelu"

    return {
        "name": name,
        "model_cfg": model_cfg,
        "vision": [
            trunk.embed_dim, block.mlp.fc1.out_features, len(trunk.blocks), block.attn.num_heads,
            trunk.patch_embed.img_size[0], trunk.patch_embed.patch_size[0], activation(block.mlp.act)],
        "text": [
            text.width, resblock.mlp.c_fc.out_features, len(text.transformer.resblocks), text.heads, text.vocab_size,
            text.context_length, activation(resblock.mlp.gelu), text.text_projection is not None],
        "epsilons": [block.norm1.eps, resblock.ln_1.eps],
    }


record("open-clip", 41, {"proj_bias": True}, {})
record("open-clip-i18n", 42, {"proj_type": "none"}, {"use_head": False})
names = [name for name in open_clip.list_models() if "SigLIP" in name]
write_json(HERE / "open-clip-configs.json", {
    "made_by": "record_open_clip.py", "versions": versions, "models": [sizes(name) for name in names],
    "canonicalized": [[text, canonicalize_text(text)] for text in [*texts.LABELS, *TEXTS, "Straße ΣΑΣ", "a\x1cb\u3000c"]],
})
