"""What an agent says of its progress, as events."""

from __future__ import annotations

from collections.abc import Callable

from .events import emit


def told(label: str) -> Callable[[dict[str, str | float]], None]:
    """For `deploy.session.profile`: each phase of a measurement becomes a bar of its own."""

    def hear(progress: dict[str, str | float]) -> None:
        emit(
            "progress",
            label=f"{label} {progress['phase']}",
            done=progress["done"],
            total=progress["total"],
            unit=progress["unit"],
        )

    return hear
