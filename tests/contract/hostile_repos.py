"""A table of hostile repos: what each does to an ordinary one, and what may come of a fetch.

`trap` is a program that must not run, `other` a repo that must not be read.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.contract import ground
from tests.contract.git_samples import by_hand, main_of


@dataclass(frozen=True, slots=True)
class Scene:
    """What a hostile repo is made of."""

    repo: Path
    other: Path
    trap: Path

    @property
    def git(self) -> Path:
        return self.repo / ".git"

    @property
    def main(self) -> Path:
        return self.git / "refs" / "heads" / "main"

    def packed(self) -> Path:
        """Its one pack, without any loose object."""
        by_hand(self.repo, "repack", "-adq")
        (pack,) = (self.git / "objects" / "pack").glob("*.pack")
        return pack

    def store(self, kind: str, data: bytes, *, claim: int | None = None, name: str = "") -> str:
        """A loose object, be it what git would not make; `claim` is the size it says it has."""
        raw = f"{kind} {len(data) if claim is None else claim}\0".encode() + data
        name = name or hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        at = self.git / "objects" / name[:2] / name[2:]
        at.parent.mkdir(exist_ok=True)
        at.unlink(missing_ok=True)
        at.write_bytes(zlib.compress(raw))
        return name

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        lines = (f"{m} ".encode() + n + b"\0" + bytes.fromhex(one) for m, n, one in entries)
        return self.store("tree", b"".join(lines))

    def commit(self, tree: str, more: bytes = b"") -> str:
        """On main, as its whole history."""
        who = "Ann <ann@example.org> 1 +0000"
        head = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n".encode()
        rev = self.store("commit", head + b"odd\n" + more)
        self.main.write_text(f"{rev}\n")
        return rev


Make = Callable[[Scene], object]
#: What it does, and the codes that it may be refused with; none where the fetch must be right.
HOSTILE: dict[str, tuple[Make, set[str]]] = {}
SECRET = "not the manager's"


def hostile(*codes: str) -> Callable[[Make], Make]:
    def note(make: Make) -> Make:
        HOSTILE[make.__name__] = (make, set(codes))
        return make

    return note


# Programs.


@hostile()
def every_hook(scene: Scene) -> None:
    (scene.git / "hooks").mkdir()
    for hook in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        (scene.git / "hooks" / hook).symlink_to(scene.trap)


@hostile()
def a_config_of_programs(scene: Scene) -> None:
    (scene.git / "config").write_text(
        "[core]\nrepositoryFormatVersion = 1\n"
        + "".join(f"{key} = {scene.trap}\n" for key in ("fsmonitor", "sshCommand", "gitProxy"))
        + f"[core]\nalternateRefsCommand = {scene.trap}\nhooksPath = {scene.trap.parent}\n"
        + f"[uploadpack]\npackObjectsHook = {scene.trap}\n[credential]\nhelper = {scene.trap}\n"
        + f'[extensions]\npartialClone = evil\n[remote "evil"]\nurl = ext::{scene.trap}\n'
    )


@hostile()
def a_config_that_includes_what_never_ends(scene: Scene) -> None:
    os.mkfifo(scene.git / "pipe")
    (scene.git / "config").write_text("[include]\npath = pipe\n")


@hostile()
def a_config_that_is_none(scene: Scene) -> None:
    (scene.git / "config").write_bytes(b"[\0\xff")


@hostile()
def attributes_with_filters(scene: Scene) -> None:
    for key in ("clean", "smudge", "process"):
        by_hand(scene.repo, "config", f"filter.evil.{key}", str(scene.trap))
    text = b"* filter=evil diff=evil merge=evil text eol=crlf working-tree-encoding=UTF-16\n"
    one = scene.store("blob", text)
    (scene.git / "info").mkdir(exist_ok=True)
    (scene.git / "info" / "attributes").write_bytes(text)
    scene.commit(scene.tree(("100644", b".gitattributes", one), ("100644", b"file", one)))


@hostile("unsafe-repo")
def a_submodule_with_an_option_for_a_url(scene: Scene) -> None:
    text = f'[submodule "m"]\n\tpath = m\n\turl = --upload-pack={scene.trap}\n'
    modules = scene.store("blob", text.encode())
    link = ("160000", b"m", main_of(scene.other))
    scene.commit(scene.tree(("100644", b".gitmodules", modules), link))


@hostile()
def a_submodule(scene: Scene) -> None:
    text = f'[submodule "m"]\n\tpath = m\n\turl = {scene.other}\n'
    modules = scene.store("blob", text.encode())
    link = ("160000", b"m", main_of(scene.other))
    scene.commit(scene.tree(("100644", b".gitmodules", modules), link))


# Elsewhere.


@hostile("unsafe-repo")
def alternates(scene: Scene) -> None:
    (scene.git / "objects" / "info").mkdir(exist_ok=True)
    (scene.git / "objects" / "info" / "alternates").write_text(f"{scene.other}/.git/objects\n")


@hostile("unsafe-repo")
def alternates_far_away(scene: Scene) -> None:
    (scene.git / "objects" / "info").mkdir(exist_ok=True)
    (scene.git / "objects" / "info" / "http-alternates").write_text("http://127.0.0.1:9/\n")


@hostile("unsafe-repo")
def a_gitdir_file(scene: Scene) -> None:
    scene.git.rename(scene.repo / "mine")
    scene.git.write_text(f"gitdir: {scene.other}/.git\n")


@hostile("unsafe-repo")
def a_commondir(scene: Scene) -> None:
    (scene.git / "commondir").write_text(f"{scene.other}/.git\n")


def _link(scene: Scene, path: str) -> None:
    """In place of what is there, to the same of the other repo."""
    at = scene.git / path
    at.rename(scene.repo / "mine")
    at.symlink_to(scene.other / ".git" / path)


@hostile("unsafe-repo")
def a_link_for_a_repo(scene: Scene) -> None:
    _link(scene, "")


@hostile("unsafe-repo")
def a_link_for_objects(scene: Scene) -> None:
    _link(scene, "objects")


@hostile("unsafe-repo")
def a_link_for_a_folder_of_packs(scene: Scene) -> None:
    _link(scene, "objects/pack")


@hostile("unsafe-repo")
def links_for_packs(scene: Scene) -> None:
    by_hand(scene.other, "repack", "-adq")
    for file in (scene.other / ".git" / "objects" / "pack").iterdir():
        (scene.git / "objects" / "pack" / file.name).symlink_to(file)


@hostile("unsafe-repo")
def a_link_for_an_object(scene: Scene) -> None:
    rev = main_of(scene.other)
    at = scene.git / "objects" / rev[:2] / rev[2:]
    at.parent.mkdir(exist_ok=True)
    at.symlink_to(scene.other / ".git" / "objects" / rev[:2] / rev[2:])


@hostile("unsafe-repo")
def a_link_for_a_branch(scene: Scene) -> None:
    _link(scene, "refs/heads/main")


@hostile("unsafe-repo")
def a_link_for_branches(scene: Scene) -> None:
    _link(scene, "refs/heads")


@hostile("unsafe-repo")
def a_link_for_refs(scene: Scene) -> None:
    _link(scene, "refs")


@hostile("unsafe-repo")
def a_link_for_packed_refs(scene: Scene) -> None:
    (scene.git / "packed-refs").symlink_to("/dev/zero")


@hostile("no-such-ref")
def a_branch_that_names_a_file_outside(scene: Scene) -> None:
    scene.main.write_text("ref: ../../x\n")


@hostile("no-such-ref")
def a_branch_that_names_a_branch_of_another(scene: Scene) -> None:
    scene.main.write_text(f"ref: {scene.other}/.git/refs/heads/main\n")


@hostile()
def a_branch_that_names_a_branch(scene: Scene) -> None:
    scene.main.rename(scene.main.with_name("other"))
    scene.main.write_text("ref: refs/heads/other\n")


@hostile("no-such-ref")
def a_branch_that_names_itself(scene: Scene) -> None:
    scene.main.write_text("ref: refs/heads/main\n")


@hostile("no-such-ref", "unsafe-repo")
def a_branch_that_names_what_another_repo_has(scene: Scene) -> None:
    scene.main.write_text(f"{main_of(scene.other)}\n")


@hostile("no-such-ref", "unsafe-repo")
def a_branch_that_names_a_file(scene: Scene) -> None:
    scene.main.write_text(by_hand(scene.repo, "rev-parse", "HEAD:flake.nix") + "\n")


# What never ends, or is no file.


@hostile("unsafe-repo")
def a_pipe_for_a_branch(scene: Scene) -> None:
    os.mkfifo(scene.main.with_name("pipe"))


@hostile("unsafe-repo")
def a_pipe_for_an_object(scene: Scene) -> None:
    (scene.git / "objects" / "00").mkdir()
    os.mkfifo(scene.git / "objects" / "00" / ("0" * 38))


@hostile("unsafe-repo")
def a_pipe_for_a_pack(scene: Scene) -> None:
    os.mkfifo(scene.git / "objects" / "pack" / "pack-1.pack")


@hostile("unsafe-repo")
def a_device_for_a_branch(scene: Scene) -> None:
    ground.make_device(scene.main.with_name("device"))


@hostile("unsafe-repo")
def a_socket_for_a_branch(scene: Scene) -> None:
    before = Path.cwd()
    os.chdir(scene.main.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    os.chdir(before)


@hostile("too-large")
def a_branch_without_end(scene: Scene) -> None:
    with scene.main.open("wb") as file:
        file.truncate(1 << 40)


@hostile("too-large")
def packed_refs_without_end(scene: Scene) -> None:
    with (scene.git / "packed-refs").open("wb") as file:
        file.truncate(1 << 40)


# What unpacks to too much.


@hostile("too-large")
def a_file_of_zeros(scene: Scene) -> None:
    scene.commit(scene.tree(("100644", b"zeros", scene.store("blob", bytes((1 << 26) + 1)))))


@hostile("too-large")
def a_packed_file_of_zeros(scene: Scene) -> None:
    a_file_of_zeros(scene)
    scene.packed()


@hostile("too-large")
def a_file_that_claims_to_be_huge(scene: Scene) -> None:
    scene.commit(scene.tree(("100644", b"file", scene.store("blob", b"x", claim=1 << 50))))


@hostile("unsafe-repo")
def a_file_that_claims_to_be_small(scene: Scene) -> None:
    one = scene.store("blob", bytes(1 << 26), claim=1)
    scene.commit(scene.tree(("100644", b"file", one)))


@hostile("too-large", "unsafe-repo")
def a_file_made_from_a_huge_one_that_no_index_names(scene: Scene) -> None:
    """Nobody hears of the base of a delta before git unpacks it: there git's own limit holds."""
    size = 300 << 20
    result = b"x" * 100
    delta = _number(size) + _number(len(result)) + bytes([len(result)]) + result
    pack = bytearray(b"PACK" + struct.pack(">II", 2, 2))
    pack += _head(3, size)
    packer = zlib.compressobj(1)
    pack += b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    at = len(pack)
    pack += _head(6, len(delta)) + _far(at - 12) + zlib.compress(delta)
    name = hashlib.sha1(b"blob 100\0" + result, usedforsecurity=False).hexdigest()
    _save(scene, bytes(pack), {name: at})
    scene.commit(scene.tree(("100644", b"file", name)))


def _number(value: int) -> bytes:
    """Seven bits at a time, the lowest first."""
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _number(high) if high else bytes([low])


def _head(kind: int, size: int) -> bytes:
    low, high = kind << 4 | size & 0xF, size >> 4
    return bytes([low | 0x80]) + _number(high) if high else bytes([low])


def _far(back: int) -> bytes:
    """How far back the base of a delta is."""
    said = [back & 0x7F]
    while back := back >> 7:
        back -= 1
        said.insert(0, back & 0x7F | 0x80)
    return bytes(said)


def _save(scene: Scene, pack: bytes, names: dict[str, int]) -> None:
    """The pack, and an index of just these names; so git counts as many objects in each."""
    (name,) = names
    pack = pack[:8] + struct.pack(">I", len(names)) + pack[12:]
    end = hashlib.sha1(pack, usedforsecurity=False).digest()
    first = int(name[:2], 16)
    fan = b"".join(struct.pack(">I", int(n >= first)) for n in range(256))
    index = b"\xfftOc" + struct.pack(">I", 2) + fan + bytes.fromhex(name) + bytes(4)
    index += struct.pack(">I", names[name]) + end
    index += hashlib.sha1(index, usedforsecurity=False).digest()
    at = scene.git / "objects" / "pack" / f"pack-{end.hex()}.pack"
    at.write_bytes(pack + end)
    at.with_suffix(".idx").write_bytes(index)


@hostile("too-large")
def a_tree_that_holds_another_many_times_over_and_over(scene: Scene) -> None:
    one = scene.tree(("100644", b"f", scene.store("blob", b"x")))
    for _ in range(10):
        one = scene.tree(*(("40000", b"%d" % n, one) for n in range(10)))
    scene.commit(one)


@hostile("too-large")
def a_file_that_is_shown_many_times(scene: Scene) -> None:
    zeros = scene.store("blob", bytes(1 << 25))
    scene.commit(scene.tree(*(("100644", b"%02d" % n, zeros) for n in range(99))))


@hostile("too-large")
def many_names_of_one_file(scene: Scene) -> None:
    one = scene.store("blob", b"")
    scene.commit(scene.tree(*(("100644", b"%06d" % n, one) for n in range(150_000))))


@hostile("too-large")
def folders_in_folders(scene: Scene) -> None:
    one = scene.tree(("100644", b"f", scene.store("blob", b"x")))
    for _ in range(300):
        one = scene.tree(("40000", b"d", one))
    scene.commit(one)


@hostile("unsafe-repo")
def a_tree_that_holds_itself(scene: Scene) -> None:
    """No hash allows that; but git believes a name until it reads what has it."""
    one = "12" * 20
    entries = (b"40000 %d\0" % n + bytes.fromhex(one) for n in range(3000))
    scene.store("tree", b"".join(entries), name=one)
    scene.commit(one)


# Trees.


def _odd_tree(name: bytes, mode: str = "100644") -> Make:
    def make(scene: Scene) -> None:
        one = scene.store("blob", b"x")
        if mode == "40000":
            one = scene.tree(("100644", b"hooks", one))
        scene.commit(scene.tree((mode, name, one)))

    return make


for odd in (b".git", b".GIT", b"..", b".", b"", b"a/b", b"/etc", b"git~1"):
    HOSTILE[f"a file called {odd!r}"] = (_odd_tree(odd), {"unsafe-repo"})
for odd in (b".git", b"..", b".Git"):
    HOSTILE[f"a folder called {odd!r}"] = (_odd_tree(odd, "40000"), {"unsafe-repo"})
for odd in (b"a\nb", b"-rf", b"--upload-pack=x", b"\xff", b" ", b"*", b"\\", b"x" * 255):
    HOSTILE[f"a file called {odd[:20]!r}"] = (_odd_tree(odd), set())


@hostile()
def links_out_of_the_tree(scene: Scene) -> None:
    for n, to in enumerate(("/etc/passwd", "../../../..", ".git/config", str(scene.other))):
        (scene.repo / f"link-{n}").symlink_to(to)
    by_hand(scene.repo, "add", ".")
    by_hand(scene.repo, "commit", "-qm", "links")


@hostile("unsafe-repo")
def a_link_and_a_folder_of_one_name(scene: Scene) -> None:
    """What would be written into the folder would go where the link leads."""
    to = scene.store("blob", str(scene.other).encode())
    folder = scene.tree(("100644", b"file", scene.store("blob", b"x")))
    scene.commit(scene.tree(("120000", b"a", to), ("40000", b"a", folder)))


@hostile("unsafe-repo")
def a_link_for_gitmodules(scene: Scene) -> None:
    to = scene.store("blob", str(scene.other).encode())
    scene.commit(scene.tree(("120000", b".gitmodules", to)))


@hostile("unsafe-repo")
def a_commit_without_its_tree(scene: Scene) -> None:
    scene.commit("1" * 40)


@hostile("unsafe-repo")
def a_commit_that_is_cut_short(scene: Scene) -> None:
    rev = scene.commit(by_hand(scene.repo, "rev-parse", "HEAD^{tree}"))
    at = scene.git / "objects" / rev[:2] / rev[2:]
    at.write_bytes(at.read_bytes()[:-20])


@hostile("unsafe-repo")
def a_file_that_is_not_what_its_name_says(scene: Scene) -> None:
    one = scene.store("blob", b"x", name="12" * 20)
    scene.commit(scene.tree(("100644", b"file", one)))


# Names of refs, and what git keeps beside them.


@hostile()
def odd_names_of_branches(scene: Scene) -> None:
    rev = main_of(scene.repo)
    names: tuple[str, ...] = (
        "../../x",
        "a b",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a.lock",
        ".a",
        "a@{1}",
        "x:y",
        "é",
    )
    names += ("../heads/main", "/etc/x", "a//b", "a/", "a\x01", "a\\b", "x" * 5000)
    lines = "".join(f"{rev} refs/heads/{name}\n" for name in names)
    lines += f"{rev} /etc/passwd\n{rev} HEAD\n{rev} config\n{rev}\n^{rev}\n\0\n"
    (scene.git / "packed-refs").write_text(lines)
    for name in (b"-x", b"a b", b"a\nb", b"\xff", b"x.lock", b"main.lock"):
        (scene.main.parent / os.fsdecode(name)).write_text(f"{rev}\n")


@hostile()
def packed_refs_that_are_none(scene: Scene) -> None:
    (scene.git / "packed-refs").write_bytes(os.urandom(10_000))


@hostile()
def replaced_objects(scene: Scene) -> None:
    rev = main_of(scene.repo)
    evil = scene.commit(scene.tree(("100644", b"evil", scene.store("blob", SECRET.encode()))))
    scene.main.write_text(f"{rev}\n")
    by_hand(scene.repo, "replace", rev, evil)
    by_hand(scene.repo, "pack-refs", "--all")
    scene.main.write_text(f"{rev}\n")


@hostile()
def grafts(scene: Scene) -> None:
    by_hand(scene.repo, "commit", "--allow-empty", "-qm", "second")
    (scene.git / "info").mkdir(exist_ok=True)
    (scene.git / "info" / "grafts").write_text(f"{main_of(scene.repo)} {'1' * 40}\n")


@hostile("unsafe-repo")
def a_shallow_repo(scene: Scene) -> None:
    by_hand(scene.repo, "commit", "--allow-empty", "-qm", "second")
    before = by_hand(scene.repo, "rev-parse", "HEAD^")
    (scene.git / "shallow").write_text(f"{main_of(scene.repo)}\n")
    (scene.git / "objects" / before[:2] / before[2:]).unlink()


@hostile()
def shallow_nonsense(scene: Scene) -> None:
    (scene.git / "shallow").write_text("../../x\n-\n\0\n" + "1" * 39 + "\n")


@hostile()
def caches_that_lie(scene: Scene) -> None:
    pack = scene.packed()
    for at in ("info/commit-graph", "info/packs", "pack/multi-pack-index"):
        (scene.git / "objects" / at).parent.mkdir(exist_ok=True)
        (scene.git / "objects" / at).write_bytes(b"CGPHMIDX" + os.urandom(1000))
    for kind in (".bitmap", ".rev", ".keep", ".promisor", ".mtimes"):
        pack.with_suffix(kind).unlink(missing_ok=True)
        pack.with_suffix(kind).write_bytes(os.urandom(1000))


@hostile("unsafe-repo", "no-such-ref")
def an_index_that_lies(scene: Scene) -> None:
    index = scene.packed().with_suffix(".idx")
    raw = bytearray(index.read_bytes())
    (count,) = struct.unpack(">I", raw[8 + 255 * 4 : 8 + 256 * 4])
    offsets = 8 + 256 * 4 + count * 24
    raw[offsets : offsets + 4 * count] = struct.pack(">I", 0x7FFFFF00) * count
    index.chmod(0o644)
    index.write_bytes(raw)


@hostile("unsafe-repo", "no-such-ref")
def a_pack_of_noise(scene: Scene) -> None:
    pack = scene.packed()
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:12] + os.urandom(pack.stat().st_size - 12))


@hostile("no-such-ref")
def refs_in_a_reftable(scene: Scene) -> None:
    (scene.git / "reftable").mkdir()
    (scene.git / "config").write_text("[extensions]\nrefStorage = reftable\n")
    scene.main.unlink()


@hostile("no-such-ref", "unsafe-repo")
def no_objects(scene: Scene) -> None:
    (scene.git / "objects").rename(scene.repo / "mine")


@hostile()
def no_head(scene: Scene) -> None:
    (scene.git / "HEAD").unlink()


@hostile()
def a_repo_of_someone_else(scene: Scene) -> None:
    if os.geteuid() == 0:
        for path in (scene.repo, *scene.repo.rglob("*")):
            os.chown(path, 12345, 12345, follow_symlinks=False)
