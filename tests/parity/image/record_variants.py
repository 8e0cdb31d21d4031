"""Records what Pillow makes of thousands of odd and damaged pictures.

    python tests/parity/image/record_variants.py

A variant is a picture of tests/fixtures/pictures and a list of edits: ["cut", length], ["set", place, byte],
["delete", place, length] or ["insert", place, bytes in hexadecimal]. So the test makes the files itself. Writes
variants.json beside itself: [picture, edits, [width, height, CRC-32 of the pixels] or null where Pillow refuses it].

Variants of each kind of fault come first, then random ones, then PNGs whose compressed pixels are damaged. Those with
broken EXIF are left out, since Pillow shows the picture and then fails at turning it; so are empty GIF extensions, behind
which Pillow loses its place, and OS/2 headers of 16 bytes, which it does not know.
"""
import random
import struct
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image, ImageOps

from reference import ROOT, check_versions, write_json
from upright import upright_rgb

PICTURES = ROOT / "tests/fixtures/pictures"
LARGEST = 15_000
RANDOM_VARIANTS = 60


def apply(data, edits):
    data = bytearray(data)
    for kind, *values in edits:
        match kind:
            case "cut":
                del data[values[0] :]
            case "set":
                data[values[0]] = values[1]
            case "delete":
                del data[values[0] : values[0] + values[1]]
            case "insert":
                data[values[0] : values[0]] = bytes.fromhex(values[1])
    return bytes(data)


def answer(data):
    """None where Pillow refuses; raises ValueError where only turning fails."""
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except Exception:
        return None
    try:
        image = upright_rgb(image)
    except Exception as error:
        raise ValueError from error
    return [image.width, image.height, zlib.crc32(image.tobytes())]


def segments(jpeg):
    """Marker, place and length of each segment up to the first scan's."""
    place = 2
    while True:
        marker, length = jpeg[place + 1], struct.unpack_from(">H", jpeg, place + 2)[0]
        yield marker, place, length + 2
        if marker == 0xDA:
            return
        place += length + 2


def scans(jpeg):
    return [place for place in range(len(jpeg)) if jpeg[place : place + 2] == b"\xff\xda"]


def jpeg_variants(data):
    end = ["delete", len(data) - 2, 2]
    # What cameras and phones write behind the end, and files without one.
    for trailer in ["00", "ffd9", "ffda", "ffd8ffe0", "ffdaffd9", "00" * 700, "ffc4", "ff01", "ffd8", "ff02"]:
        yield [["insert", len(data), trailer]]
        yield [end, ["insert", len(data) - 2, trailer]]
    yield [end]
    for marker, place, length in list(segments(data)):
        # Tables that are missing, and segments between.
        yield [["delete", place, length]]
        yield [["insert", place, "000000"]]
        yield [["insert", place, "ff"]]
        yield [["insert", place, "ffff"]]
        yield [["insert", place, "ffe50006abcdffd9"]]
        if marker not in (0xC0, 0xC2):
            continue
        # Arithmetic coding, lossless coding and what is not decoded, with data that makes no sense.
        for other in [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC7, 0xC9, 0xCA, 0xCB, 0xDE]:
            yield [["set", place + 1, other]]
            scan = scans(data)[0]
            if other in (0xC3, 0xCB):
                for predictor in range(9):
                    last = scan + 5 + 2 * data[scan + 4]
                    yield [["set", place + 1, other], ["set", last, predictor], ["set", last + 1, 0]]
        for side in (5, 7):
            for value in (1, 2, 3, 8, 9, 16, 17, 33):
                yield [["set", place + side, 0], ["set", place + side + 1, value]]
        count = data[place + 9]
        ids = [place + 10 + 3 * component for component in range(count)]
        scan = scans(data)[0]
        for first in (0, 1, 2, ord("R")):
            # Equal numbers, and numbers that stand for red, green and blue.
            for numbers in [[first] * count, list(b"RGBA")[:count]]:
                edits = [["set", at, number] for at, number in zip(ids, numbers)]
                if data[scan + 4] == count:
                    edits += [["set", scan + 5 + 2 * at, number] for at, number in enumerate(numbers)]
                yield edits
        for sampling in (0x11, 0x12, 0x21, 0x22, 0x13, 0x31, 0x14, 0x41, 0x23, 0x33, 0x24, 0x44, 0x01, 0x51):
            for at in ids:
                yield [["set", at + 1, sampling]]
        for table in range(5):
            yield [["set", ids[0] + 2, table]]
    if len(scans(data)) > 1:
        # The first scans alone.
        for place in scans(data)[1:]:
            yield [["cut", place], ["insert", place, "ffd9"]]
            yield [["cut", place]]
            yield [["cut", place + 30], ["insert", place + 30, "ffd9"]]
            yield [["delete", place, 20]]
    start = scans(data)[0] + 20
    for place in range(start, len(data), max(1, (len(data) - start) // 12)):
        yield [["cut", place], ["insert", place, "ffd9"]]
        yield [["insert", place, "ffd0"]]
        yield [["insert", place, "ff"]]
        yield [["delete", place, 3]]
    for place in range(start, len(data) - 1):
        if data[place] == 0xFF and 0xD0 <= data[place + 1] <= 0xD7:
            yield [["delete", place, 2]]
            yield [["set", place + 1, 0xD0 + (data[place + 1] + 1) % 8]]
            yield [["set", place + 1, 0xD0 + (data[place + 1] + 7) % 8]]
            yield [["set", place + 1, 0xD0 + (data[place + 1] + 4) % 8]]


def chunks(png):
    place = 8
    while place < len(png):
        length = struct.unpack_from(">I", png, place)[0]
        yield png[place + 4 : place + 8], place, length + 12
        place += length + 12


def png_variants(data):
    for name, place, length in list(chunks(data)):
        yield [["delete", place, length]]
        yield [["set", place + length - 1, data[place + length - 1] ^ 1]]
        for unknown in [b"teSt", b"TEST", b"IDAT", b"IEND", b"PLTE", b"tRNS"]:
            for body in (b"", b"\1\2\3\4\5\6"):
                chunk = struct.pack(">I", len(body)) + unknown + body + struct.pack(">I", zlib.crc32(unknown + body))
                yield [["insert", place, chunk.hex()]]
        yield [["set", place + 5, data[place + 5] ^ 0x20]]
        for value in (0, 1, 255):
            yield [["set", place + 3, value]]
        if name == b"IHDR":
            for at in range(8, 21):
                for value in (0, 1, 2, 3, 4, 6, 8, 16):
                    edited = bytearray(data[place + 4 : place + length - 4])
                    edited[at - 4] = value
                    crc = struct.pack(">I", zlib.crc32(bytes(edited)))
                    sums = [["set", place + length - 4 + i, crc[i]] for i in range(4)]
                    yield [["set", place + at, value]] + sums
        if name == b"IDAT":
            body = data[place + 8 : place + length - 4]
            for cut in (0, 1, 2, 10, len(body) // 2, len(body) - 5, len(body) - 4, len(body) - 1):
                part = body[: max(0, cut)]
                chunk = struct.pack(">I", len(part)) + b"IDAT" + part
                chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
                yield [["delete", place, length], ["insert", place, chunk.hex()]]
                rest = body[len(part) :]
                more = struct.pack(">I", len(rest)) + b"IDAT" + rest + struct.pack(">I", zlib.crc32(b"IDAT" + rest))
                yield [["delete", place, length], ["insert", place, (chunk + more).hex()]]
    yield [["insert", len(data), "00" * 9]]


def stream_variants(random, data, count):
    """Compressed pixels that are damaged or packed in another way, in pieces, with right checksums of the chunks."""
    places = [(place, length) for name, place, length in chunks(data) if name == b"IDAT"]
    begin, end = places[0][0], sum(places[-1])
    stream = b"".join(data[place + 8 : place + length - 4] for place, length in places)
    rows = zlib.decompress(stream)
    for _ in range(count):
        edited = bytearray(stream)
        match random.randrange(6):
            case 0:
                del edited[random.randrange(len(stream)) :]
            case 1:
                place = random.randrange(len(stream))
                edited[place:place] = random.randbytes(random.randrange(1, 9))
            case 2:
                kept = len(rows) - random.choice([0, random.randrange(min(9, len(rows)))])
                more = bytearray(rows[:kept])
                more += random.choice([b"", b"", rows[:40], bytes(random.randrange(300))])
                more[random.randrange(len(more))] = random.randrange(6)
                level, strategy = random.choice([0, 1, 9]), random.choice([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED])
                pack = zlib.compressobj(level, zlib.DEFLATED, random.choice([9, 15]), 9, strategy)
                edited = bytearray(pack.compress(bytes(more)) + pack.flush())
            case _:
                for _ in range(random.randrange(1, 3)):
                    place = random.choice([random.randrange(len(stream)), len(stream) - random.randrange(1, 9)])
                    edited[place] = random.choice([0, 255, edited[place] ^ 1 << random.randrange(8)])
        cuts = sorted(random.randrange(len(edited) + 1) for _ in range(random.randrange(4)))
        inserted = b""
        for start, stop in zip([0, *cuts], [*cuts, len(edited)]):
            piece = b"IDAT" + edited[start:stop]
            inserted += struct.pack(">I", len(piece) - 4) + piece + struct.pack(">I", zlib.crc32(piece))
        yield [["delete", begin, end - begin], ["insert", begin, inserted.hex()]]


def bmp_variants(data):
    for value in (0, 1, 26, 40, 54, 58, 62, 66, 70, 118, 255):
        yield [["set", 10, value], ["set", 11, 0]]
    for size in (0, 12, 39, 40, 52, 56, 64, 108, 124, 125):
        yield [["set", 14, size]]
    for at, values in [(25, (0, 255)), (26, (0, 1, 2, 3)), (28, (0, 1, 2, 4, 8, 16, 24, 32)), (30, range(7))]:
        for value in values:
            yield [["set", at, value]]
    for colors in (0, 1, 2, 3, 15, 16, 17, 200, 255):
        yield [["set", 46, colors], ["set", 47, 0]]
    yield [["set", 47, 1], ["set", 46, 1]]
    for code in ("0002" "0301", "0002" "0000", "0000", "0001", "00020502", "0005" "010203040500", "ff07", "0003" "010203"):
        start = struct.unpack_from("<I", data, 10)[0]
        yield [["insert", start, code]]
        yield [["insert", start + 20, code]]
        yield [["set", 25, 255], ["set", 24, 255], ["set", 23, 255], ["set", 22, 256 - 29], ["insert", start, code]]
    for length in range(1, 9):
        yield [["cut", len(data) - length]]


def gif_variants(data):
    flags = data[10]
    table = 3 << (flags & 7) + 1 if flags & 0x80 else 0
    start = 13 + table
    yield [["set", 10, flags & 0x7F], ["delete", 13, table]]
    for flags in range(0, 256, 7):
        yield [["set", 10, flags]]
    for block in ["00", "0000000000", "21aa03010203" "00", "21f905" "0100000500" "00", "21f903" "000000" "00",
                  "21f904" "0100000200" "00", "21f904" "0000000200" "00", "21f901" "00" "00", "21fe02616200",
                  "21ff0b4e45545343415045322e300301000000", "3b", "2c", "ff", "21f904" "0100000300" "04" "01020304" "00"]:
        yield [["insert", start, block]]
    image = data.index(b",", start)
    while data[image + 9] & 0x80 and image < 13:
        image = data.index(b",", image + 1)
    for at in range(1, 10):
        for value in (0, 1, 5, 0x40, 0x80, 0x87, 0xC0):
            yield [["set", image + at, value]]
    local = 3 << (data[image + 9] & 7) + 1 if data[image + 9] & 0x80 else 0
    codes = image + 10 + local
    for bits in range(14):
        yield [["set", codes, bits]]
    for place in range(codes + 1, len(data), max(1, (len(data) - codes) // 20)):
        yield [["set", place, data[place] ^ 8]]
        yield [["delete", place, 1]]
        yield [["cut", place]]


def webp_variants(data):
    yield [["insert", len(data), "00" * 5]]
    for bit in range(8):
        yield [["set", 20, data[20] ^ 1 << bit]]
    for at in range(4, 8):
        for value in (0, 1, 255):
            yield [["set", at, value]]
    place = 12
    while place + 8 <= len(data):
        length = struct.unpack_from("<I", data, place + 4)[0]
        whole = 8 + length + length % 2
        yield [["delete", place, whole]]
        yield [["insert", place, (b"TEST\2\0\0\0ab").hex()]]
        yield [["insert", place, (b"EXIF\2\0\0\0ab").hex()]]
        yield [["insert", place, data[place : place + whole].hex()]] if whole < 600 else []
        for at in range(4):
            yield [["set", place + at, data[place + at] ^ 0x20]]
        # A first frame that exceeds the file is shown by libwebp as far as it goes, and refused here.
        for value in (0, 1, 255) if data[place : place + 4] != b"ANMF" else ():
            yield [["set", place + 4, value]]
        place += whole


def random_edits(random, data):
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(data))
        match random.randrange(6):
            case 0:
                yield ["cut", place]
                return
            case 1:
                yield ["set", place, random.choice([0, 255, random.randrange(256)])]
            case 2:
                yield ["delete", place, random.randrange(1, 20)]
            case 3:
                yield ["insert", place, random.randbytes(random.randrange(1, 8)).hex()]
            case _:
                yield ["set", min(place, random.randrange(700)), random.choice([0, 1, 255, random.randrange(256)])]


BY_FORMAT = {
    ".jpg": jpeg_variants, ".jpeg": jpeg_variants, ".png": png_variants, ".bmp": bmp_variants, ".gif": gif_variants,
    ".webp": webp_variants,
}
# One of each way of storing pixels.
BASES = """made/444.jpg made/422-restarts.jpg made/440.jpg made/420.jpg made/420-progressive.jpg made/grey.jpg
made/cmyk.jpg made/rgb.jpg hunt/jpeg-baseline-scan-of-two-components.jpg hunt/jpeg-progressive-first-scan-only.jpeg
hunt/jpeg-cmyk-K-subsampled.jpg made/rgb.png made/palette-interlaced.png made/grey16-alpha.png made/grey-2bit.png
made/animated.png made/orientation-8-xmp.png made/rgb.bmp made/palette-4bit.bmp made/rle8.bmp made/565.bmp
made/top-down.bmp made/bilevel.bmp made/grey.bmp hunt/bmp-os2v2_QHb.bmp hunt/bmp-rle-skipped_pal8rletrns.bmp
made/palette.gif made/interlaced-transparent.gif made/inner-beyond.gif made/animated.gif made/lossy.webp
made/lossy-alpha.webp made/lossless-alpha.webp made/animated-inner-lossless.webp made/animated-inner-lossy.webp
made/orientation-6.webp hunt/webp-alpha-flag-no-ALPH.webp""".split()

# Small PNGs, and how many variants of their compressed pixels.
STREAMS = {
    "made/1x1.png": 300, "made/grey-2bit.png": 40, "made/palette-2bit.png": 20, "made/palette-interlaced.png": 12,
}


def main():
    versions = check_versions("pillow")
    warnings.simplefilter("ignore")
    seeded = random.Random(15)
    variants = []

    def record(name, data, edits):
        for edited in edits:
            try:
                variants.append([name, edited, answer(apply(data, edited))])
            except (ValueError, IndexError):
                continue

    for name in BASES:
        data = (PICTURES / name).read_bytes()
        assert len(data) < LARGEST, name
        edits = [edits for edits in BY_FORMAT[Path(name).suffix](data) if edits]
        record(name, data, edits + [list(random_edits(seeded, data)) for _ in range(RANDOM_VARIANTS)])
    for name, count in STREAMS.items():
        data = (PICTURES / name).read_bytes()
        record(name, data, stream_variants(seeded, data, count))
    write_json(HERE / "variants.json", {"versions": versions, "variants": variants})
    shown = sum(found is not None for *_, found in variants)
    print(f"{len(variants)} variants, of which Pillow shows {shown}")


HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    main()
