"""What the recording scripts share: the pinned versions, a text's ids, pictures by a formula, and the form of the recorded files."""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]


def check_versions(*packages):
    """Stops unless `packages` are installed as pinned, and returns their versions."""
    requirements = Path(__file__).with_name("requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in requirements if "==" in line)
    # torch calls itself 2.15.0+cpu where it came from PyTorch's own index.
    installed = {package: version(package).split("+")[0] for package in packages}
    wrong = [f"{package}=={pinned[package]}, not {found}" for package, found in installed.items() if found != pinned[package]]
    if wrong:
        raise SystemExit(f"the reference needs {', '.join(wrong)}: pip install -r tests/parity/requirements.txt")
    return installed


def input_ids(folder, texts, length, pad_token_id):
    """The texts as tokenizer.json says, cut and padded as transformers does with padding="max_length", truncation=True.

    With Gemma's vocabulary it is SigLIP 2's own tokenizer that says it, and how it pads too.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if tokenizer.token_to_id("<bos>") == 2:
        from transformers import Siglip2Tokenizer  # heavy, and not every script needs it

        siglip2 = Siglip2Tokenizer.from_pretrained(folder)
        return siglip2(texts, padding="max_length", truncation=True, max_length=length)["input_ids"]
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    encoded = [tokenizer.encode(text).ids for text in texts]
    return [ids + [pad_token_id] * (length - len(ids)) for ids in encoded]


def picture(number, height, width):
    """Picture n by a formula: the level at place i of [height, width, 3] is (7 i² + 13 i + 31 n) mod 256."""
    i = np.arange(height * width * 3, dtype=np.int64)
    return Image.fromarray(((7 * i * i + 13 * i + 31 * number) % 256).astype(np.uint8).reshape(height, width, 3))


def rows(tensor):
    """The shortest decimals that are these f32 again."""
    return [[float(str(value)) for value in row] for row in tensor.numpy()]


def write_json(path, record):
    """Writes `record` with a line an entry, and a line an item of its longer lists, so that changes can be read."""
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and len(value) > 1:
            items = ",\n".join(f"  {json.dumps(item, ensure_ascii=True)}" for item in value)
            lines.append(f" {json.dumps(key)}: [\n{items}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=True)}")
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n")
