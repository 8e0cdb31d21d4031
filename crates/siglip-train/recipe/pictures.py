"""The pictures with their classes: photographs from labelled tar files and drawings from the emoji sets."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import resvg_py
from PIL import Image

EMOJI_SETS = ("noto", "fluent-emoji-flat", "twemoji", "emojione", "fxemoji")
# Of these a tenth is held out; the others are trained on whole.
HELD_OUT_SETS = EMOJI_SETS[:3]
DRAWING_SIDE = 128


@dataclass
class Picture:
    """One picture: its class ("source/class"), the names of that class, what tells it from all others, and its split."""

    class_key: str
    names: list[str]
    file: str
    split: str
    image: Image.Image


def in_validation(key: str, share: float) -> bool:
    """The same tenth (or so) on every machine: decided by a hash of the name, not by an order or a seed."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def photographs(data: Path):
    """Every picture of `labels.jsonl`, in its order."""
    tars: dict[str, tarfile.TarFile] = {}
    with open(data / "labels.jsonl") as lines:
        for line in lines:
            row = json.loads(line)
            tar = row["file"].split("/")[0]
            if tar not in tars:
                tars[tar] = tarfile.open(data / f"{tar}.tar")
            image = Image.open(io.BytesIO(tars[tar].extractfile(row["file"]).read())).convert("RGB")
            # The words of a class are split at underscores and slashes where the source wrote identifiers.
            names = [name.replace("_", " ").replace("/", " ") for name in row["names"]]
            yield Picture(f"{row['source']}/{row['class']}", names, row["file"], row["split"], image)


def emoji(registry: Path):
    """The emoji without their skin tones: label, keywords and code points, from emojibase."""
    rows = json.loads((registry / "emojibase-data/en/data.json").read_text())
    return [row for row in rows if row.get("group") is not None and row["group"] != 2]


def drawings(registry: Path):
    """Every emoji in every set that draws it, as RGBA. A tenth of the first sets' drawings is held out for validation."""
    rows = emoji(registry)
    for name in EMOJI_SETS:
        folder = registry / "@iconify-json" / name
        icons = json.loads((folder / "icons.json").read_text())
        chars = json.loads((folder / "chars.json").read_text())
        for row in rows:
            code = row["hexcode"].lower()
            icon = chars.get(code) or chars.get(code.replace("-fe0f", ""))
            if icon not in icons["icons"]:
                continue
            side = icons.get("height", 16)
            svg = (
                f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'viewBox="0 0 {icons.get("width", side)} {side}">{icons["icons"][icon]["body"]}</svg>'
            )
            png = resvg_py.svg_to_bytes(svg_string=svg, width=DRAWING_SIDE, height=DRAWING_SIDE)
            image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
            names = [row["label"], *row.get("tags", [])]
            file = f"{name}/{icon}"
            split = "val" if name in HELD_OUT_SETS and in_validation(file, 0.1) else "train"
            yield Picture(f"emoji/{row['hexcode']}", names, file, split, image)
