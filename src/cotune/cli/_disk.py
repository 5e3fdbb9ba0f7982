"""What the system says of a path or a disk, as a message to the caller."""

from __future__ import annotations

import errno
import os
import re

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_WRONG = (
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
)
_TORCH = ("inline_container", "PytorchStreamWriter", "iostream error")
"""What torch says, in an error of its own, of a file that it could not write."""

_LONGEST = 200
"""Characters of a path that are shown: a path may be what is too long."""


def describe_disk_fault(error: Exception) -> str | None:
    """Say what is wrong with a path or a disk.

    Args:
        error: What the system raised; or safetensors and torch, which put it into
            words of their own.

    Returns:
        One line for the caller; None if it is no matter of paths and disks, such as a
        lost connection: that keeps its traceback.
    """
    if any(word in str(error) for word in _TORCH):
        return (
            f"disk: a checkpoint must be written whole, got: {error}. Look for room "
            "where the run lies; it goes on with --resume."
        )
    if not isinstance(error, OSError):
        number = re.search(r"\(os error (\d+)\)", str(error))
        path = re.search(r'at path "(.+)"', str(error))
        if number is None:
            return None
        code = int(number[1])
        error = OSError(code, os.strerror(code), path[1] if path else None)
    # Of a move, the second name is the one that the caller knows.
    name = error.filename2 or error.filename
    path = str(name)[:_LONGEST] if name is not None else "disk"
    told = error.strerror
    if error.errno in _FULL:
        return (
            f"{path}: there must be room to write, got: {told}. Make room; a run that "
            "was interrupted goes on with --resume."
        )
    if error.errno in _FORBIDDEN:
        return (
            f"{path}: must be a place where you may read and write, got: {told}. "
            "Choose another path, or change its rights."
        )
    if error.errno in _WRONG and name is not None:
        return f"{path}: must be a path that fits, got: {told}. Check the path."
    return None
