"""Records what transformers' SiglipImageProcessor on Pillow makes of the pictures in tests/fixtures/pictures.

    python tests/parity/image/record.py

needs the versions of tests/parity/requirements.txt, and stops where they are not the installed ones. It makes the
pictures in tests/fixtures/pictures/made anew, and writes, beside itself,

- pictures.json: of each picture the sides and the CRC-32 of its pixels after
  `ImageOps.exif_transpose(Image.open(file)).convert("RGB")`, or Pillow's error; and the CRC-32 of its levels, which
  are the [height, width, 3] bytes that the processor resizes it to, for several sides and filters;
- levels/*.png: the levels themselves at 64 x 64 with the bicubic filter;
- pixel_values-*.f32: the processor's whole output for a few settings, little-endian f32, [3, side, side].

16-bit grey is the one thing that is not recorded as Pillow converts it: see upright.py.

Of the reference's two classes, SiglipImageProcessorPil is the one that works on Pillow. Its own conversion to RGB,
which since version 5 lays transparent pictures on white, is not used: it is given RGB.
"""
import sys
import warnings
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from make_pictures import make_pictures
from reference import ROOT, check_versions, write_json
from upright import upright_rgb

HERE = Path(__file__).resolve().parent
PICTURES = ROOT / "tests/fixtures/pictures"
BICUBIC, BILINEAR = 3, 2
# Side and filter, of every picture; and of a few also Pillow's other filters.
SETTINGS = [(side, filter) for side in (64, 224, 256, 384) for filter in (BICUBIC, BILINEAR)]
OTHER_FILTERS = [(224, filter) for filter in (0, 1, 4, 5)]
ALL_FILTERS = {"photos/skimage_rocket.jpg", "made/rgb.png", "made/1x500.png", "made/500x1.png"}
# Name, picture and settings beyond the side of 32.
PIXEL_VALUES = [
    ("default", "photos/skimage_chelsea.png", {}),
    ("bilinear", "photos/skimage_rocket.jpg", {"resample": BILINEAR}),
    ("imagenet", "made/rgb.png", {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    ("levels", "made/rgb.png", {"do_rescale": False, "do_normalize": False}),
]


def levels(image, side, filter):
    size = {"height": side, "width": side}
    processor = SiglipImageProcessorPil(size=size, resample=filter, do_rescale=False, do_normalize=False)
    planes = np.asarray(processor(image, return_tensors="np")["pixel_values"][0])
    assert planes.dtype == np.uint8 and planes.shape == (3, side, side)
    return planes.transpose(1, 2, 0)


def main():
    versions = check_versions("transformers", "numpy", "pillow")
    warnings.simplefilter("ignore")
    made, drawn = PICTURES / "made", HERE / "levels"
    for folder in made, drawn:
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
    make_pictures(made)

    pictures, resized, errors = [], [], []
    # record_rare.py, record_jxl.py and record_avif.py record the others.
    elsewhere = "rare", "jxl", "avif"
    for path in sorted(path for path in PICTURES.glob("*/*") if path.parent.name not in elsewhere):
        name = path.relative_to(PICTURES).as_posix()
        try:
            image = upright_rgb(Image.open(path))
        except Exception as error:
            errors.append([name, f"{type(error).__name__}: {error}".replace(str(path), name)])
            continue
        pictures.append([name, image.width, image.height, zlib.crc32(image.tobytes())])
        for side, filter in SETTINGS + (OTHER_FILTERS if name in ALL_FILTERS else []):
            squashed = levels(image, side, filter)
            resized.append([name, side, filter, zlib.crc32(squashed.tobytes())])
            if (side, filter) == (64, BICUBIC):
                Image.fromarray(squashed).save(drawn / f"{name.replace('/', '-')}.png", optimize=True)
    for label, name, settings in PIXEL_VALUES:
        processor = SiglipImageProcessorPil(size={"height": 32, "width": 32}, **settings)
        values = np.asarray(processor(upright_rgb(Image.open(PICTURES / name)), return_tensors="np")["pixel_values"][0])
        (HERE / f"pixel_values-{label}.f32").write_bytes(values.astype("<f4").tobytes())
    write_json(HERE / "pictures.json", {"versions": versions, "pictures": pictures, "levels": resized, "errors": errors})


if __name__ == "__main__":
    main()
