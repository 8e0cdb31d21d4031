"""Compares what `siglip` makes of every picture in some folders with what Pillow makes of it.

    python tests/parity/image/hunt.py COMMAND FOLDER...

COMMAND reads paths from standard input and answers each with a line of JSON; `cargo xtask hunt FOLDER...` builds it and
calls this script. Prints every disagreement, then the counts by format. Exits with 1 where there is a disagreement that
KNOWN does not explain.
"""
import collections
import json
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from PIL import Image

from upright import upright_rgb


def pillow(path):
    """Format, and width, height and CRC-32 of the pixels or Pillow's error."""
    kind = None
    try:
        with Image.open(path) as image:
            kind = image.format
            image = upright_rgb(image)
    except Exception as error:
        return kind, {"error": f"{type(error).__name__}: {error}"}
    return kind, {"width": image.width, "height": image.height, "crc": zlib.crc32(image.tobytes())}


def files(folders):
    seen = set()
    for folder in folders:
        folder = Path(folder)
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file() and "\n" not in str(path):
                checksum = hash(path.read_bytes())
                if checksum not in seen:
                    seen.add(checksum)
                    yield path


def main():
    warnings.simplefilter("ignore")
    command, *folders = sys.argv[1:]
    counts = collections.defaultdict(collections.Counter)
    paths = list(files(folders))
    answers = subprocess.run([command], input="\n".join(map(str, paths)), capture_output=True, text=True)
    answers = answers.stdout.splitlines()
    if len(answers) != len(paths):
        sys.exit(f"the decoder ended at {paths[len(answers)]}")
    for path, answer in zip(paths, answers):
        kind, expected = pillow(path)
        found = json.loads(answer)
        if kind is None and "error" in found:
            continue
        if "error" in expected:
            verdict = "both refuse" if "error" in found else "only here"
        elif "error" in found:
            verdict = "refused here"
        else:
            verdict = "same" if found == expected else "other pixels"
        counts[kind or "not opened"][verdict] += 1
        if verdict not in ("same", "both refuse"):
            print(f"{verdict}: {path} ({kind})\n    Pillow {expected}\n    here   {found}")
    verdicts = ["same", "both refuse", "other pixels", "refused here", "only here"]
    print(f"{'':12}" + "".join(f"{verdict:>14}" for verdict in verdicts))
    for kind, count in sorted(counts.items()):
        print(f"{kind:12}" + "".join(f"{count[verdict]:14}" for verdict in verdicts))
    sys.exit(any(count["other pixels"] + count["refused here"] for count in counts.values()))


if __name__ == "__main__":
    main()
