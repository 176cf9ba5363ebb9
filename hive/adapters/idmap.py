"""Whether a file system can be mounted with mapped ids, found out by trying.

The mount that is tried is never attached to a folder: it lives in a descriptor, and goes with it.
No program does this before util-linux 2.39, so it is three system calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OPEN_TREE, MOUNT_SETATTR = 428, 442  #: the same on every architecture that NixOS runs on
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOUNT_ATTR_IDMAP: Final = 0x0010_0000
CLONE_NEWUSER: Final = 0x1000_0000
IDS: Final = "0 524288 65536"  #: the first range that systemd-nspawn would pick

#: They say something of who asks, or of the path, and nothing of the file system.
NO_ANSWER: Final = frozenset({errno.EPERM, errno.EACCES, errno.ENOENT, errno.ESRCH})


@dataclass(frozen=True, slots=True)
class Works:
    """Containers with user namespaces may bind what lies there."""


@dataclass(frozen=True, slots=True)
class Refuses:
    """The kernel, or this file system, does not do it."""

    because: str


@dataclass(frozen=True, slots=True)
class Untried:
    """It could not be tried."""

    because: str


IdMapping = Works | Refuses | Untried


def idmapped(path: Path) -> IdMapping:
    """Try it on the file system of `path`. Nothing is mounted anywhere, and nobody is left."""
    if sys.platform != "linux":
        return Untried("only Linux has idmapped mounts")
    if os.geteuid() != 0:
        return Untried("it takes root")
    try:
        with _user_namespace() as namespace, _detached(path) as tree:
            return _mapped(tree, namespace)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else f"{error.strerror}"
        return Untried(said) if error.errno in NO_ANSWER else Refuses(said)


def _mapped(tree: int, namespace: int) -> IdMapping:
    attr = struct.pack("=4Q", MOUNT_ATTR_IDMAP, 0, 0, namespace)  # set, clear, propagation, userns
    try:
        _call(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attr, ctypes.c_size_t(len(attr)))
    except OSError as error:
        return Refuses(f"{error.strerror}")
    return Works()


@contextmanager
def _detached(path: Path) -> Iterator[int]:
    """A mount of `path` that no folder shows, and that is gone when its descriptor is closed."""
    tree = _call(OPEN_TREE, AT_FDCWD, os.fsencode(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
    try:
        yield tree
    finally:
        os.close(tree)


@contextmanager
def _user_namespace() -> Iterator[int]:
    """A user namespace with ids of its own, kept by a child that leaves when we close our end."""
    libc = ctypes.CDLL(None, use_errno=True)  # before the fork: after it there is no importing
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = fork()
        if child == 0:
            _keep(libc, ours, theirs)
        try:
            theirs.close()
            _raise_what_was_told(ours.recv(1))
            with _mapped_ids(Path(f"/proc/{child}")) as namespace:
                yield namespace
        finally:
            ours.close()
            os.waitpid(child, 0)


def fork() -> int:
    with warnings.catch_warnings():
        # Python warns where there are threads; the child only makes system calls, and leaves.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _keep(libc: ctypes.CDLL, ours: socket.socket, theirs: socket.socket) -> None:
    """The child's whole life. Its parent's death ends it too: that closes the other end as well."""
    try:
        ours.close()
        failed = ctypes.get_errno() if libc.unshare(CLONE_NEWUSER) else 0
        theirs.send(bytes([failed]))
        theirs.recv(1)
    finally:
        os._exit(0)


def _raise_what_was_told(said: bytes) -> None:
    failed = said[0] if said else errno.ESRCH
    if failed:
        raise OSError(failed, os.strerror(failed), "a user namespace")


@contextmanager
def _mapped_ids(process: Path) -> Iterator[int]:
    for ids in ("uid_map", "gid_map"):
        (process / ids).write_text(IDS)
    namespace = os.open(process / "ns" / "user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield namespace
    finally:
        os.close(namespace)


def _call(number: int, *arguments: object) -> int:
    """A system call for which libc may be too old to have a name."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return result
