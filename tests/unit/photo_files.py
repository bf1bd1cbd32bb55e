"""Photos and things that are called photos, made in memory: each builder shows only what matters to a test."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import ExifTags, Image


def quarters(width: int = 96, height: int = 64) -> np.ndarray:
    """Red and green above blue and white, shape (height, width, 3): every turn and mirror looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left], pixels[:top, left:] = (255, 0, 0), (0, 255, 0)
    pixels[top:, :left], pixels[top:, left:] = (0, 0, 255), (255, 255, 255)
    return pixels


def skin(width: int = 320, height: int = 240, seed: int = 0) -> np.ndarray:
    """Brownish with soft structure, shape (height, width, 3): neither flat nor noise, as photos are."""
    coarse = np.random.default_rng(seed).integers(-40, 40, (6, 8, 3)) + np.array([190, 140, 110])
    return np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC))


def saved(image: np.ndarray | Image.Image, format_name: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    picture.save(stream, format_name, **options)
    return stream.getvalue()


def exif(
    *,
    orientation: int = 1,
    taken: str | None = None,
    offset: str | None = None,
    changed: str | None = None,
    make: str | None = None,
    model: str | None = None,
    has_place: bool = False,
) -> bytes:
    """An EXIF block. ``taken``: as a camera writes it, e.g. ``2026:11:20 14:05:00``; ``changed``: the file's own time."""
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    for tag, text in ((ExifTags.Base.Make, make), (ExifTags.Base.Model, model), (ExifTags.Base.DateTime, changed)):
        if text is not None:
            block[tag] = text
    details = block.get_ifd(ExifTags.IFD.Exif)
    for tag, text in ((ExifTags.Base.DateTimeOriginal, taken), (ExifTags.Base.OffsetTimeOriginal, offset)):
        if text is not None:
            details[tag] = text
    if has_place:
        place = block.get_ifd(ExifTags.IFD.GPSInfo)
        place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", (48.0, 51.0, 30.0)
    return block.tobytes()


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes whose header promises a picture of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A small JPEG with another size written into its header."""
    photo = bytearray(saved(quarters(), "JPEG"))
    start_of_frame = photo.index(b"\xff\xc0")
    photo[start_of_frame + 5 : start_of_frame + 9] = struct.pack(">HH", height, width)
    return bytes(photo)


# Primaries of Display P3 as they stand in its ICC profile (adapted to D50), one column per channel.
P3_TO_XYZ = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
P3_GAMMA = 2.2


def display_p3_profile() -> bytes:
    """An ICC profile with the primaries of Apple's Display P3 and a plain gamma, the least that a reader accepts."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    name, white = b"Display P3\0", (0.9642, 1.0, 0.82491)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(P3_GAMMA * 256)) + bytes(2)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(79),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(*white),
        **{channel + b"XYZ": xyz(*P3_TO_XYZ[:, i]) for i, channel in enumerate((b"r", b"g", b"b"))},
        **{channel + b"TRC": curve for channel in (b"r", b"g", b"b")},
    }
    directory, body = struct.pack(">I", len(tags)), b""
    first = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        directory += tag + struct.pack(">II", first + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I4sI4s4s4s6H4s", first + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ",
                         2026, 1, 1, 0, 0, 0, b"acsp").ljust(68, b"\0") + xyz(*white)[8:]  # fmt: skip
    return header.ljust(128, b"\0") + directory + body


# ``quarters()`` as HEIC with EXIF (Acme, 2026:11:20 10:11:12). Nothing that the project installs can write HEIC, so the
# bytes stand here; libheif with x265 made them.
HEIC_UPRIGHT = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004(ZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-"
    "+&aV*mgE07O6l0ssL300001y8r<I00000003_Q0ssI200Jri0RR9100000XaE2JIB98aW&i*H00062000$fZf0cy000000RRAKc4ILB0000LX>"
    "Mj^0ssI300IC2MR;ju000004sdC7Z2$lO00031007o$aB^?}006gXaAR)(004Msc4I>U18@KU0FVFx0000U@BsY%`1k+-"
    "4+CHT0RR|40Sp2E{{wIU00RJ!0009300RIXx&lC90096iLID8-"
    "Z~y=U0FVFx0{{R603M()fd!W8Nhz*w0vZem00093$N&HX00=;000968L;=Baup&SJ000wXZ)|dIV{CW;0RRmE27mwn02FC+aAg1h000000AK(B"
    "06+i$01$9#cxeCt0009B2nYZG02gU+ZD9Za00000009621c3qr1ONa48fkK6W&i*H000004r63<V*mmG0RRC2007@@WMOmw003(!0k2qz#2qBR"
    "|K~fu|0+Ep_9c1IxVOT}KhgGo*;R;!qp`|c?o9qaAhYMLfBI@kkG^(?{pIbeunLLnEm!(RBBoG8_3RyF$p7XT|IxB_N-"
    "8Dp6TARIbPF@1sd%?8qE<ur`LYAU>OcSh00u>PX=VTbO-"
    "%qQ0000800RLJ00IC200jU505Sm*00RI300962004(+00aO40096105|{u002Q_ZDjxe00EE#00IC202BZK07?J=001&DGB!FfF*-"
    "6ZATcmHF)=zZG5`"
)
# The same, to be turned by 90 degrees clockwise when shown, as a phone held upright writes it.
HEIC_TURNED = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004@ZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-"
    "+&aV*mgE07O6l0ssL300001#Q*^S00000003_Q0ssI200J}s0RR9100000XaE2JIB98aW&i*H00062000$fZf0cy000000RRAKc4ILB0000LX>"
    "Mj^0ssI300IC2MR;ju000004sdC7Z2$lO00031007`=aB^?}006*gaAR)(004Msc4I>U18@KU0FVFx0000U@BsY%`1k+-"
    "4+CHT0RR|40Sp2E{{wIU00RJ!0009300RIXx&lC90096iLID8-"
    "Z~y=U0FVFx0{{R603M()fd!W8Nhz*w0vZem00093$N&HX00=;000968L;=Baup&SJ000wXZ)|dIV{CW;0RRmE27mwn02FC+aAg1h000000AK(B"
    "06+i$01$9#cxeCt0009B2nYZG010VwZ*&6y000<iaBX1#00000000310R@2q0|bQt000_ka%E-!00000000hSWOHKx0ssL30RR91-"
    ")&@JbN~PVYbXJ)Sc$|PB)|XXJHP)bJt6ibdC|DH!pc9<_J7$`h=!xF%3JPC{y!kI=dOSHYDtg2c8C4t?W?c~iR>*``bHwAP(=0Y9c0M=<{1Ccv"
    "UN%-CGHcv077&NGoz_^w=SYqL-_f!1H<Y-"
    "00006MR;ju002!*04e|g00;mB0S^EI000050000o0TKWM0000100sa6hiL!=000010000u00000L1S%Y00001kOKe$0000K0000=00000GB7eW"
    "Ix#UiGB6-9Fgh_YIx#W;"
)
