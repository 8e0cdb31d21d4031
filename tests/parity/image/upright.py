"""What Pillow makes of a picture: upright, in RGB of 8 bits."""
import numpy as np
from PIL import Image, ImageOps


def upright_rgb(image):
    """`ImageOps.exif_transpose(image).convert("RGB")`, but for grey of more than 8 bits.

    Pillow clips that to 255, so that all but black comes out white. The upper 8 bits are taken, as Pillow does of 16-bit
    colour.
    """
    # TIFF has grey of 12 bits; and numbers of 32 bits or with a sign, which Pillow's clipping is right for.
    is_tiff = image.format == "TIFF"
    shift = 4 if is_tiff and image.tag_v2.get(258) == (12,) else 8
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I" and not is_tiff:
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> shift).astype(np.uint8))
    image = image.convert("RGB")
    # GIF leaves its transparent colour here, after which a processor would look.
    image.info.clear()
    return image
