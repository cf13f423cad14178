"""A device's name is taken apart, or refused in one line with the form that was expected."""

from __future__ import annotations

import pytest

from edgestill.deploy.errors import TargetError
from edgestill.deploy.target import Target, parse_target


def test_local_is_this_machine() -> None:
    assert parse_target("local") == Target(kind="local", name="local")


@pytest.mark.parametrize(
    ("text", "host", "user", "port", "python"),
    [
        ("ssh://orin", "orin", None, None, None),
        ("ssh://Orin-Nano_2.lab", "Orin-Nano_2.lab", None, None, None),
        ("ssh://nvidia@192.168.55.1", "192.168.55.1", "nvidia", None, None),
        ("ssh://me@orin:2222", "orin", "me", 2222, None),
        ("ssh://[::1]", "::1", None, None, None),
        ("ssh://me@[fe80::1%usb0]:22", "fe80::1%usb0", "me", 22, None),
        ("ssh://orin?python=/a-b/c+d/python3", "orin", None, None, "/a-b/c+d/python3"),
        ("ssh://a@b:1?python=/usr/bin/python3.8", "b", "a", 1, "/usr/bin/python3.8"),
    ],
)  # fmt: skip
def test_a_device_behind_ssh_is_taken_apart(
    text: str, host: str, user: str | None, port: int | None, python: str | None
) -> None:
    assert parse_target(text) == Target(
        kind="ssh", name=text, host=host, user=user, port=port, python=python
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "unknown device ''"),
        ("Local", "unknown device 'Local'"),
        ("orin-nano", "unknown device"),
        ("user@board", "unknown device"),
        ("SSH://board", "unknown device"),
        ("http://board", "unknown device"),
        ("ssh://", "the host must be letters, digits, '.', '_' and '-', found none"),
        ("ssh://user@", "the host must be"),
        ("ssh://@board", "the user must be .* found none"),
        ("ssh://-oProxyCommand=id", "the host must be .* found '-oProxyCommand=id'"),
        ("ssh://-l@board", "the user must be .* found '-l'"),
        ("ssh://board;reboot", "the host must be"),
        ("ssh://$(reboot)", "the host must be"),
        ("ssh://bo ard", "the host must be"),
        ("ssh://board\n", "the host must be"),
        ("ssh://u`id`@board", "the user must be"),
        ("ssh://a@b@c", "the user must be"),
        ("ssh://bücher", "the host must be"),
        ("ssh://board:", "the port must be 1 to 65535, found ''"),
        ("ssh://board:0", "the port must be"),
        ("ssh://board:65536", "the port must be"),
        ("ssh://board:22x", "the port must be"),
        ("ssh://board:٢٢", "the port must be"),
        ("ssh://::1", "the host must be .* found none"),
        ("ssh://[::1", "unknown device"),
        ("ssh://[::g]", r"\[::g\] is no IPv6 address"),
        ("ssh://[10.0.0.1]", "is no IPv6 address"),
        ("ssh://[fe80::1%$(id)]", "the zone of the address must be"),
        ("ssh://board/models", "nothing may follow the port but .python=, found '/models'"),
        ("ssh://board/", "nothing may follow"),
        ("ssh://board#top", "nothing may follow"),
        ("ssh://board?", "unknown setting ''; known: python"),
        ("ssh://board?key=/id", "unknown setting 'key'"),
        ("ssh://board?python=", "python must be an absolute path"),
        ("ssh://board?python=python3", "python must be an absolute path"),
        ("ssh://board?python=/a b", "python must be an absolute path"),
        ("ssh://board?python=/a;reboot", "python must be an absolute path"),
        ("ssh://board?python=/a&python=/b", "python must be an absolute path"),
    ],
)
def test_any_other_name_is_refused_in_one_line_with_exit_2(text: str, found: str) -> None:
    with pytest.raises(TargetError, match=found) as refused:
        parse_target(text)

    assert refused.value.exit_code == 2
    assert "ssh://[user@]host[:port][?python=/path/to/python]" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["ssh://me:s3cret@board", "ssh://:s3cret@", "ssh://a:/s3cret@board", "a:s3cret@b"],
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(TargetError, match="use a key") as refused:
        parse_target(text)

    assert "s3cret" not in str(refused.value)
