"""Makes JPEG XL pictures with libjxl, and records what libjxl decodes of them.

    python tests/parity/image/record_jxl.py

needs pillow-jxl-plugin 1.3.8, which brings libjxl, beside the Pillow of tests/parity/requirements.txt. It makes
tests/fixtures/pictures/jxl anew: name.jxl and, as name.png, its pixels in RGB of 8 bits.
"""
import sys
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import pillow_jxl
from PIL import Image

from make_pictures import RGBA, SCENE, saved

ROOT = HERE.parents[2]
PICTURES = ROOT / "tests/fixtures/pictures/jxl"


def pictures():
    photo = Image.open(ROOT / "www/samples/boat.jpg").resize((96, 96))
    yield "rgb-lossless", saved(SCENE, "JXL", lossless=True)
    yield "rgba-lossless", saved(RGBA, "JXL", lossless=True, use_container=True)
    yield "grey-lossless", saved(SCENE.convert("L"), "JXL", lossless=True)
    yield "grey", saved(SCENE.convert("L"), "JXL", quality=80)
    yield "rgb", saved(SCENE, "JXL", quality=80)
    yield "rgba", saved(RGBA, "JXL", quality=90)
    yield "photo", saved(photo, "JXL", quality=75)
    yield "photo-own-profile", saved(photo, "JXL", quality=85, use_original_profile=True)
    jpeg = ROOT / "tests/fixtures/pictures/made/420.jpg"
    yield "of-a-jpeg", saved(Image.open(jpeg), "JXL", lossless_jpeg=True)


def main():
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.iterdir():
        old.unlink()
    for name, data in pictures():
        (PICTURES / f"{name}.jxl").write_bytes(data)
        decoder = pillow_jxl.Decoder(num_threads=0)
        is_jpeg, info, pixels, *_ = decoder(data)
        if is_jpeg:
            image = Image.open(BytesIO(pixels))
        else:
            image = Image.frombytes(info.mode, (info.width, info.height), pixels)
        image.convert("RGB").save(PICTURES / f"{name}.png", optimize=True)
        print(name, len(data), image.mode, image.size)


if __name__ == "__main__":
    main()
