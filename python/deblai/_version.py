"""The version, as the installed package says."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("deblai")
