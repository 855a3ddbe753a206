"""Arrays from the user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import errors

HELP = "FILE.npy, FILE.npz[:NAME], FILE.csv or FILE.txt"


def load(operation: str, spec: str) -> np.ndarray[Any, Any]:
    """Read an array: .npy; .npz with one array, or ``file.npz:name``; .csv and .txt as numbers."""
    path, member = spec, ""
    if not Path(path).exists() and ".npz:" in spec:
        path, _, member = spec.rpartition(":")
    if not Path(path).is_file():
        raise errors.InvalidValue(f"[{operation}] {path}: no such file")
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        elif suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                names = list(archive)
                if not member and len(names) == 1:
                    member = names[0]
                if member not in names:
                    raise errors.InvalidValue(
                        f"[{operation}] {path}: expected {path}:NAME with NAME among {', '.join(names)}, "
                        f"got {member or 'no name'!r}"
                    )
                array = archive[member]
        elif suffix in (".csv", ".txt"):
            array = np.loadtxt(path, delimiter="," if suffix == ".csv" else None, ndmin=2)
        else:
            raise errors.InvalidValue(f"[{operation}] {path}: expected {HELP}, got '{suffix}'")
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, errors.DeblaiError):
            raise
        raise errors.InvalidValue(f"[{operation}] {path}: cannot be read: {error}") from error
    return np.asarray(array)


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure; the ending chooses the format."""
    try:
        figure.savefig(path, dpi=160)
    except ValueError as error:
        raise errors.InvalidValue(f"[plot] {path}: {error}") from error
