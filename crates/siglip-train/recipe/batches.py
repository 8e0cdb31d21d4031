"""The pictures on the device, and batches of them: cropped, mirrored, coloured, drawings on some ground, mixed."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

# How often each source is drawn: small ones more often than their size, lest they drown.
SHARES = {
    "tiny-imagenet": 0.60, "caltech101": 0.08, "cifar10": 0.07, "clothing-dataset": 0.03, "grocery-store": 0.07,
    "emoji": 0.15,
}  # fmt: skip
DRAWINGS = "emoji"
# Of a picture's area, the least that a crop has.
SMALLEST = 0.4
# Of the photographs, how many are shown whole.
WHOLE = 0.15
# The least and the largest area of the parts of photographs on which drawings stand: grass or sky, seldom a whole thing.
GROUND = (0.02, 0.2)


class Pictures:
    """All pictures to train on: pixels [rows, 4, 64, 64] with their opacity, the class of each, the rows of each source."""

    def __init__(self, data: Path, classes: dict[str, int], device: torch.device):
        rows = json.loads((data / "pictures.json").read_text())["train"]
        kept = [i for i, row in enumerate(rows) if row["class"] in classes]
        pixels = load_file(data / "pictures.safetensors")["pixels"]
        if len(kept) < len(rows):
            pixels = pixels[kept]
        self.pixels = pixels.to(device).permute(0, 3, 1, 2).contiguous()
        self.keys = [rows[i]["class"] for i in kept]
        self.classes = torch.tensor([classes[key] for key in self.keys], device=device)
        self.device = device
        sources = [key.split("/")[0] for key in self.keys]
        self.rows = {}
        for source in SHARES:
            found = [i for i, name in enumerate(sources) if name == source]
            if found:
                self.rows[source] = torch.tensor(found, device=device)
        self.photographs = torch.cat([rows for source, rows in self.rows.items() if source != DRAWINGS])
        self.is_drawing = torch.ones(len(kept), dtype=torch.bool, device=device)
        self.is_drawing[self.photographs] = False

    def counts(self, size: int, shares: dict[str, float]) -> dict[str, int]:
        """How many pictures of each source make a batch."""
        shares = {source: share for source, share in shares.items() if source in self.rows}
        counts = {s: max(1, round(size * share / sum(shares.values()))) for s, share in shares.items()}
        largest = max(counts, key=counts.get)
        counts[largest] += size - sum(counts.values())
        return counts

    def draw(self, counts: dict[str, int]) -> torch.Tensor:
        """Rows, source by source."""
        rows = [self.rows[s][torch.randint(len(self.rows[s]), (n,), device=self.device)] for s, n in counts.items()]
        return torch.cat(rows)


def random_boxes(count: int, device: torch.device, smallest: float = SMALLEST, largest: float = 1.0) -> torch.Tensor:
    """Crops as [count, 4]: the middle and the half sides, where the picture goes from -1 to 1."""
    area = smallest + (largest - smallest) * torch.rand(count, device=device)
    aspect = (torch.rand(count, device=device) * 2 - 1) * math.log(4 / 3) / 2
    width, height = ((area.sqrt() * (sign * aspect).exp()).clamp(max=1) for sign in (1, -1))
    x, y = ((torch.rand(count, device=device) * 2 - 1) * (1 - half) for half in (width, height))
    return torch.stack([x, y, width, height], 1)


def sample(pixels: torch.Tensor, theta: torch.Tensor, side: int) -> torch.Tensor:
    """The pictures [count, 4, 64, 64] of u8 through affine maps [count, 2, 3], with opacity, from 0 to 1."""
    grid = F.affine_grid(theta, (len(pixels), 4, side, side), align_corners=False)
    # Photographs are never left, so that zeros stand for what lies beside a drawing.
    return F.grid_sample(pixels.float() / 255, grid, mode="bicubic", padding_mode="zeros", align_corners=False).clamp(0, 1)


def theta_of(boxes: torch.Tensor, mirrored: torch.Tensor | None = None) -> torch.Tensor:
    x, y, width, height = boxes.unbind(1)
    zero = torch.zeros_like(x)
    across = width if mirrored is None else torch.where(mirrored, -width, width)
    return torch.stack([across, zero, x, zero, height, y], 1).unflatten(1, (2, 3))


def cropped(pixels: torch.Tensor, boxes: torch.Tensor, side: int, mirrored: torch.Tensor | None = None) -> torch.Tensor:
    """Parts of photographs, [count, 3, side, side] from 0 to 1. Their edge continues where interpolation asks for more."""
    grid = F.affine_grid(theta_of(boxes, mirrored), (len(pixels), 3, side, side), align_corners=False)
    rgb = pixels[:, :3].float() / 255
    return F.grid_sample(rgb, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(0, 1)


def on_grounds(pixels: torch.Tensor, photographs: torch.Tensor, side: int) -> torch.Tensor:
    """Drawings on grounds: a third as they are on white, the others smaller, turned and elsewhere, on white, black (which
    often remains where a picture's transparency is dropped), something light, any colour, or a part of one of so many
    photographs, so that what a thing is does not hang on what is behind it."""
    count, device = len(pixels), pixels.device
    uniform = lambda low, high: low + (high - low) * torch.rand(count, device=device)
    changed = torch.rand(count, device=device) < 0.67
    zoom = torch.where(changed, uniform(0.9, 1.65), torch.ones(count, device=device))
    angle = torch.where(changed, uniform(-0.25, 0.25), torch.zeros(count, device=device))
    x, y = (uniform(-1, 1) * (zoom - 1) for _ in range(2))
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    drawn = sample(pixels, torch.stack([cos, -sin, x, sin, cos, y], 1).unflatten(1, (2, 3)), side)
    colour = torch.rand(count, 3, device=device)
    kind = torch.rand(count, 1, device=device)
    plain = torch.where(kind < 0.3, 1.0, torch.where(kind < 0.45, 0.0, torch.where(kind < 0.6, 0.75 + 0.25 * colour, colour)))
    parts = cropped(photographs, random_boxes(count, device, *GROUND), side)
    ground = torch.where(kind[:, :, None, None] < 0.75, plain[:, :, None, None], parts)
    ground = torch.where(changed[:, None, None, None], ground, 1.0)
    opacity = drawn[:, 3:]
    return drawn[:, :3] * opacity + ground * (1 - opacity)


def coloured(pictures: torch.Tensor, strength: float | torch.Tensor) -> torch.Tensor:
    """Other brightness, contrast and saturation, and now and then grey."""
    count, device = len(pictures), pictures.device
    factor = lambda: 1 + strength * (2 * torch.rand(count, 1, 1, 1, device=device) - 1)
    grey = pictures.mean(1, keepdim=True)
    saturation = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.05, 0.0, factor())
    pictures = grey + (pictures - grey) * saturation
    middle = pictures.mean((1, 2, 3), keepdim=True)
    tint = 1 + 0.3 * strength * (2 * torch.rand(count, 3, 1, 1, device=device) - 1)
    return (((pictures - middle) * factor() + middle * factor()) * tint).clamp(0, 1)


@dataclass
class Mix:
    """For each picture the other one that is mixed into it, and its own share [count, 1]."""

    other: torch.Tensor
    share: torch.Tensor


def mix(pictures: torch.Tensor, counts: dict[str, int], often: float | torch.Tensor) -> tuple[torch.Tensor, Mix]:
    """Mixes photographs with others of their source: cutmix (1905.04899) or mixup (1710.09412), by halves."""
    device, count, side = pictures.device, len(pictures), pictures.shape[-1]
    start, others, may = 0, [], []
    for source, size in counts.items():
        # A permutation without torch.randperm, which may wait for the device.
        others.append(start + torch.rand(size, device=device).argsort())
        may.append(torch.full((size,), float(source != DRAWINGS), device=device))
        start += size
    other = torch.cat(others)
    mixed = torch.rand(count, device=device) < often * torch.cat(may)
    cut = torch.rand(count, device=device) < 0.5
    # The box that is cut out has the other's share of the area; it may reach over the edge.
    half = torch.rand(count, device=device).sqrt() * side / 2
    places = torch.arange(side, device=device) + 0.5
    along = lambda: ((places - side * torch.rand(count, 1, device=device)).abs() < half[:, None]).float()
    box = along()[:, :, None] * along()[:, None, :]
    blend = torch.rand(count, 1, 1, device=device).expand(-1, side, side)
    weight = torch.where(cut[:, None, None], box, blend)
    weight = torch.where(mixed[:, None, None], weight, 0.0)
    share = 1 - weight.mean((1, 2))[:, None]
    weight = weight[:, None]
    return pictures * (1 - weight) + pictures[other] * weight, Mix(other, share)


class Views:
    """Batches of pictures as they are shown: cropped, mirrored, coloured, mixed; drawings on grounds."""

    def __init__(self, pictures: Pictures, size: int, side: int, shares: dict[str, float] = SHARES):
        self.pictures, self.side = pictures, side
        self.counts = pictures.counts(size, shares)
        # They come first.
        self.photographs = size - self.counts.get(DRAWINGS, 0)

    def draw(self, strength: float, often: float) -> tuple[torch.Tensor, torch.Tensor, Mix]:
        """Rows; [rows, 3, side, side] from 0 to 1; what is mixed into them."""
        rows = self.pictures.draw(self.counts)
        pixels = self.pictures.pixels
        photographs, drawings = rows[: self.photographs], rows[self.photographs :]
        count, device = len(photographs), rows.device
        whole = torch.tensor([0.0, 0.0, 1.0, 1.0], device=device)
        boxes = torch.where(torch.rand(count, 1, device=device) < WHOLE, whole, random_boxes(count, device))
        parts = [cropped(pixels[photographs], boxes, self.side, torch.rand(count, device=device) < 0.5)]
        if len(drawings):
            grounds = self.pictures.photographs
            grounds = grounds[torch.randint(len(grounds), drawings.shape, device=device)]
            parts.append(on_grounds(pixels[drawings], pixels[grounds], self.side))
        return rows, *mix(coloured(torch.cat(parts), strength), self.counts, often)


class Validation:
    """The pictures that training never sees."""

    def __init__(self, data: Path, device: torch.device):
        index = json.loads((data / "pictures.json").read_text())
        self.pixels = load_file(data / "validation.safetensors")["pixels"].to(device)
        self.keys = [row["class"] for row in index["validation"]]
        self.names = index["classes"]

    def rows(self, source: str) -> list[int]:
        """The rows of a source whose classes have a name."""
        return [i for i, key in enumerate(self.keys) if key.split("/")[0] == source and self.names[key]]

    def shown(self, rows: torch.Tensor, side: int) -> torch.Tensor:
        """[rows, 3, side, side] from 0 to 1, whole."""
        pixels = self.pixels[rows].permute(0, 3, 1, 2).float() / 255
        return F.interpolate(pixels, size=(side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
