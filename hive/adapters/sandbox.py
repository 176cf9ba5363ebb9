"""Whether this process may make the namespaces that a sandbox of nix's is made of, by trying."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

from hive.adapters.idmap import CLONE_NEWUSER, fork

#: Mounts, host name, IPC, processes and network.
OF_A_BUILD: Final = 0x0002_0000 | 0x0400_0000 | 0x0800_0000 | 0x2000_0000 | 0x4000_0000


def refusal() -> str | None:
    """What the kernel says against it, or None. Tried in a child, which leaves nothing behind."""
    if sys.platform != "linux":
        return "only Linux has namespaces"
    libc = ctypes.CDLL(None, use_errno=True)  # before the fork: after it there is no importing
    wanted = OF_A_BUILD if os.geteuid() == 0 else OF_A_BUILD | CLONE_NEWUSER
    child = fork()
    if child == 0:
        os._exit(ctypes.get_errno() if libc.unshare(wanted) else 0)
    _, status = os.waitpid(child, 0)
    failed = os.waitstatus_to_exitcode(status)
    return os.strerror(failed) if failed else None
