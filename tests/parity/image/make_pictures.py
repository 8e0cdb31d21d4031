"""Makes the small pictures of tests/fixtures/pictures/made, one for each way of storing pixels that Pillow reads.

Formats that Pillow does not write are put together byte by byte. Run through record.py.
"""
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, PngImagePlugin

WIDTH, HEIGHT = 37, 29


def scene():
    """Slopes, an edge and some noise, in colours of every kind: RGB of 16 bits, [HEIGHT, WIDTH, 3]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(7).integers(0, 9000, (HEIGHT, WIDTH, 3))
    slopes = np.stack([x * 1500, y * 1900, (x + y) * 850], axis=-1)
    disc = ((x - 12) ** 2 + (y - 14) ** 2 < 60)[..., None] * np.array([9000, -15000, 30000])
    return np.clip(slopes + disc + noise, 0, 65535).astype(np.uint16)


SCENE16 = scene()
SCENE = Image.fromarray((SCENE16 >> 8).astype(np.uint8))
ALPHA = Image.fromarray(np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint8))
RGBA = Image.merge("RGBA", [*SCENE.split(), ALPHA])
PALETTE = SCENE.quantize(16)


def saved(image, format, **options):
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples, depth, colour_type, interlaced=False, chunks=b""):
    """A PNG of `samples`, [height, width, channels]."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for left, top, right, down in passes if interlaced else [(0, 0, 1, 1)]:
        for row in samples[top::down, left::right]:
            if row.size == 0:
                continue
            if depth == 16:
                packed = row.astype(">u2").tobytes()
            else:
                bits = (row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1
                packed = np.packbits(bits.astype(np.uint8)).tobytes()
            rows += b"\0" + packed
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    body = png_chunk(b"IHDR", header) + chunks + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pngs():
    grey16 = SCENE16[..., :1]
    alpha16 = (np.asarray(ALPHA).astype(np.uint16) * 257)[..., None]
    palette = png_chunk(b"PLTE", bytes(PALETTE.getpalette()[: 3 * 16]))
    indices = np.asarray(PALETTE)[..., None]
    yield "rgb.png", saved(SCENE, "PNG")
    yield "rgba.png", saved(RGBA, "PNG")
    yield "grey.png", saved(SCENE.convert("L"), "PNG")
    yield "grey-alpha.png", saved(RGBA.convert("LA"), "PNG")
    yield "bilevel.png", saved(SCENE.convert("1"), "PNG")
    yield "grey-2bit.png", png(grey16 >> 14, 2, 0)
    yield "grey-4bit-transparent.png", png(grey16 >> 12, 4, 0, chunks=png_chunk(b"tRNS", b"\0\3"))
    yield "palette-transparent.png", saved(PALETTE, "PNG", transparency=bytes(range(0, 256, 16)))
    yield "palette-2bit.png", saved(SCENE.quantize(4), "PNG", bits=2)
    yield "grey16.png", png(grey16, 16, 0)
    yield "grey16-alpha.png", png(np.concatenate([grey16, alpha16], -1), 16, 4)
    yield "rgb16.png", png(SCENE16, 16, 2)
    yield "rgba16.png", png(np.concatenate([SCENE16, alpha16], -1), 16, 6)
    yield "rgb-interlaced.png", png(SCENE16 >> 8, 8, 2, interlaced=True)
    yield "palette-interlaced.png", png(indices, 4, 3, interlaced=True, chunks=palette)
    yield "1x500.png", saved(SCENE.resize((1, 500)), "PNG")
    yield "tall.png", saved(SCENE.resize((300, 700)).quantize(16), "PNG")
    yield "500x1.png", saved(SCENE.resize((500, 1)), "PNG")
    yield "1x1.png", saved(SCENE.resize((1, 1)), "PNG")
    yield "animated.png", saved(SCENE, "PNG", save_all=True, append_images=[SCENE.rotate(90)])


def jpegs():
    yield "444.jpg", saved(SCENE, "JPEG", subsampling=0)
    yield "422-restarts.jpg", saved(SCENE, "JPEG", subsampling=1, restart_marker_blocks=2)
    yield "420.jpg", saved(SCENE, "JPEG", subsampling=2)
    yield "420-progressive.jpg", saved(SCENE, "JPEG", subsampling=2, progressive=True)
    yield "rgb.jpg", saved(SCENE, "JPEG", keep_rgb=True)
    yield "grey.jpg", saved(SCENE.convert("L"), "JPEG")
    yield "cmyk.jpg", saved(SCENE.convert("CMYK"), "JPEG")
    yield "no-end.jpg", saved(SCENE, "JPEG")[:-2]
    yield "1x1.jpg", saved(SCENE.resize((1, 1)), "JPEG")
    yield "440.jpg", turned_sampling(saved(SCENE.resize((32, 32)), "JPEG", subsampling=1))


def turned_sampling(jpeg):
    """4:2:2 relabelled as 4:4:0: another picture, of the same number of blocks."""
    at = jpeg.index(b"\xff\xc0")
    assert jpeg[at + 11] == 0x21
    return jpeg[: at + 11] + b"\x12" + jpeg[at + 12 :]


def orientations():
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        yield f"orientation-{orientation}.jpg", saved(SCENE, "JPEG", exif=exif)
    exif[0x0112] = 6
    raw = exif.tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    hexadecimal = raw.hex()
    lines = "\n".join(hexadecimal[at : at + 72] for at in range(0, len(hexadecimal), 72))
    profile = PngImagePlugin.PngInfo()
    profile.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{lines}\n", zip=True)
    packet = PngImagePlugin.PngInfo()
    packet.add_itxt("XML:com.adobe.xmp", xmp.decode())
    upright = saved(SCENE, "PNG")
    end = upright.index(b"IEND") - 4
    yield "orientation-6.png", saved(SCENE, "PNG", exif=exif)
    yield "orientation-6-behind.png", upright[:end] + png_chunk(b"eXIf", raw[6:]) + upright[end:]
    yield "orientation-6-raw-profile.png", saved(SCENE, "PNG", pnginfo=profile)
    yield "orientation-8-xmp.png", saved(SCENE, "PNG", pnginfo=packet)
    yield "orientation-6.webp", saved(SCENE, "WEBP", lossless=True, exif=exif)
    yield "orientation-8-xmp.jpg", saved(SCENE, "JPEG", xmp=xmp)
    yield "orientation-broken.jpg", saved(SCENE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")


def gifs():
    yield "palette.gif", saved(PALETTE, "GIF")
    yield "interlaced-transparent.gif", saved(PALETTE, "GIF", interlace=1, transparency=3)
    yield "animated.gif", saved(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)])
    for name, options in [("inner", {}), ("inner-transparent", {"transparency": 5})]:
        whole = saved(PALETTE, "GIF", interlace=0, **options)
        at = whole.index(struct.pack("<BHHHH", 0x2C, 0, 0, WIDTH, HEIGHT))
        placed = struct.pack("<BHHHH", 0x2C, 6, 3, WIDTH, HEIGHT)
        yield f"{name}.gif", whole[:6] + struct.pack("<HH", 50, 40) + whole[10:at] + placed + whole[at + 9 :]
        # The same frame reaches beyond a screen that stays as it is.
        yield f"{name}-beyond.gif", whole[:at] + placed + whole[at + 9 :]


def webp_chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def lossless_webp(codes, pixels, before=((0, 1),)):
    """A lossless WebP of 4 x 4 pixels without an entropy image: `before` are the transforms as (bits, count), `codes` the symbols of
    five simple codes, `pixels` the bits of the pixels."""
    fields = [(0x2F, 8), (3, 14), (3, 14), (0, 4), *before, (0, 1), (0, 1)]
    fields += [field for symbols in codes for field in simple_code(symbols)]
    value, count = 0, 0
    for bits, size in [*fields, *((bit, 1) for bit in pixels)]:
        value |= bits << count
        count += size
    body = webp_chunk(b"VP8L", value.to_bytes((count + 7) // 8, "little"))
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def simple_code(symbols):
    """The fields of a code of one symbol or two, in this order: the first takes one bit where that is enough."""
    is_long = symbols[0] > 1
    fields = [(1, 1), (len(symbols) - 1, 1), (int(is_long), 1), (symbols[0], 8 if is_long else 1)]
    return fields + [(symbol, 8) for symbol in symbols[1:]]


def webps_of_two_symbols():
    """Two symbols of a code in any order, and twice the same one, which takes no bits."""
    bits = np.random.default_rng(11).integers(0, 2, 16 * 4).tolist()
    one = (0,)
    yield "rising", lossless_webp([(20, 200), one, one, (255,), one], bits)
    yield "falling", lossless_webp([(200, 20), (90, 30), (1, 0), (255,), one], bits)
    yield "equal", lossless_webp([(200, 200), (30, 90), (7, 7), (255,), one], bits)
    yield "one-bit", lossless_webp([(1, 0), (0, 0), (1, 1), (255,), one], bits)
    # A palette of two colours is itself an image, whose greens' code falls. Its pixels are 1 and 0; no further transform follows.
    colours = [field for symbols in [(210, 40), (9,), (5, 5), (255,), one] for field in simple_code(symbols)]
    palette = [(1, 1), (3, 2), (1, 8), (0, 1), *colours, (1, 1), (0, 1), (0, 1)]
    yield "palette", lossless_webp([(240, 15), one, one, (255,), one], bits, before=palette)


def webps():
    for name, data in webps_of_two_symbols():
        yield f"two-symbols-{name}.webp", data
    clear = RGBA.copy()
    clear.putalpha(ALPHA.point(lambda level: 0 if level < 128 else level))
    yield "lossy.webp", saved(SCENE, "WEBP", quality=80)
    yield "lossy-alpha.webp", saved(RGBA, "WEBP", quality=80)
    yield "lossless.webp", saved(SCENE, "WEBP", lossless=True)
    yield "lossless-alpha.webp", saved(clear, "WEBP", lossless=True, exact=True)
    yield "animated.webp", saved(clear, "WEBP", lossless=True, exact=True, save_all=True, append_images=[SCENE])
    u24 = lambda number: struct.pack("<I", number)[:3]
    for name, still in [("lossless", saved(clear, "WEBP", lossless=True, exact=True)), ("lossy", saved(SCENE, "WEBP"))]:
        at = max(still.find(b"VP8L"), still.find(b"VP8 "))
        frame = u24(3) + u24(2) + u24(WIDTH - 1) + u24(HEIGHT - 1) + u24(100) + b"\0" + still[at:]
        body = webp_chunk(b"VP8X", b"\x12\0\0\0" + u24(49) + u24(39)) + webp_chunk(b"ANIM", b"\xff\0\0\xff\0\0")
        body += 2 * webp_chunk(b"ANMF", frame)
        yield f"animated-inner-{name}.webp", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def bmp(bits, compression, pixels, masks=b"", palette=b"", height=HEIGHT):
    offset = 54 + len(masks) + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + masks + palette + pixels


def bmps():
    yield "rgb.bmp", saved(SCENE, "BMP")
    yield "rgba.bmp", saved(RGBA, "BMP")
    yield "grey.bmp", saved(SCENE.convert("L"), "BMP")
    yield "bilevel.bmp", saved(SCENE.convert("1"), "BMP")
    yield "palette.bmp", saved(SCENE.quantize(200), "BMP")
    palette = b"".join(bytes([b, g, r, 0]) for r, g, b in np.array(PALETTE.getpalette()[:48]).reshape(16, 3))
    indices = np.asarray(PALETTE)
    runs = b""
    for row in indices[::-1]:
        runs += b"".join(bytes([1, index]) for index in row[:20]) + bytes([0, 17]) + bytes(row[20:]) + b"\0" + b"\0\0"
    yield "rle8.bmp", bmp(8, 1, runs + b"\0\1", palette=palette)
    rows = [np.append(row, 0).astype(np.uint8) for row in indices[::-1]]
    packed = b"".join(bytes(row[::2] << 4 | row[1::2]) + b"\0" for row in rows)
    yield "palette-4bit.bmp", bmp(4, 0, packed, palette=palette)
    r, g, b = (SCENE16[..., channel].astype(np.uint32) for channel in range(3))
    words = lambda pixels: b"".join(np.append(row, 0).astype("<u2").tobytes() for row in pixels)
    yield "555.bmp", bmp(16, 0, words((r >> 11 << 10 | g >> 11 << 5 | b >> 11)[::-1]))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "565.bmp", bmp(16, 3, words((r >> 11 << 11 | g >> 10 << 5 | b >> 11)[::-1]), masks=masks)
    top_down = (r >> 8 << 16 | g >> 8 << 8 | b >> 8).astype("<u4").tobytes()
    yield "top-down.bmp", bmp(32, 0, top_down, height=-HEIGHT)


def make_pictures(folder):
    for made in [pngs(), jpegs(), orientations(), gifs(), webps(), bmps()]:
        for name, data in made:
            (folder / name).write_bytes(data)
