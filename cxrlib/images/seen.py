"""What a file is, by its content: said of those that cannot be read, with the mend that fits."""

import codecs
import contextlib
import os
import re

from PIL import features

UNREADABLE = "is not an image that can be read"
AGAIN = "copy or download it again"
PNG = "save the radiograph as PNG"
UNPACK = "unpack it first"

STARTS = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image", "run `git lfs pull`"),
    (0, b"/annex/objects/", "a git-annex pointer, not the image itself", "run `git annex get`"),
    (0, b"outs:", "a DVC pointer, not the image itself", "run `dvc pull`"),
    (0, b"\x1f\x8b", "packed with gzip", UNPACK),
    (0, b"PK\x03\x04", "a zip archive", UNPACK),
    (0, b"PK\x05\x06", "a zip archive with nothing in it", AGAIN),
    (0, b"BZh", "packed with bzip2", UNPACK),
    (0, b"\xfd7zXZ\0", "packed with xz", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "packed with zstd", UNPACK),
    (0, b"\x1f\x9d", "packed with compress", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!", "a RAR archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"%PDF", "a PDF document", PNG),
    (0, b"%!PS", "a PostScript document", PNG),
    (0, b"\xd0\xcf\x11\xe0", "a Windows document or its Thumbs.db", "drop its row"),
    (0, b"\0\x05\x16\x07", "a Mac's notes about a file (._name), not the file", "drop its row"),
    (0, b"\0\0\0\x01Bud1", "a Mac's .DS_Store", "drop its row"),
    (4, b"ftyphei", "a HEIC picture", PNG),
    (4, b"ftypmif1", "a HEIC picture", PNG),
    (4, b"ftypavi", "an AVIF picture", PNG),
    (4, b"ftyp", "a video", PNG),
    (0, b"\xff\x0a", "a JPEG XL picture", PNG),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture", PNG),
    (0, b"II\xbc\x01", "a JPEG XR picture", PNG),
    (0, b"MM\0+", "a BigTIFF of big-endian words, which no decoder here reads", PNG),
    (0, b"8BPS", "a Photoshop document", PNG),
    (0, b"v/1\x01", "an OpenEXR picture", PNG),
    (0, b"\0\0\x01\0", "a Windows icon", PNG),
    (0, b"NRRD", "an NRRD volume", PNG),
    (344, b"n+1\0", "a NIfTI volume", PNG),
    (344, b"ni1\0", "a NIfTI volume", PNG),
    (0, b"ObjectType", "a MetaImage header", PNG),
    (0, b"\x89HDF", "an HDF5 file", PNG),
    (0, b"\x93NUMPY", "a NumPy array", PNG),
    (0, b"SIMPLE  =", "a FITS picture", PNG),
    (0, b"\x7fELF", "a program", "drop its row"),
    (0, b"MZ", "a program", "drop its row"),
    (0, b"\x89PNG\n", "a PNG that was changed as if it were text", "transfer it in binary mode"),
    (0, b"\x89PNG\r\r", "a PNG that was changed as if it were text", "transfer it in binary mode"),
    (0, b"\xc2\x89PNG", "a PNG that was changed as if it were text", "transfer it in binary mode"),
    (0, b"\xef\xbf\xbdPNG", "a PNG that was changed as if it were text", AGAIN),
    (0, b"\xef\xbf\xbd\xef\xbf\xbd", "an image that was changed as if it were text", AGAIN),
    (0, b"iVBORw0KGgo", "a PNG written as base64 text", "decode it with `base64 -d`"),
    (0, b"/9j/", "a JPEG written as base64 text", "decode it with `base64 -d`"),
    (0, b"data:image/", "an image written as a data URL", "decode its base64 text"),
)  # fmt: skip
"""Where a file that is no image here shows it: offset, bytes, what it is, and the mend."""

KINDS = {
    # First, since its preamble may be that of a TIFF. Without a preamble it begins with a small
    # element of group 2 or 8.
    "DICOM": rb".{128}DICM|[\x02\x08]\0.\0([A-Z]{2}|[^\0]\0\0\0)|\0[\x02\x08]\0.[A-Z]{2}",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "BMP": rb"BM....\0\0\0\0",
    "GIF": rb"GIF8[79]a",
    "PPM": rb"P[1-6]\s+(#|\d+\s)",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "WEBP": rb"RIFF....WEBP",
    "AVIF": rb"....ftypavi[fs]",
}
"""How a file of each format that is read begins."""

HEAD = 200
"""Bytes that tell a format."""

SAID = {"JPEG2000": "a JPEG 2000", "WEBP": "a WebP", "AVIF": "an AVIF"}
"""How formats are called in a message, where not by their key."""

TEXTS = (
    (rb"(\.\./)*\.git/annex/", "a git-annex link, not the image itself", "run `git annex get`"),
    (rb"(<!--.*?-->\s*)*<(!doctype html|html|head|body|script)", "a web page (HTML)", AGAIN),
    (rb"<svg|<\?xml[^>]*>\s*(<!--.*?-->\s*)*<svg", "an SVG drawing", PNG),
    (rb"<\?xml|<[a-z]+[ >]", "XML text", AGAIN),
    (rb"[{\[]\s*[\"{\[\]}]", "JSON text", AGAIN),
)


def unreadable(file):
    """Returns what a file that cannot be read seems to be, and the mend.

    Args:
        file: The open file; it is left anywhere.

    Returns:
        What follows the file's name in a message of one line. Nothing of the content is in it.
    """
    what, mend = _seen(file)
    return f"{UNREADABLE}: it is {what}; {mend}"


def kind(head):
    """Returns a file's format by its first bytes: a key of `KINDS`, or "" if it is of none."""
    return next((name for name, start in KINDS.items() if re.match(start, head, re.DOTALL)), "")


def is_cut(name, file):
    """Returns whether a file of a format lacks the end that such a file has."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    file.seek(max(size - 64, 0))
    tail = file.read().rstrip(b"\0")
    if name == "BMP":
        return size < int.from_bytes(head[2:6], "little")
    if name == "WEBP":
        return size < int.from_bytes(head[4:8], "little") + 8
    ends = {"PNG": b"IEND\xae\x42\x60\x82", "JPEG": b"\xff\xd9", "JPEG2000": b"\xff\xd9"}
    return not tail.endswith(ends.get(name, b"\x3b" if name == "GIF" else b""))


def _seen(file):
    """Returns what a file is, and the mend."""
    file.seek(0)
    head = file.read(4096)
    if not head:
        return "empty (0 bytes)", AGAIN
    if not head.strip(b"\0"):
        return "nothing but zeros at its start", AGAIN
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "replace").encode()
    begins = head.removeprefix(codecs.BOM_UTF8).lstrip()
    name = kind(head)
    for offset, mark, what, mend in () if name == "AVIF" and features.check("avif") else STARTS:
        if head[offset : offset + len(mark)] == mark or (not offset and begins.startswith(mark)):
            return what, mend
    if name:
        state = "cut short" if is_cut(name, file) else "damaged or cut short"
        return f"{SAID.get(name, f'a {name}')} and {state}", AGAIN
    return _text(head)


def _text(head):
    """Returns what kind of text a file's first bytes are, if they are text."""
    plain = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for pattern, what, mend in TEXTS:
        if re.match(pattern, plain, re.DOTALL):
            return what, mend
    with contextlib.suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its end may be half a letter
        if not re.search(rb"[\x00-\x08\x0e-\x1f]", head):
            return "text", "name the image instead, or drop its row"
    return "of no format that is known here", f"{PNG}, or drop its row"
