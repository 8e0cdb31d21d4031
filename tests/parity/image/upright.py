"""What Pillow makes of a picture: upright, in RGB of 8 bits."""
import numpy as np
from PIL import Image, ImageOps


def upright_rgb(image):
    """`ImageOps.exif_transpose(image).convert("RGB")`, but for grey of more than 8 bits.

    Pillow clips that to 255, so that all but black comes out white. The high byte is taken, as Pillow does of 16-bit
    colour.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    image = image.convert("RGB")
    # GIF leaves its transparent colour here, after which a processor would look.
    image.info.clear()
    return image
