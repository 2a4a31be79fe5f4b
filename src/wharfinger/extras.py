"""Optional parts: a missing package is named together with the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec


def require(*packages: str, extra: str) -> None:
    """Return if these packages are installed.

    Raises:
        ModuleNotFoundError: which one is missing, and which extra brings it.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(
                f"This part of wharfinger needs the package {package!r}: "
                f"pip install 'wharfinger[{extra}]'",
                name=package,
            )
