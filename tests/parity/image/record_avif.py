"""Makes AVIF pictures, and records what Pillow makes of them, of libavif's own and of damaged ones.

    python tests/parity/image/record_avif.py [LIBAVIF]

needs the versions of tests/parity/requirements.txt. It makes the pictures in tests/fixtures/pictures/avif anew: those of
this script, and those of LIBAVIF, a checkout of libavif, or the ones already there. It writes avif.json beside itself:

- pictures: [name, width, height, CRC-32 of the pixels];
- variants: [name, edits, [width, height, CRC-32] or null where Pillow refuses it], with edits as in
  record_variants.py, in the container: what a decoder makes of damaged AV1 data is its own.
"""
import random
import shutil
import sys
import warnings
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from make_pictures import RGBA, SCENE, saved
from record_variants import answer, apply
from reference import ROOT, check_versions, write_json
from upright import upright_rgb

HERE = Path(__file__).resolve().parent
PICTURES = ROOT / "tests/fixtures/pictures/avif"
# In libavif's tests/data: one or more of every way to store a picture.
LIBAVIF = """
    abc_color_irot_alpha_irot arc_triomphe_extent1000_nullbyte_extent1310 circle_custom_properties
    color_grid_alpha_grid_gainmap_nogrid color_grid_alpha_nogrid colors-animated-12bpc-keyframes-0-2-3
    colors-animated-8bpc colors-animated-8bpc-alpha-exif-xmp colors-animated-8bpc-audio
    colors-animated-8bpc-depth-exif-xmp colors_sdr_srgb draw_points_idat draw_points_idat_metasize0 draw_points_idat_progressive
    extended_pixi sofa_grid1x5_420 white_1x1
""".split()
# Those in whose container variants are made.
VARIED = ["white_1x1", "color_grid_alpha_nogrid", "draw_points_idat", "rgba-420-full", "upright-6"]
# As above, and in their tracks.
VARIED += ["animated", "animated-upright", "colors-animated-8bpc-alpha-exif-xmp", "of-tracks-alone"]
RANDOM_VARIANTS = 160


def made():
    for subsampling in "420", "422", "444":
        layout = ":".join(subsampling)
        for range_ in "full", "limited":
            for kind, image in ("rgb", SCENE), ("rgba", RGBA):
                yield f"{kind}-{subsampling}-{range_}", saved(image, "AVIF", quality=70, subsampling=layout, range=range_)
    yield "grey", saved(SCENE.convert("L"), "AVIF", quality=70)
    yield "grey-limited", saved(SCENE.convert("L"), "AVIF", quality=70, range="limited")
    yield "grey-alpha", saved(RGBA, "AVIF", quality=70, subsampling="4:0:0")
    yield "premultiplied-420", saved(RGBA, "AVIF", quality=70, alpha_premultiplied=True)
    yield "premultiplied-444", saved(RGBA, "AVIF", quality=70, subsampling="4:4:4", alpha_premultiplied=True)
    exif = Image.Exif()
    for orientation in 5, 6:
        exif[0x0112] = orientation
        yield f"upright-{orientation}", saved(SCENE, "AVIF", quality=70, exif=exif.tobytes())
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="8" />'
    yield "upright-by-xmp", saved(SCENE, "AVIF", quality=70, xmp=xmp)
    # Still pictures that Pillow also stores as the first of a track.
    small = [image.resize((24, 16)) for image in (RGBA, RGBA.transpose(Image.Transpose.ROTATE_180))]
    animated = saved(small[0], "AVIF", quality=50, save_all=True, append_images=small[1:], duration=100)
    yield "animated", animated
    yield "animated-upright", with_upright_track(animated)
    yield "of-tracks-alone", of_tracks_alone(animated)
    yield "large", saved(Image.new("RGB", (4096, 4096), (90, 120, 200)), "AVIF", quality=30, speed=10)
    yield "odd-sides", saved(SCENE.crop((0, 0, 33, 21)), "AVIF", quality=70)
    yield "one-column", saved(SCENE.crop((5, 0, 6, 9)), "AVIF", quality=70)


def with_upright_track(data):
    """An animation whose tracks are turned, which Pillow does not write: instead of their colours."""
    tracks = data.index(b"moov")
    irot, free = b"\0\0\0\x09irot\3", b"\0\0\0\x0afree\0\0"
    place = data.find(b"\0\0\0\x13colr", tracks)
    while place >= 0:
        data = data[:place] + irot + free + data[place + 19 :]
        place = data.find(b"\0\0\0\x13colr", place)
    return data


def of_tracks_alone(data):
    """An animation without the still picture that stands for it, as other programs write them."""
    meta = data.index(b"meta") - 4
    length = int.from_bytes(data[meta : meta + 4], "big")
    # The box stays as an empty one, so that offsets stay as they are.
    data = data.replace(b"avif", b"avis").replace(b"avio", b"avis")
    return data[: meta + 4] + b"free" + bytes(length - 8) + data[meta + length :]


def variants(data):
    """Random bytes before the pictures changed, and ends cut off."""
    head = data.find(b"mdat") if b"mdat" in data else len(data)
    for number in range(RANDOM_VARIANTS):
        dice = random.Random(number)
        if number % 16 == 15:
            yield [["cut", dice.randrange(len(data))]]
        elif number % 16 == 14:
            yield [["delete", dice.randrange(head), 1 + dice.randrange(4)]]
        else:
            place = dice.randrange(head)
            yield [["set", place, dice.choice([0, 1, 2, 8, 255, data[place] ^ 1, data[place] ^ 128, dice.randrange(256)])]]


def main():
    versions = check_versions("numpy", "pillow")
    warnings.simplefilter("ignore")
    PICTURES.mkdir(exist_ok=True)
    for name in LIBAVIF:
        if sys.argv[1:]:
            shutil.copy(Path(sys.argv[1]) / "tests/data" / f"{name}.avif", PICTURES)
    for name, data in made():
        (PICTURES / f"{name}.avif").write_bytes(data)
    pictures, damaged = [], []
    for path in sorted(PICTURES.iterdir()):
        image = upright_rgb(Image.open(path))
        pictures.append([path.stem, image.width, image.height, zlib.crc32(image.tobytes())])
    for name in VARIED:
        data = (PICTURES / f"{name}.avif").read_bytes()
        damaged += [[name, edits, answer(apply(data, edits))] for edits in variants(data)]
    shown = sum(found is not None for _, _, found in damaged)
    write_json(HERE / "avif.json", {"versions": versions, "pictures": pictures, "variants": damaged})
    print(f"{len(pictures)} pictures; {len(damaged)} variants, of which Pillow shows {shown}")


if __name__ == "__main__":
    main()
