"""Which sound card is which, whatever number it got at this boot: read from the kernel's own description, sysfs.

PortAudio knows cards by number and by a name that equal ones share. Numbers follow the order in which cards were found.
"""

from pathlib import Path

import msgspec


class SoundCard(msgspec.Struct, frozen=True):
    """A sound card.

    Attributes:
        id: ALSA's, as in ``Device`` or ``Device_1``: of equal cards, the order in which they were found decides.
        vendor: of a USB card, four hexadecimal digits; empty for others, as are the next three.
        product: the same.
        serial: the maker's number; often empty, or the same for all of its kind.
        usb_path: where it is plugged in, as in ``1-1.3``: bus, and port of each hub.
    """

    id: str
    vendor: str = ""
    product: str = ""
    serial: str = ""
    usb_path: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called, the most lasting name first."""
        usb = f"usb:{self.vendor}:{self.product}"
        names = [f"{usb}:{self.serial}"] if self.serial else []
        names += [usb, f"{usb}@{self.usb_path}"] if self.vendor else []
        return (*names, f"card:{self.id}")

    def is_like(self, other: "SoundCard") -> bool:
        """Say whether this can be the same card as another: another socket or number does not make it another."""
        mine, its = ((card.vendor, card.product, card.serial) for card in (self, other))
        return mine == its and (bool(self.vendor) or self.id == other.id)


def sound_card(number: int, root: Path = Path("/")) -> SoundCard | None:
    """Read what the kernel says of a sound card.

    Args:
        number: ALSA's, as in ``hw:1,0``.
        root: of the file system.

    Returns:
        None if there is no such card.
    """
    folder = root / "sys/class/sound" / f"card{number}"
    card_id = _read(folder / "id")
    if not card_id:
        return None
    # Of a USB card, `device` leads to one interface of the USB device; the device itself is the folder above.
    usb = (folder / "device").resolve().parent
    vendor, product = _read(usb / "idVendor"), _read(usb / "idProduct")
    if not vendor or not product:
        return SoundCard(card_id)
    return SoundCard(card_id, vendor, product, _read(usb / "serial"), usb.name)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
