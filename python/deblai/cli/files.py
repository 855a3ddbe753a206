"""Arrays from the user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import errors
from .._extras import require

HELP = "FILE.npy, FILE.npz[:NAME], FILE.csv or FILE.txt"
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
PLOTS = (".png", ".pdf", ".svg", ".eps", ".ps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


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


def load_image(operation: str, path: str) -> np.ndarray[Any, Any]:
    """Read a picture, upright: (h, w), (h, w, 3) or (h, w, 4), uint8 or float64 in [0, 1]."""
    image, upright = require("PIL.Image", operation, "plot"), require("PIL.ImageOps", operation, "plot")
    if not Path(path).is_file():
        raise errors.InvalidValue(f"[{operation}] {path}: no such file")
    try:
        with image.open(path) as picture:
            turned = upright.exif_transpose(picture)
            if turned.mode.startswith("I"):  # 16 bits of grey
                return np.clip(np.asarray(turned, np.float64) / 65535, 0, 1)
            if turned.mode not in ("L", "RGB", "RGBA"):
                clear = turned.mode in ("P", "PA", "LA", "La", "RGBa")
                turned = turned.convert("RGBA" if clear else "L" if turned.mode == "1" else "RGB")
            return np.array(turned)
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise errors.InvalidValue(f"[{operation}] {path}: cannot be read: {error}") from error


def require_ending(operation: str, path: str | None, endings: tuple[str, ...]) -> None:
    """Refuse a file to be written whose ending is none of these, before anything is computed."""
    if path is None:
        return
    if Path(path).suffix.lower() not in endings:
        raise errors.InvalidValue(
            f"[{operation}] {path}: expected an ending among {', '.join(endings)}, got '{Path(path).suffix}'"
        )
    if not Path(path).resolve().parent.is_dir():
        raise errors.InvalidValue(f"[{operation}] {path}: no such folder")


def save_figure(figure: Any, path: str | Path, dpi: int = 160, colors: int | None = None) -> None:
    """Write a figure; the ending chooses the format. A PNG of few `colors` is a small file."""
    try:
        figure.savefig(path, dpi=dpi)
        if colors is not None:
            image = require("PIL.Image", "plot", "plot")
            with image.open(path) as picture:
                small = picture.convert("RGB").quantize(colors, dither=image.Dither.NONE)
            small.save(path, optimize=True)
    except ValueError as error:
        raise errors.InvalidValue(f"[plot] {path}: {error}") from error
