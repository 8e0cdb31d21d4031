"""What may be said of the pictures, as tensors: phrases, templates around them, and which are true of which class."""

import json
import random
import re
from pathlib import Path

import torch
from safetensors.torch import load_file

from student import CONTEXT, PADDING, UNKNOWN

# Half of the prompts read as the page's own template makes them, with and without an article.
TEMPLATES = [
    *["this is a photo of {}"] * 3, *["this is a photo of a {}"] * 3,
    "{}", "a {}", "a photo of {}", "a photo of a {}", "a picture of a {}", "the {}",
]  # fmt: skip
DRAWING_TEMPLATES = ["a drawing of {}", "a drawing of a {}", "{} emoji", "an icon of a {}"]
# Words that change nothing about what a picture shows: now and then one stands before the phrase.
MODIFIERS = (
    "my some one two 2 three 3 many small big large little old new nice beautiful "
    "red blue green yellow black white brown pink"
).split()
MODIFIED = 0.08
ABOUT_DRAWINGS = 0.3


def drawn_by(weights: torch.Tensor) -> torch.Tensor:
    """A place in each row, by the row's weights. torch.multinomial would wait for the device."""
    return (weights / torch.empty_like(weights).exponential_()).argmax(1)


def wrap(template: str, phrase: str) -> str:
    if phrase[0] in "aeiou":
        template = re.sub(r"\ba \{\}", "an {}", template)
    return template.replace("{}", phrase)


class Captions:
    """Phrases and classes by number, and what is known of each pair."""

    def __init__(self, data: Path, device: torch.device):
        captions = json.loads((data / "captions.json").read_text())
        self.words = json.loads((data / "tokenizer.json").read_text())["model"]["vocab"]
        self.vectors = load_file(data / "words.safetensors")["vectors"].float().to(device)
        self.phrases: list[str] = captions["phrases"]
        self.classes = {key: i for i, key in enumerate(captions["classes"])}
        self.device = device
        # [classes, phrases]: 1 where the phrase is true of the class, -1 where that can't be told, else 0.
        truth = torch.zeros(len(self.classes), len(self.phrases), dtype=torch.int8)
        longest = max(len(described["true"]) for described in captions["classes"].values())
        drawn = torch.zeros(len(self.classes), longest, dtype=torch.long)
        weights = torch.zeros(len(self.classes), longest)
        for i, described in enumerate(captions["classes"].values()):
            phrases = [int(phrase) for phrase in described["true"]]
            truth[i, described["maybe"]] = -1
            truth[i, phrases] = 1
            drawn[i, : len(phrases)] = torch.tensor(phrases)
            weights[i, : len(phrases)] = torch.tensor(list(described["true"].values()))
        self.truth, self.drawn, self.weights = truth.to(device), drawn.to(device), weights.to(device)
        # The phrases of each class of the teacher's, the usual one first. Two classes of one name ("crane") can't be told
        # apart by it: the second has no phrases.
        names = [[] if not p or p[0] in {q[0] for q in captions["teacher"][:i] if q} else p for i, p in enumerate(captions["teacher"])]
        self.teacher = [i for i, phrases in enumerate(names) if phrases]
        named = [names[i] for i in self.teacher]
        longest = max(map(len, named))
        self.teacher_phrases = torch.tensor([p + [0] * (longest - len(p)) for p in named], device=device)
        self.teacher_weights = torch.tensor(
            [[0.6] + [0.4 / max(len(p) - 1, 1)] * (len(p) - 1) + [0.0] * (longest - len(p)) for p in named], device=device
        )
        self.sentences = self._sentences().to(device)

    def input_ids(self, sentences: list[str]) -> torch.Tensor:
        """[sentences, CONTEXT], each cut and padded. The words stand between single spaces, in lower case."""
        rows = [[self.words.get(word, UNKNOWN) for word in sentence.split(" ")][:CONTEXT] for sentence in sentences]
        return torch.tensor([row + [PADDING] * (CONTEXT - len(row)) for row in rows])

    def _sentences(self) -> torch.Tensor:
        """[phrases, variants, CONTEXT]: each phrase in each template, in those for drawings, and with a modifier."""
        chance = random.Random(0)
        sentences = []
        for phrase in self.phrases:
            sentences += [wrap(template, phrase) for template in TEMPLATES + DRAWING_TEMPLATES]
            sentences += [wrap(template, f"{chance.choice(MODIFIERS)} {phrase}") for template in TEMPLATES]
        return self.input_ids(sentences).unflatten(0, (len(self.phrases), -1))

    def draw(self, classes: torch.Tensor) -> torch.Tensor:
        """A phrase that is true of each class."""
        return self.drawn[classes, drawn_by(self.weights[classes])]

    def draw_teacher(self) -> torch.Tensor:
        """A phrase that names each of the teacher's classes: mostly the usual one."""
        return self.teacher_phrases.gather(1, drawn_by(self.teacher_weights)[:, None])[:, 0]

    def say(self, phrases: torch.Tensor, drawings: torch.Tensor | None = None) -> torch.Tensor:
        """Input ids of a sentence about each phrase; `drawings` tells of which a drawing shows it."""
        count = len(phrases)
        uniform = lambda: torch.rand(count, device=self.device)
        number = lambda below: torch.randint(below, (count,), device=self.device)
        plain, special = len(TEMPLATES), len(DRAWING_TEMPLATES)
        variant = number(plain)
        variant = torch.where(uniform() < MODIFIED, plain + special + variant, variant)
        if drawings is not None:
            variant = torch.where(drawings & (uniform() < ABOUT_DRAWINGS), plain + number(special), variant)
        return self.sentences[phrases, variant]
