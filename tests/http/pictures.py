"""Small pictures, without any library."""

import base64
import struct
import zlib


def png(pixel, channels, side):
    """A PNG of `side` x `side` pixels, `pixel(x, y)` giving `channels` bytes each."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(side)) for y in range(side))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_size(data):
    """Width and height, as the head says."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:16]
    return struct.unpack(">II", data[16:24])


def sofa(x, y, side):
    return 5 * side // 16 <= x < 11 * side // 16 and 7 * side // 16 <= y < 11 * side // 16


def room(side=128, wall=(230, 225, 210)):
    """A wall, a floor, a blue sofa."""

    def pixel(x, y):
        if sofa(x, y, side):
            return (40, 60, 200)
        return wall if y < 10 * side // 16 else (150, 110, 70)

    return png(pixel, 3, side)


def mask(side=128, transparent=True):
    """An OpenAI mask: transparent where the sofa is, or nowhere."""
    return png(lambda x, y: (0, 0, 0, 0 if transparent and sofa(x, y, side) else 255), 4, side)


# 16 x 16 pixels each.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAQABAD"
    "ASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB"
    "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZ"
    "mqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQF"
    "BgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5"
    "OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX"
    "2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwC5NPFBjzG256cE0QzxT58tt2OvBFR3dr9p2fPt257ZotLX7Nv+fdux2xRanyXvqVrf"
    "yP/Z"
)
WEBP = base64.b64decode(
    "UklGRlAAAABXRUJQVlA4IEQAAABQAgCdASoQABAABABoJbACdH8D2OQZCEfxJAwA/sLv9mfEeEDw5kUPiJ51WE9QRv3oWtc1SzGaoJR62eEkzqAn"
    "G7kAAA=="
)
