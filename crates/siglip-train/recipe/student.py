"""The student: SigLIP's two towers (modeling_siglip.py of transformers), and how they are written in the hub's layout.

Held otherwise than there, and written as there: an encoder layer's queries, keys and values are one matrix (`in_proj`),
and the token table is that of fixed word vectors times a matrix.
"""

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

CONTEXT = 12
PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Tower:
    width: int
    layers: int
    heads: int
    inner: int


@dataclass(frozen=True)
class Shape:
    """The model's measures: 4.7 million numbers, 10.0 MB in half precision with the tokenizer; two fifths of them are 30,000
    words."""

    side: int = 70
    patch: int = 5
    vision: Tower = Tower(192, 6, 4, 576)
    text: Tower = Tower(64, 2, 4, 512)

    @staticmethod
    def of(config: dict) -> "Shape":
        """That of a hub checkpoint."""

        def tower(kind: str) -> Tower:
            names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
            return Tower(*(config[f"{kind}_config"][name] for name in names))

        vision = config["vision_config"]
        return Shape(vision["image_size"], vision["patch_size"], tower("vision"), tower("text"))

    @property
    def patches(self) -> int:
        return (self.side // self.patch) ** 2

    def config(self, vocabulary: int) -> dict:
        """config.json of a hub checkpoint."""

        def tower(kind: str, tower: Tower) -> dict:
            return {
                "model_type": f"siglip_{kind}_model",
                "hidden_size": tower.width,
                "intermediate_size": tower.inner,
                "num_hidden_layers": tower.layers,
                "num_attention_heads": tower.heads,
            }

        text = tower("text", self.text) | {
            "vocab_size": vocabulary,
            "max_position_embeddings": CONTEXT,
            "projection_size": self.vision.width,
            "pad_token_id": PADDING,
            "bos_token_id": PADDING,
            "eos_token_id": PADDING,
        }
        vision = tower("vision", self.vision) | {"image_size": self.side, "patch_size": self.patch}
        return {
            "architectures": ["SiglipModel"],
            "model_type": "siglip",
            "text_config": text,
            "vision_config": vision,
        }


def matrix(outputs: int, inputs: int, gain: float = 1.0) -> nn.Parameter:
    """Random numbers as the reference draws them: Glorot's normal distribution."""
    return nn.Parameter(torch.randn(outputs, inputs) * gain * (2 / (inputs + outputs)) ** 0.5)


class Linear(nn.Module):
    def __init__(self, outputs: int, inputs: int, gain: float = 1.0):
        super().__init__()
        self.weight = matrix(outputs, inputs, gain)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class Norm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.bias.to(x.dtype), 1e-6)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, gain: float):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.cat([matrix(width, width) for _ in range(3)]).detach())
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = Linear(width, width, gain)

    def split(self, x):
        """[batch, places, width] as [batch, heads, places, width of a head]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, probe=None):
        """Of every place with all places, or of the probe [1, 1, width] alone."""
        weight, bias = self.in_proj_weight.to(x.dtype), self.in_proj_bias.to(x.dtype)
        if probe is None:
            q, k, v = F.linear(x, weight, bias).chunk(3, -1)
        else:
            width = x.shape[-1]
            q = F.linear(probe.to(x.dtype), weight[:width], bias[:width]).expand(len(x), -1, -1)
            k, v = F.linear(x, weight[width:], bias[width:]).chunk(2, -1)
        q, k, v = map(self.split, (q, k, v))
        if x.is_cuda:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            # For so few places torch's fused attention takes 1.6 to 2.7 times as long on a processor.
            y = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v
        return self.out_proj(y.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int, gain: float):
        super().__init__()
        self.fc1 = Linear(inner, width)
        self.fc2 = Linear(width, inner, gain)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Layer(nn.Module):
    def __init__(self, tower: Tower):
        super().__init__()
        # What ends a residual branch begins smaller by the root of the number of branches.
        gain = (2 * tower.layers) ** -0.5
        self.layer_norm1 = Norm(tower.width)
        self.self_attn = Attention(tower.width, tower.heads, gain)
        self.layer_norm2 = Norm(tower.width)
        self.mlp = Mlp(tower.width, tower.inner, gain)

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, tower: Tower):
        super().__init__()
        self.layers = nn.ModuleList(Layer(tower) for _ in range(tower.layers))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def interpolated(positions: torch.Tensor, patches: int) -> torch.Tensor:
    """Position embeddings [patches, width] of a square picture for another number of patches (2010.11929), as the reference's
    `interpolate_pos_encoding` does it."""
    before, after = (math.isqrt(count) for count in (len(positions), patches))
    grid = positions.T.unflatten(1, (before, before))[None]
    return F.interpolate(grid, size=(after, after), mode="bicubic", align_corners=False)[0].flatten(1).T


class Embeddings(nn.Module):
    """Patches with their positions."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.patch = shape.patch
        self.patch_embedding = Linear(shape.vision.width, 3 * shape.patch**2)
        self.position_embedding = nn.Parameter(torch.randn(shape.patches, shape.vision.width) * 0.2)

    def forward(self, pixels, kept: int | None):
        """Of pixels [batch, 3, side, side] between -1 and 1; of each picture so many patches, by chance, if not all."""
        patches = F.pixel_unshuffle(pixels, self.patch).flatten(2).transpose(1, 2)
        positions = self.position_embedding.to(pixels.dtype)
        if kept is not None:
            places = torch.rand(patches.shape[:2], device=pixels.device).argsort(1)[:, :kept]
            patches = patches.gather(1, places[..., None].expand(-1, -1, patches.shape[-1]))
            positions = positions[places]
        return self.patch_embedding(patches) + positions


class PoolingHead(nn.Module):
    def __init__(self, tower: Tower):
        super().__init__()
        self.probe = nn.Parameter(torch.randn(1, 1, tower.width))
        self.attention = Attention(tower.width, tower.heads, 1.0)
        self.layernorm = Norm(tower.width)
        self.mlp = Mlp(tower.width, tower.inner, 1.0)

    def forward(self, x):
        x = self.attention(x, self.probe)[:, 0]
        return x + self.mlp(self.layernorm(x))


class VisionTower(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = Encoder(shape.vision)
        self.post_layernorm = Norm(shape.vision.width)
        self.head = PoolingHead(shape.vision)

    def forward(self, pixels, kept: int | None = None):
        return self.head(self.post_layernorm(self.encoder(self.embeddings(pixels, kept))))


class TextTower(nn.Module):
    def __init__(self, shape: Shape, vectors: torch.Tensor):
        super().__init__()
        width = shape.text.width
        self.register_buffer("vectors", vectors)
        self.words = nn.Parameter(torch.randn(vectors.shape[1], width) * 0.5 * vectors.shape[1] ** -0.5)
        self.position_embedding = nn.Parameter(torch.randn(CONTEXT, width) * 0.1)
        self.encoder = Encoder(shape.text)
        self.final_layer_norm = Norm(width)
        self.head = Linear(shape.vision.width, width)

    def forward(self, input_ids, dtype):
        """Of [sentences, CONTEXT]."""
        x = F.embedding(input_ids, self.vectors) @ self.words + self.position_embedding
        return self.head(self.final_layer_norm(self.encoder(x.to(dtype))[:, -1]))


class Student(nn.Module):
    def __init__(self, shape: Shape, words: dict[str, int], vectors: torch.Tensor):
        """`vectors` [words, 51] are those of the vocabulary `words`."""
        super().__init__()
        self.shape, self.words = shape, words
        self.text_model = TextTower(shape, vectors)
        self.vision_model = VisionTower(shape)
        # Where 2303.15343 begins.
        self.logit_scale = nn.Parameter(torch.tensor([10.0]).log())
        self.logit_bias = nn.Parameter(torch.tensor([-10.0]))

    def image_embeds(self, pixels, kept: int | None = None):
        return F.normalize(self.vision_model(pixels, kept).float(), dim=-1)

    def text_embeds(self, input_ids, dtype=torch.float32):
        return F.normalize(self.text_model(input_ids, dtype).float(), dim=-1)


def hub_tensors(student: Student) -> dict[str, torch.Tensor]:
    """The parameters by the names and in the shapes of the hub's checkpoints."""
    tensors = {}
    for name, tensor in student.named_parameters():
        tensor = tensor.detach().float().cpu()
        if name == "text_model.words":
            name = "text_model.embeddings.token_embedding.weight"
            tensor = student.text_model.vectors.float().cpu() @ tensor
        elif name == "text_model.position_embedding":
            name = "text_model.embeddings.position_embedding.weight"
        elif name == "vision_model.embeddings.position_embedding":
            name += ".weight"
        elif name == "vision_model.embeddings.patch_embedding.weight":
            tensor = tensor.unflatten(1, (3, student.shape.patch, student.shape.patch))
        if "self_attn.in_proj" in name:
            for part, rows in zip("qkv", tensor.chunk(3)):
                tensors[name.replace("in_proj_", f"{part}_proj.")] = rows
        else:
            tensors[name] = tensor
    return tensors


@torch.no_grad()
def read(folder: Path, words: dict[str, int], vectors: torch.Tensor) -> Student:
    """A model that `write` has written. The words may be others: their matrix is the one that gives the table there best, in
    the least squares over the words of both."""
    student = Student(Shape.of(json.loads((folder / "config.json").read_text())), words, vectors)
    tensors = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    there = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    table = tensors["text_model.embeddings.token_embedding.weight"]
    pairs = [(here, there[word]) for word, here in words.items() if word in there and here > UNKNOWN]
    here, there = map(list, zip(*pairs))
    for name, parameter in student.named_parameters():
        if name == "text_model.words":
            tensor = torch.linalg.lstsq(vectors.float().cpu()[here].double(), table[there].double()).solution
        elif "self_attn.in_proj" in name:
            tensor = torch.cat([tensors[name.replace("in_proj_", f"{part}_proj.")] for part in "qkv"])
        elif name == "text_model.position_embedding":
            tensor = tensors["text_model.embeddings.position_embedding.weight"]
        else:
            tensor = tensors[name if name in tensors else f"{name}.weight"]
        parameter.copy_(tensor.reshape(parameter.shape))
    return student


def write(student: Student, data: Path, folder: Path):
    """The model as the hub has it, in half precision, with the tokenizer that lies in `data`."""
    folder.mkdir(parents=True, exist_ok=True)
    side = student.shape.side
    preprocessor = {
        "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor",
        "resample": 3, "rescale_factor": 1 / 255, "size": {"height": side, "width": side},
    }  # fmt: skip
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>", "unk_token": "<unk>", "model_max_length": CONTEXT,
    }  # fmt: skip
    files = {
        "config": student.shape.config(len(student.text_model.vectors)),
        "preprocessor_config": preprocessor,
        "tokenizer_config": tokenizer,
    }
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value, indent=2, sort_keys=True))
    shutil.copyfile(data / "tokenizer.json", folder / "tokenizer.json")
    tensors = {name: tensor.half().contiguous() for name, tensor in hub_tensors(student).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
