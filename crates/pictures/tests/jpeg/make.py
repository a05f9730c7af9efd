"""Makes the JPEGs beside it, and coefficients.json: what jpeglib (https://pypi.org/project/jpeglib) reads from them.

    pip install pillow==13.0.0 numpy==2.4.6 jpeglib==1.0.2 blake3==1.0.8 && python make.py
"""

import io
import json
import struct
from pathlib import Path

import blake3
import jpeglib
import numpy as np
from PIL import Image

HERE = Path(__file__).parent


def picture(width: int, height: int) -> Image.Image:
    """Smooth colors with an edge and some noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.default_rng(7).normal(0, 6, (height, width, 1))
    planes = [128 + 110 * np.sin(x / 9 + y / 17), 128 + 90 * np.cos(y / 7), 60 + 150 * ((x + 2 * y) % 37 > 18)]
    return Image.fromarray(np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8))


def exif(orientation: int) -> bytes:
    """Orientation, a resolution, and a thumbnail, which shows the whole picture."""
    thumbnail = io.BytesIO()
    picture(16, 12).save(thumbnail, "JPEG", quality=40)
    thumbnail = thumbnail.getvalue()
    entry = lambda tag, kind, count, value: struct.pack(">HHI", tag, kind, count) + value
    short = lambda value: struct.pack(">HH", value, 0)
    first = entry(0x0112, 3, 1, short(orientation)) + entry(0x011A, 5, 1, struct.pack(">I", 38))
    second = entry(0x0201, 4, 1, struct.pack(">I", 76)) + entry(0x0202, 4, 1, struct.pack(">I", len(thumbnail)))
    head = b"MM\0*\0\0\0\x08" + b"\0\x02" + first + struct.pack(">I", 46) + struct.pack(">II", 300, 1)
    return b"Exif\0\0" + head + b"\0\x02" + second + b"\0\0\0\0" + thumbnail


def main() -> None:
    rgb = picture(61, 45)
    files = {
        "420": (rgb, {"quality": 85, "subsampling": "4:2:0", "dpi": (300, 300), "comment": b"a comment"}),
        "420-turned": (rgb, {"quality": 90, "subsampling": "4:2:0", "exif": exif(6), "restart_marker_blocks": 3}),
        "422-progressive": (rgb, {"quality": 75, "subsampling": "4:2:2", "progressive": True}),
        "444": (rgb, {"quality": 97, "subsampling": "4:4:4"}),
        "rgb": (rgb, {"quality": 80, "keep_rgb": True}),
        "gray": (rgb.convert("L"), {"quality": 80}),
        "cmyk": (rgb.convert("CMYK"), {"quality": 80}),
    }
    read = {}
    for name, (image, options) in files.items():
        path = HERE / f"{name}.jpg"
        image.save(path, "JPEG", **options)
        if name == "cmyk":
            continue
        dct = jpeglib.read_dct(str(path))
        planes = [dct.Y] if name == "gray" else [dct.Y, dct.Cb, dct.Cr]
        read[name] = [
            {"blocks": list(plane.shape[:2][::-1]), "blake3": blake3.blake3(plane.astype("<i2").tobytes()).hexdigest()}
            for plane in planes
        ]
    (HERE / "coefficients.json").write_text(json.dumps(read, indent=1) + "\n")


main()
