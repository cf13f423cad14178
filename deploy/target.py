"""Which device is meant: the text of `--on` as a checked value.

local
ssh://[user@]host[:port][?python=/path/to/python]      host: a name, an alias of your ssh config, an
                                                       IPv4 address, or an IPv6 address in brackets
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from .errors import TargetError

FORM = "ssh://[user@]host[:port][?python=/path/to/python]"
_URL = re.compile(
    r"ssh://(?:(?P<user>[^/?#]*)@)?(?P<host>\[[^]]*\]|[^:/?#\[]*)(?::(?P<port>[^/?#]*))?"
    r"(?P<path>[/#][^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device to measure on."""

    kind: str
    """How it is reached: `local`, this machine with the Python that runs edgestill; or `ssh`."""
    name: str
    """As the user wrote it; stands in messages and records."""
    host: str | None = None
    """What ssh connects to, IPv6 without brackets; None: this machine."""
    user: str | None = None
    """Who logs in; None leaves it to the ssh config."""
    port: int | None = None
    """None leaves it to the ssh config."""
    python: str | None = None
    """Absolute path of the Python on the device; None: the first one found there that fits."""


def parse_target(text: str) -> Target:
    """The device that `text` names.

    >>> parse_target("local").kind
    'local'
    >>> target = parse_target("ssh://nvidia@orin:2222?python=/usr/bin/python3.10")
    >>> target.user, target.host, target.port, target.python
    ('nvidia', 'orin', 2222, '/usr/bin/python3.10')

    Raises:
        TargetError: the text names no device.
    """
    if text == "local":
        return Target(kind="local", name=text)
    if ":" in text.removeprefix("ssh://").rpartition("@")[0]:
        # Without the text itself: what is printed here ends up in logs.
        raise TargetError(
            f"a password in the name of a device would stay in records; use a key: {FORM}"
        )
    url = _URL.fullmatch(text)
    if url is None:
        raise TargetError(f"unknown device {text!r}; expected local or {FORM}")
    user, port, path, query = url["user"], url["port"], url["path"], url["query"]
    if path is not None:
        raise _refused(text, f"nothing may follow the port but ?python=, found {path!r}")
    return Target(
        kind="ssh",
        name=text,
        host=_host(text, url["host"]),
        user=None if user is None else _plain(text, "user", user),
        port=None if port is None else _port(text, port),
        python=None if query is None else _python(text, query),
    )


def _host(text: str, host: str) -> str:
    if not host.startswith("["):
        return _plain(text, "host", host)
    try:
        address = ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        raise _refused(text, f"{host} is no IPv6 address") from None
    if address.scope_id is not None:
        _plain(text, "zone of the address", address.scope_id)
    return host[1:-1]


def _plain(text: str, what: str, value: str) -> str:
    # ssh would take a leading dash for an option, and hands host and user on to ProxyCommand and
    # Match exec, which are lines for a shell.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", value):
        found = f"found {value!r}" if value else "found none"
        raise _refused(text, f"the {what} must be letters, digits, '.', '_' and '-', {found}")
    return value


def _port(text: str, port: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise _refused(text, f"the port must be 1 to 65535, found {port!r}")
    return int(port)


def _python(text: str, query: str) -> str:
    key, _, path = query.partition("=")
    if key != "python":
        raise _refused(text, f"unknown setting {key!r}; known: python")
    if not re.fullmatch(r"/[A-Za-z0-9._/+-]+", path):
        raise _refused(
            text, f"python must be an absolute path without odd characters, not {path!r}"
        )
    return path


def _refused(text: str, why: str) -> TargetError:
    return TargetError(f"device {text!r}: {why}; expected {FORM}")
