"""What can go wrong between here and a device: one line each, and the exit code that belongs to it.

DeployError                   2
|-- TargetError               2   the device's name cannot be used
|-- TableError                2   a latency table cannot be used
|-- RequestError              2   the model or a setting given cannot be measured
|-- Refused                   1   the figures are in doubt, where only trusted ones will do
`-- DeviceError               3   the device, its runtime or the agent on it is missing or failed
"""

from __future__ import annotations


class DeployError(Exception):
    """A message for the user: what was found, what was expected, what to do."""

    exit_code = 2


class TargetError(DeployError):
    """The name given for a device cannot be used."""


class RequestError(DeployError):
    """The model or a setting given cannot be measured."""


class Refused(DeployError):
    """The figures are in doubt, and --strict was asked for: a gate failed."""

    exit_code = 1


class DeviceError(DeployError):
    """The device, its runtime or the agent on it is missing or failed."""

    exit_code = 3
