"""`python -m edgestill.pipeline`, the same door as the `edgestill` script."""

from __future__ import annotations

from .cli import main

main()
