"""BOARDS, one fake board per module and JetPack layout, and `write`, which makes a tree of one.

Identities, clocks, rails and lines of tegrastats are those of documented boards. Made up: the mode
ids of Xavier NX and of Orin NX and Thor beyond the documented ones, CPU clocks per mode, package
revisions, and the texts of nvpmodel.conf.
"""

from __future__ import annotations

from .fake_board import FakeBoard, Mode, Monitor, Rail
from .fake_board_tree import write
from .fake_boards_older import AGX_XAVIER, AGX_XAVIER_JP5, NANO, TX2, XAVIER_NX
from .fake_boards_orin import AGX_ORIN, AGX_ORIN_JP7, ORIN_NANO, ORIN_NANO_SUPER, ORIN_NX, THOR

__all__ = ["BOARDS", "FakeBoard", "Mode", "Monitor", "Rail", "write"]

BOARDS: dict[str, FakeBoard] = {
    board.name: board
    for board in (
        NANO,
        TX2,
        XAVIER_NX,
        AGX_XAVIER,
        AGX_XAVIER_JP5,
        ORIN_NANO,
        ORIN_NANO_SUPER,
        ORIN_NX,
        AGX_ORIN,
        AGX_ORIN_JP7,
        THOR,
    )
}
