"""`chattr +i` and `+a`: what they seal nobody changes but root of this host, who takes them off.

Root of a user namespace cannot take them off. In a folder that is sealed no entry is made, renamed
or removed, and it is not renamed itself.
"""

from __future__ import annotations

import fcntl
import struct
from typing import Final

IMMUTABLE: Final = 0x10
SEALS: Final = IMMUTABLE | 0x20
#: The requests that get and set the flags of a file (linux/fs.h).
GET_FLAGS: Final = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
SET_FLAGS: Final = 1 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 2


def flags_of(handle: int) -> int | None:
    """None where the file system has no flags."""
    try:
        (flags,) = struct.unpack("i", fcntl.ioctl(handle, GET_FLAGS, struct.pack("i", 0)))
    except OSError:
        return None
    return int(flags)


def set_flags(handle: int, flags: int) -> None:
    """Raises OSError as the file system does."""
    fcntl.ioctl(handle, SET_FLAGS, struct.pack("i", flags))
