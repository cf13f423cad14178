"""Small files below a root folder, as in /proc and /sys; those that cannot be read, and why."""

from __future__ import annotations

import re
from pathlib import Path


class Files:
    """Reads below `root`; `unread` gathers each failure: the path as on the device, the reason."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unread: dict[str, str] = {}

    def text(self, name: str) -> str | None:
        """What the file holds, stripped; None if it is empty or cannot be read."""
        try:
            raw = (self.root / name).read_bytes()
        except OSError as error:
            self.unread["/" + name] = error.strerror or str(error)
            return None
        # Device-tree files end in a NUL.
        return raw.decode("utf-8", "replace").replace("\0", " ").strip() or None

    def numbers(self, names: list[str]) -> list[int]:
        """The whole numbers that the files hold, of those that can be read."""
        return [number for number in map(self.number, names) if number is not None]

    def number(self, name: str) -> int | None:
        """The whole number that the file holds."""
        text = self.text(name)
        if text is None:
            return None
        if not re.match(r"^-?[0-9]{1,18}$", text):
            self.unread["/" + name] = f"no number: {text[:40]!r}"
            return None
        return int(text)

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder, or one that this user may not even look for."""
        try:
            return (self.root / name).exists()
        except PermissionError:  # its folder is closed; reading it will tell that
            return True

    def folders(self, pattern: str) -> list[str]:
        """Paths below the root that match, by the last number in their name: cpu2 before cpu10."""
        found = [path.relative_to(self.root).as_posix() for path in self.root.glob(pattern)]
        return sorted(found, key=lambda name: int((re.findall(r"\d+", name) or ["0"])[-1]))
