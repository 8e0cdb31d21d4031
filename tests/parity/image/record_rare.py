"""Makes pictures in the formats that few files have, and records what Pillow makes of them and of damaged ones.

    python tests/parity/image/record_rare.py

needs the versions of tests/parity/requirements.txt. It makes the pictures in tests/fixtures/pictures/rare anew, one for
each way of storing pixels that Pillow reads, and writes rare.json beside itself:

- pictures: [name, width, height, CRC-32 of the pixels];
- variants: [name, edits, [width, height, CRC-32] or null where Pillow refuses it], with edits as in
  record_variants.py. They are of the formats that Pillow reads itself, and of the codes of fax machines: in another
  damaged TIFF libtiff has its own ways;
- lab: CRC-32 of all colours of Lab, turned into RGB.
"""
import random
import struct
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

from make_pictures import ALPHA, HEIGHT, PALETTE, RGBA, SCENE, SCENE16, WIDTH, saved
from record_variants import answer, apply
from reference import ROOT, check_versions, write_json
from upright import upright_rgb

PICTURES = ROOT / "tests/fixtures/pictures/rare"
RANDOM_VARIANTS = 60
GREY = SCENE.convert("L")
GREY16 = SCENE16.astype(np.uint32).sum(axis=-1).__floordiv__(3).astype(np.uint16)[..., None]
BILEVEL = SCENE.convert("1")
CMYK = np.asarray(SCENE.convert("CMYK"))
RGB = np.asarray(SCENE)
# Tags.
PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, FILL_ORDER, ORIENTATION, COLOR_MAP, XMP = 317, 338, 339, 266, 274, 320, 700
COEFFICIENTS, SUBSAMPLING, BLACK_WHITE = 529, 530, 532
JPEG_OFFSET, JPEG_LENGTH, JPEG_RESTARTS, JPEG_QUANTIZERS, JPEG_DC_TABLES, JPEG_AC_TABLES = 513, 514, 515, 519, 520, 521
# A kind of value: two numbers each.
FRACTION = 5
# Compressions.
UNCOMPRESSED, LZW, OLD_JPEG, DEFLATE = 1, 5, 6, 8


def rows_of(part, bits, order):
    """The bytes of each row of [rows, columns, samples]."""
    for row in part:
        if bits < 8:
            yield np.packbits(((row.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)).tobytes()
        else:
            yield row.astype(row.dtype.newbyteorder(order)).tobytes()


def difference(part, planes):
    """What predictor 2 stores of a part."""
    before = np.concatenate([np.zeros_like(part[:, :1]), part[:, :-1]], axis=1)
    return part - before


def tiff(samples, photometric, bits=None, order="<", big=False, tile=None, rows=8, planar=False, packed=True,
         predictor=1, tags=(), float_predictor=False):
    """A TIFF of `samples`, [height, width, samples]: strips of `rows` or tiles, packed by deflate or as they are."""
    bits = bits or 8 * samples.dtype.itemsize
    height, width, count = samples.shape
    planes = [samples[..., [at]] for at in range(count)] if planar else [samples]
    part_width, part_height = tile or (width, rows)
    parts = []
    for plane in planes:
        for top in range(0, height, part_height):
            for left in range(0, width, part_width):
                part = plane[top : top + part_height, left : left + part_width]
                if tile:
                    missing = part_height - part.shape[0], part_width - part.shape[1]
                    part = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
                if predictor == 2:
                    part = difference(part, planes)
                data = b"".join(rows_of(part, bits, order))
                if float_predictor:
                    data = b""
                    for row in part:
                        row = np.frombuffer(row.astype(">f4").tobytes(), np.uint8).reshape(-1, 4).T.reshape(-1)
                        data += np.diff(row, prepend=np.uint8(0)).astype(np.uint8).tobytes()
                if (FILL_ORDER, 3, [2]) in tags:
                    data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data) if not packed else data
                parts.append(zlib.compress(data) if packed else data)
                if (FILL_ORDER, 3, [2]) in tags and packed:
                    parts[-1] = bytes(int(f"{byte:08b}"[::-1], 2) for byte in parts[-1])
    entries = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * count),
               (262, 3, [photometric]), (277, 3, [count]), (284, 3, [2 if planar else 1])]
    if predictor != 1:
        entries.append((PREDICTOR, 3, [predictor]))
    compression = DEFLATE if packed else UNCOMPRESSED
    return tiff_of(parts, [*entries, *tags], compression, tile or rows, order, big)


def tiff_of(parts, entries, compression, grid, order="<", big=False, extra=b""):
    """A TIFF of parts that are packed already: tiles of the sides `grid`, or strips of that many rows, then `extra`."""
    at = 16 if big else 8
    offsets = []
    for part in parts:
        offsets.append(at)
        at += len(part)
    body = b"".join(parts) + extra
    body += b"\0" * (len(body) % 2)
    at = (16 if big else 8) + len(body)
    lengths = list(map(len, parts))
    if isinstance(grid, tuple):
        places = [(322, 4, [grid[0]]), (323, 4, [grid[1]]), (324, 4, offsets), (325, 4, lengths)]
    else:
        places = [(273, 4, offsets), (278, 4, [grid]), (279, 4, lengths)]
    entries = sorted([(259, 3, [compression]), *places, *entries])
    directory = struct.pack(order + ("Q" if big else "H"), len(entries))
    inline = 8 if big else 4
    behind = at + len(directory) + len(entries) * (20 if big else 12) + inline
    values = b""
    for tag, kind, numbers in entries:
        data = struct.pack(order + str(len(numbers)) + {1: "B", 3: "H", 4: "L", FRACTION: "L"}[kind], *numbers)
        values_of_tag = len(numbers) // 2 if kind == FRACTION else len(numbers)
        directory += struct.pack(order + ("HHQ" if big else "HHL"), tag, kind, values_of_tag)
        if len(data) > inline:
            directory += struct.pack(order + ("Q" if big else "L"), behind + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            directory += data.ljust(inline, b"\0")
    directory += b"\0" * inline
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, at)
    else:
        head = mark + struct.pack(order + "HL", 42, at)
    return head + body + directory + values


def tiffs():
    rgba = np.asarray(RGBA)
    rgb16, palette = SCENE16, np.asarray(PALETTE)[..., None]
    colors = np.array(PALETTE.getpalette() + [0] * 768, np.uint16)[:768].reshape(256, 3) * 257
    color_map, colors_of_4_bits = ((COLOR_MAP, 3, colors[:count].T.reshape(-1).tolist()) for count in (256, 16))
    grey = np.asarray(GREY)[..., None]
    signed = (GREY16.astype(np.int32) // 128 - 100).astype(np.int16)
    floats = GREY16.astype(np.float32) / 200 - 20
    saves = [("rgb-raw", SCENE, {}), ("rgb-lzw", SCENE, {"compression": "tiff_lzw"}),
             ("rgb-packbits", SCENE, {"compression": "packbits"}), ("cmyk-raw", Image.fromarray(CMYK, "CMYK"), {}),
             ("ycbcr-jpeg", SCENE, {"compression": "jpeg"}), ("grey-jpeg", GREY, {"compression": "jpeg"}),
             ("cmyk-jpeg", Image.fromarray(CMYK, "CMYK"), {"compression": "jpeg"}),
             ("group3", BILEVEL, {"compression": "group3"}), ("group4", BILEVEL, {"compression": "group4"}),
             ("huffman", BILEVEL, {"compression": "tiff_ccitt"}), ("bilevel-raw", BILEVEL, {}),
             ("bilevel-lzw", BILEVEL, {"compression": "tiff_lzw"}),
             ("group3-2d", BILEVEL, {"compression": "group3", "tiffinfo": {292: 1}}),
             ("group4-strips", BILEVEL, {"compression": "group4", "tiffinfo": {278: 7}}),
             ("group3-2d-strips", BILEVEL, {"compression": "group3", "tiffinfo": {278: 7, 292: 1}}),
             ("palette-lzw", PALETTE, {"compression": "tiff_lzw"}), ("rgba", RGBA, {"compression": "tiff_lzw"})]
    for name, image, options in saves:
        yield f"{name}.tif", saved(image, "TIFF", **options)
    boat = Image.open(ROOT / "www/samples/boat.jpg").resize((96, 96))
    yield "boat.tif", saved(boat, "TIFF", compression="jpeg")
    yield "rgb-lzw-predictor.tif", saved(SCENE, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    for name, order in ("little", "<"), ("big", ">"):
        yield f"rgb16-{name}.tif", tiff(rgb16, 2, order=order)
        yield f"rgb16-{name}-raw.tif", tiff(rgb16, 2, order=order, packed=False)
        yield f"rgb16-{name}-predictor.tif", tiff(rgb16, 2, order=order, predictor=2)
        yield f"rgb16-{name}-planes.tif", tiff(rgb16, 2, order=order, planar=True, predictor=2, rows=29)
        yield f"grey16-{name}.tif", tiff(GREY16, 1, order=order)
        yield f"grey16-{name}-raw.tif", tiff(GREY16, 1, order=order, packed=False, rows=29)
        yield f"signed16-{name}.tif", tiff(signed, 1, order=order, tags=[(SAMPLE_FORMAT, 3, [2])], packed=False)
        yield f"float-{name}.tif", tiff(floats, 1, order=order, tags=[(SAMPLE_FORMAT, 3, [3])], packed=False)
        yield f"palette-{name}.tif", tiff(palette, 3, bits=4, order=order, tags=[colors_of_4_bits])
    floating = [(SAMPLE_FORMAT, 3, [3])]
    yield "float-predictor.tif", tiff(floats, 1, predictor=3, float_predictor=True, tags=floating)
    yield "signed32.tif", tiff(signed.astype(np.int32), 1, tags=[(SAMPLE_FORMAT, 3, [2])], packed=False)
    yield "bigtiff.tif", tiff(RGB, 2, big=True)
    yield "planes-raw.tif", tiff(RGB, 2, planar=True, packed=False)
    yield "planes.tif", tiff(RGB, 2, planar=True)
    yield "tiles.tif", tiff(RGB, 2, tile=(16, 16), predictor=2)
    yield "tiles-raw.tif", tiff(RGB, 2, tile=(16, 16), packed=False)
    yield "tiles-planes.tif", tiff(RGB, 2, tile=(16, 32), planar=True)
    yield "one-tile.tif", tiff(RGB, 2, tile=(64, 64))
    yield "rgba-premultiplied.tif", tiff(rgba, 2, tags=[(EXTRA_SAMPLES, 3, [1])])
    yield "rgba-premultiplied-planes.tif", tiff(rgba, 2, planar=True, tags=[(EXTRA_SAMPLES, 3, [1])])
    yield "rgba16-premultiplied.tif", tiff(rgba.astype(np.uint16) * 257, 2, tags=[(EXTRA_SAMPLES, 3, [1])])
    yield "rgbx.tif", tiff(rgba, 2, packed=False, tags=[(EXTRA_SAMPLES, 3, [0])])
    yield "grey-alpha.tif", tiff(rgba[..., 2:], 1, tags=[(EXTRA_SAMPLES, 3, [2])])
    yield "palette-alpha.tif", tiff(np.concatenate([palette, grey], -1), 3, tags=[(EXTRA_SAMPLES, 3, [2]), color_map])
    yield "cmyk16.tif", tiff(CMYK.astype(np.uint16) * 257, 5)
    yield "cmyk-missing-strips.tif", tiff(CMYK, 5, packed=False, rows=40)[:-1] + b"\0"
    yield "ycbcr-raw.tif", tiff(np.asarray(SCENE.convert("YCbCr")), 6, packed=False)
    for bits in (1, 2, 4, 8):
        part = grey >> (8 - bits)
        yield f"grey-{bits}bit.tif", tiff(part, 1, bits=bits, packed=False)
        yield f"grey-{bits}bit-inverted.tif", tiff(part, 0, bits=bits)
        yield f"grey-{bits}bit-reversed.tif", tiff(part, 1, bits=bits, packed=False, tags=[(FILL_ORDER, 3, [2])])
        yield f"grey-{bits}bit-reversed-packed.tif", tiff(part, 0, bits=bits, tags=[(FILL_ORDER, 3, [2])])
    for orientation in (3, 6):
        yield f"orientation-{orientation}.tif", tiff(RGB, 2, tags=[(ORIENTATION, 3, [orientation])])
    xmp = list(b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="8" />')
    yield "orientation-8-xmp.tif", tiff(RGB, 2, tags=[(XMP, 1, xmp)])
    yield "orientation-1-over-xmp.tif", tiff(RGB, 2, tags=[(ORIENTATION, 3, [1]), (XMP, 1, xmp)])
    for name in "lzma", "zstd":
        yield f"rgb-{name}.tif", saved(SCENE, "TIFF", compression=name)
        yield f"rgb-{name}-predictor.tif", saved(SCENE, "TIFF", compression=name, tiffinfo={PREDICTOR: 2})
    lab = np.dstack([grey, rgba[..., :2]])
    entries = [(256, 4, [WIDTH]), (257, 4, [HEIGHT]), (258, 3, [8, 8, 8]), (262, 3, [2]), (277, 3, [3])]
    yield "rgb-old-lzw.tif", tiff_of([old_lzw(RGB.tobytes())], entries, LZW, HEIGHT)
    yield "lab-raw.tif", tiff(lab, 8, packed=False)
    yield "lab.tif", tiff(lab, 8)
    yield "lab-planes.tif", tiff(lab, 8, planar=True)
    yield from ycbcr_tiffs()
    yield from old_jpegs()


def old_lzw(data):
    """The codes of the first TIFF writers, lowest bits first: no strings, and a new table before codes get longer."""
    clear, end = 256, 257
    codes = []
    for at, byte in enumerate(data):
        codes += [clear, byte] if at % 250 == 0 else [byte]
    bits = sum(code << 9 * at for at, code in enumerate([*codes, end]))
    return bits.to_bytes((9 * len(codes) + 16) // 8, "little")


def groups(samples, across, down):
    """YCbCr as TIFF has it: the Y of each group of pixels, then their Cb and Cr."""
    height, width, _ = samples.shape
    samples = np.pad(samples, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    for top in range(0, samples.shape[0], down):
        for left in range(0, samples.shape[1], across):
            group = samples[top : top + down, left : left + across]
            yield group[..., 0].tobytes() + group[0, 0, 1:].tobytes()


def ycbcr_tiffs():
    """YCbCr in deflate. That of other coefficients, and that of video's levels."""
    samples = np.asarray(SCENE.convert("YCbCr"))
    entries = [(256, 4, [WIDTH]), (257, 4, [HEIGHT]), (258, 3, [8, 8, 8]), (262, 3, [6]), (277, 3, [3])]

    def made(across, down, rows=16, tags=()):
        strips = [samples[top : top + rows] for top in range(0, HEIGHT, rows)]
        parts = [zlib.compress(b"".join(groups(strip, across, down))) for strip in strips]
        return tiff_of(parts, [*entries, (SUBSAMPLING, 3, [across, down]), *tags], DEFLATE, rows)

    for across, down in (1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4):
        yield f"ycbcr-{across}x{down}.tif", made(across, down)
    rec709 = [2126, 10000, 7152, 10000, 722, 10000]
    levels = [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1]
    yield "ycbcr-whole-levels.tif", made(2, 2, rows=HEIGHT, tags=[(BLACK_WHITE, 4, levels[::2])])
    yield "ycbcr-coefficients.tif", made(2, 2, tags=[(COEFFICIENTS, FRACTION, rec709)])
    yield "ycbcr-levels.tif", made(2, 2, rows=HEIGHT, tags=[(BLACK_WHITE, FRACTION, levels)])


def segments(jpeg):
    """Marker and content of each segment of a JPEG, and its scan."""
    at = 2
    while True:
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield marker, jpeg[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == 0xDA:
            yield None, jpeg[at:-2]
            return


def old_jpegs():
    """JPEG as the first TIFF standard had it: a whole file, and its tables and its scans apart."""
    entries = [(256, 4, [WIDTH]), (257, 4, [HEIGHT]), (258, 3, [8, 8, 8]), (262, 3, [6]), (277, 3, [3])]
    for name, subsampling in ("444", 0), ("422", 1), ("420", 2):
        jpeg = saved(SCENE, "JPEG", subsampling=subsampling, quality=90)
        whole = [(JPEG_OFFSET, 4, [8]), (JPEG_LENGTH, 4, [len(jpeg)])]
        yield f"old-jpeg-{name}.tif", tiff_of([jpeg], [*entries, *whole], OLD_JPEG, HEIGHT)
    # A restart for each strip, between which no marker stands.
    jpeg = saved(SCENE, "JPEG", subsampling=2, quality=90, restart_marker_rows=1)
    found = list(segments(jpeg))
    scan = found[-1][1]
    strips, start = [], 0
    for at in range(len(scan) - 1):
        if scan[at] == 0xFF and 0xD0 <= scan[at + 1] <= 0xD7:
            strips.append(scan[start:at])
            start = at + 2
    strips.append(scan[start:])
    quantizers, codes = {}, {}
    for marker, content in found[:-1]:
        while marker == 0xDB and content:
            quantizers[content[0]], content = content[1:65], content[65:]
        while marker == 0xC4 and content:
            size = 17 + sum(content[1:17])
            codes[content[0]], content = content[1:size], content[size:]
    tables = [quantizers[0], quantizers[1], codes[0x00], codes[0x01], codes[0x10], codes[0x11]]
    # Behind the strips, which begin at 8.
    at = 8 + sum(map(len, strips))
    places = []
    for table in tables:
        places.append(at)
        at += len(table)
    tags = [(JPEG_QUANTIZERS, 4, [places[0], places[1], places[1]]), (SUBSAMPLING, 3, [2, 2]),
            (JPEG_DC_TABLES, 4, [places[2], places[3], places[3]]), (512, 3, [1]),
            (JPEG_AC_TABLES, 4, [places[4], places[5], places[5]])]
    yield "old-jpeg-tables.tif", tiff_of(strips, [*entries, *tags], OLD_JPEG, 16, extra=b"".join(tables))
    tile = SCENE.resize((48, 32))
    jpeg = saved(tile, "JPEG", subsampling=2, quality=90)
    yield "old-jpeg-tile.tif", tiff_of([jpeg], [*entries, (JPEG_OFFSET, 4, [8])], OLD_JPEG, (48, 32))


def plain(kind, header, numbers):
    return f"{kind}\n# made\n{WIDTH} {HEIGHT}{header}\n".encode() + b"\n".join(str(n).encode() for n in numbers) + b"\n"


def pnms():
    bits = np.asarray(BILEVEL)
    floats = (GREY16[::-1, :, 0].astype(np.float32) / 200 - 20)
    yield "bits.pbm", saved(BILEVEL, "PPM")
    yield "grey.pgm", saved(GREY, "PPM")
    yield "rgb.ppm", saved(SCENE, "PPM")
    yield "plain.pbm", plain("P1", "", 1 - bits.reshape(-1))
    yield "plain.pgm", plain("P2", " 17", np.asarray(GREY).reshape(-1) // 16)
    yield "plain.ppm", plain("P3", "\n255", RGB.reshape(-1))
    yield "plain16.pgm", plain("P2", "\n65535", GREY16.reshape(-1))
    yield "plain12.ppm", plain("P3", "\n4095", SCENE16.reshape(-1) // 16)
    yield "rgb16.ppm", f"P6 {WIDTH} {HEIGHT} 65535\n".encode() + SCENE16.astype(">u2").tobytes()
    yield "grey16.pgm", f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + GREY16.astype(">u2").tobytes()
    yield "grey12.pgm", f"P5 {WIDTH} {HEIGHT} 4095\n".encode() + (GREY16 // 16).astype(">u2").tobytes()
    yield "rgb-100.ppm", f"P6 {WIDTH}\n#\n{HEIGHT} 100\n".encode() + (RGB // 3).tobytes()
    yield "grey-200.pgm", f"P5 {WIDTH} {HEIGHT} 200\n".encode() + np.asarray(GREY).tobytes()
    yield "little.pfm", f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + floats.astype("<f4").tobytes()
    yield "big.pfm", f"Pf\n{WIDTH} {HEIGHT}\n1.0\n".encode() + floats.astype(">f4").tobytes()


def tgas():
    grey_alpha = Image.merge("LA", [GREY, ALPHA])
    for name, image in ("rgb", SCENE), ("rgba", RGBA), ("grey", GREY), ("grey-alpha", grey_alpha), ("palette", PALETTE):
        yield f"{name}.tga", saved(image, "TGA")
        yield f"{name}-runs.tga", saved(image, "TGA", compression="tga_rle", orientation=1)
    yield "bits.tga", saved(BILEVEL, "TGA")
    right = bytearray(saved(SCENE, "TGA", id_section=b"a picture"))
    right[17] |= 0x10
    yield "from-right.tga", bytes(right)
    bits15 = ((SCENE16 >> 11).astype(np.uint16) * [1024, 32, 1]).sum(axis=-1).astype("<u2").tobytes()
    yield "rgb15.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, WIDTH, HEIGHT, 16, 1) + bits15
    colors = np.arange(256, dtype=np.uint16) * 97 % 32768
    head = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 3, 200, 16, 0, 0, WIDTH, HEIGHT, 8, 0x20)
    yield "palette15.tga", head + colors.astype("<u2").tobytes()[:400] + np.asarray(GREY).tobytes()


def icons():
    square = RGBA.resize((32, 32))
    yield "png.ico", saved(square, "ICO", sizes=[(16, 16), (32, 32)])
    for mode in ("RGBA", "RGB", "P", "1"):
        yield f"bmp-{mode}.ico", saved(square.convert(mode), "ICO", bitmap_format="bmp", sizes=[(32, 32)])
    depths = [square.convert("P"), square.convert("RGB")]
    yield "depths.ico", saved(square, "ICO", bitmap_format="bmp", sizes=[(32, 32)], append_images=depths)


def qois():
    yield "rgb.qoi", saved(SCENE, "QOI")
    yield "rgba.qoi", saved(RGBA, "QOI")
    yield "palette.qoi", saved(PALETTE.convert("RGB"), "QOI")


def variants(data):
    """Random bytes changed, most of them in the header, and ends cut off."""
    for number in range(RANDOM_VARIANTS):
        dice = random.Random(number)
        end = len(data) if number % 3 == 0 else min(len(data), 40)
        if number % 10 == 9:
            yield [["cut", dice.randrange(len(data))]]
        elif number % 10 == 8:
            yield [["delete", dice.randrange(end), 1 + dice.randrange(4)]]
        else:
            places = [dice.randrange(end) for _ in range(1 + dice.randrange(3))]
            yield [["set", place, dice.choice([0, 1, 2, 8, 16, 32, 35, 48, 255, dice.randrange(256)])] for place in places]


def fax_variants(data):
    """The codes of another compression, and codes that are changed, missing or too many, in strips of the same length."""
    tags = Image.open(BytesIO(data)).tag_v2
    compression = data.index(struct.pack("<HHL", 259, 3, 1)) + 8
    yield from ([["set", compression, other]] for other in (2, 3, 4))
    strips = list(zip(tags[273], tags[279]))
    for number in range(RANDOM_VARIANTS):
        dice = random.Random(number)
        edits = []
        for _ in range(1 + number % 3):
            start, length = dice.choice(strips)
            at, count = start + dice.randrange(length), 1 + dice.randrange(9)
            count = min(count, start + length - at)
            more = dice.randbytes(count).hex()
            edits += dice.choice([
                [["set", at, dice.choice([0, 255, dice.randrange(256)])]],
                [["set", at, data[at] ^ 1 << dice.randrange(8)]],
                [["delete", at, count], ["insert", start + length - count, "00" * count]],
                [["delete", start + length - count, count], ["insert", at, more]],
            ])
        yield edits


def every_lab_colour():
    """The RGB of all of them, L changing least and b most often."""
    levels = np.arange(256, dtype=np.uint8)
    lightness, a, b = np.meshgrid(levels, levels ^ 128, levels ^ 128, indexing="ij")
    samples = np.stack([lightness, a, b], axis=-1).reshape(4096, 4096, 3)
    return upright_rgb(Image.frombytes("LAB", (4096, 4096), samples.tobytes()))


def main():
    versions = check_versions("numpy", "pillow")
    warnings.simplefilter("ignore")
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.iterdir():
        old.unlink()
    pictures, damaged = [], []
    for name, data in [*tiffs(), *pnms(), *tgas(), *icons(), *qois()]:
        path = PICTURES / name
        path.write_bytes(data)
        try:
            image = upright_rgb(Image.open(path))
        except Exception as error:
            sys.exit(f"{name}: {error}")
        pictures.append([name, image.width, image.height, zlib.crc32(image.tobytes())])
        is_fax = name.startswith(("group", "huffman"))
        if is_fax or not name.endswith(".tif"):
            edited = fax_variants(data) if is_fax else variants(data)
            damaged += [[name, edits, answer(apply(data, edits))] for edits in edited]
    shown = sum(found is not None for _, _, found in damaged)
    write_json(HERE / "rare.json", {"versions": versions, "pictures": pictures, "variants": damaged,
                                     "lab": zlib.crc32(every_lab_colour().tobytes())})
    print(f"{len(pictures)} pictures; {len(damaged)} variants, of which Pillow shows {shown}")


HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    main()
