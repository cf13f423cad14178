"""A device's name is taken, or refused with what this version reaches."""

from __future__ import annotations

import pytest

from edgestill.deploy.errors import TargetError
from edgestill.deploy.target import parse_target


def test_local_is_this_machine() -> None:
    target = parse_target("local")

    assert (target.kind, target.name) == ("local", "local")


@pytest.mark.parametrize("text", ["", "Local", "ssh://user@board", "orin-nano"])
def test_any_other_device_is_refused_with_exit_2(text: str) -> None:
    with pytest.raises(TargetError, match="only 'local'") as refused:
        parse_target(text)

    assert refused.value.exit_code == 2
