"""Pictures with color profiles, and what LittleCMS makes of them in sRGB: relative colorimetric, black point compensated.

Profiles are written here, so that they are small and anybody's: matrices with curves for RGB, a curve for gray, and tables for
CMYK whose darkest ink is no black, so that compensation shows."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from safetensors.numpy import save_file

D50 = (0.9642, 1.0, 0.8249)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC


def fixed(value):
    return struct.pack(">i", round(value * 65536))


def xyz(values):
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))


def power(gamma):
    return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + fixed(gamma)


SRGB_CURVE = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(
    map(fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))


def text(words):
    body = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(body), 28) + body


def profile(kind, space, pcs, tags):
    """An ICC profile of version 4.3: `kind` mntr or prtr, tags as they are stored."""
    tags = {b"desc": text("Limekiln test"), b"cprt": text("CC0"), b"wtpt": xyz(D50), **tags}
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body + b"\0" * (-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s4sI4s4sQI", start + len(data), b"none", 0x04300000, kind, space, pcs,
                       struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp", b"\0" * 4, 0, b"\0" * 4, b"\0" * 4, 0, 1)
    head += b"".join(map(fixed, D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def rgb_profile(primaries, curve, white=(0.3127, 0.3290)):
    column = lambda x, y: np.array([x / y, 1.0, (1 - x - y) / y])
    matrix = np.stack([column(*point) for point in primaries], 1)
    matrix = matrix * np.linalg.solve(matrix, column(*white))
    scale = (BRADFORD @ np.array(D50)) / (BRADFORD @ column(*white))
    matrix = np.linalg.inv(BRADFORD) @ np.diag(scale) @ BRADFORD @ matrix
    names = zip((b"r", b"g", b"b"), matrix.T)
    return profile(b"mntr", b"RGB ", b"XYZ ", {
        **{name + b"XYZ": xyz(values) for name, values in names},
        **{name + b"TRC": curve for name in (b"r", b"g", b"b")}})


def lab_of(light):
    x, y, z = (value / white for value, white in zip(light, D50))
    f = lambda t: np.cbrt(t) if t > 0.008856 else 7.787 * t + 16 / 116
    return 116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))


def lut16(inputs, outputs, grid, table):
    ramp = struct.pack(">2H", 0, 65535)
    return (b"mft2\0\0\0\0" + bytes([inputs, outputs, grid, 0]) + b"".join(map(fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
            + struct.pack(">HH", 2, 2) + ramp * inputs + table.astype(">u2").tobytes() + ramp * outputs)


def cmyk_profile(grid=9):
    """Inks that let some light through, on paper; black ink leaves 2 % of it."""
    passes = {"c": (0.12, 0.35, 0.65), "m": (0.55, 0.12, 0.30), "y": (0.85, 0.80, 0.10), "k": (0.02, 0.02, 0.02)}
    steps = np.linspace(0, 1, grid)
    forth = np.empty((grid,) * 4 + (3,))
    for place in np.ndindex(*(grid,) * 4):
        light = np.array(D50)
        for amount, ink in zip(steps[list(place)], passes.values()):
            light = light * (1 - amount + amount * np.array(ink))
        forth[place] = lab_of(light)
    lightness, a, b = np.moveaxis(forth, -1, 0)
    # As version 2 tables of 16 bits store them.
    coded = np.stack([lightness * 652.8, (a + 128) * 256, (b + 128) * 256], -1).round().clip(0, 65535)
    back = np.empty((grid,) * 3 + (4,))
    for place in np.ndindex(*(grid,) * 3):
        level = place[0] / (grid - 1)
        back[place] = (0, 0, 0, 65535 * (1 - level))
    tags = {name: lut16(4, 3, grid, coded) for name in (b"A2B0", b"A2B1", b"A2B2")}
    tags |= {name: lut16(3, 4, grid, back.round()) for name in (b"B2A0", b"B2A1", b"B2A2")}
    return profile(b"prtr", b"CMYK", b"Lab ", tags)


def picture(width, height, channels, seed):
    """Steps of all channels against each other, so that dark, light and bright colors are all there; smooth enough for JPEG."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (height // 8, width // 8, channels), dtype=np.uint8)
    cells[0, 0], cells[0, 1] = 0, 255
    return np.repeat(np.repeat(cells, 8, 0), 8, 1)


def saved(image, path, **options):
    image.save(path, **options)
    return Image.open(path)


def write():
    here = Path(__file__).parent
    files, golden = here / "files", here / "golden"
    files.mkdir(exist_ok=True)
    spaces = {
        "p3": rgb_profile(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), SRGB_CURVE),
        "adobe": rgb_profile(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), power(2.19921875)),
    }
    srgb = ImageCms.createProfile("sRGB")
    want = {}

    def expect(name, image, icc, mode):
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), srgb, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode=mode, flags=FLAGS)
        want[name] = np.asarray(converted.convert("RGB"))

    rgb = Image.fromarray(picture(64, 48, 3, 1))
    for name, icc in spaces.items():
        expect(f"{name}.png", saved(rgb, files / f"{name}.png", icc_profile=icc), icc, "RGB")
        for sampling, label in ((0, "444"), (2, "420")):
            path = files / f"{name}-{label}.jpg"
            expect(path.name, saved(rgb, path, icc_profile=icc, quality=92, subsampling=sampling), icc, "RGB")
    gray = Image.fromarray(picture(64, 48, 1, 2)[..., 0])
    icc = profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": power(1.8)})
    expect("gray.png", saved(gray, files / "gray.png", icc_profile=icc), icc, "RGB")
    inks = Image.fromarray(picture(64, 48, 4, 3), "CMYK")
    icc = cmyk_profile()
    expect("cmyk.jpg", saved(inks, files / "cmyk.jpg", icc_profile=icc, quality=95, subsampling=0), icc, "RGB")
    inks.save(files / "cmyk-plain.jpg", quality=95, subsampling=0)
    want["cmyk-plain.jpg"] = np.asarray(Image.open(files / "cmyk-plain.jpg").convert("RGB"))
    save_file(want, golden / "colors.safetensors")

