"""Git, in the few sentences that hive needs.

Repos of hive's own (applied, meta) are read as git's files backend lays them: a ref is a file, or a
line of `packed-refs`; an object that lies loose is a file too, and so is the index; so a look
starts no program. What a commit holds never changes, so it is read once. Everything that changes a
repo is git's own doing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from hive.adapters import index, loose, refs, streams, weight
from hive.adapters.files import ANY, Files, told
from hive.adapters.gitsafe import ENVIRONMENT, ON_A_COPY, broken, said
from hive.adapters.held import Held
from hive.adapters.hostile import HostileRepo
from hive.adapters.shell import QUICK, Ran, Shell
from hive.adapters.streams import RefMove
from hive.adapters.wipe import nothing
from hive.domain.names import Rev
from hive.errors import CommandFailed, HiveError, Refused, Transient

FETCH = timedelta(minutes=10)
MAIN = "refs/heads/main"

log = logging.getLogger(__name__)

ROOT = ""
"""The path of all that a commit holds: what is held of it is the tree's id."""
PREFIX = re.compile(r"[0-9a-f]{7,40}", re.ASCII)
PLAIN = "* -text -ident !filter !working-tree-encoding\n"
"""Attributes that a fetched tree is shown with, whatever it says: to the letter, or it never looks
clean. In `.git/info` they outrank the tree's own."""


@dataclass(frozen=True, slots=True)
class Git:
    """Raises what the door raises; `Refused` where a repo is not what it must be."""

    shell: Shell
    program: str = "git"
    check: Callable[[], None] = nothing
    """Asked while hive itself copies a repo; raises to end that."""
    held: Held = field(default_factory=Held)
    """What commits hold, as all know it that share this."""
    _parents: dict[Rev, Rev | None] = field(default_factory=dict)
    _subjects: dict[tuple[Rev, str], str | None] = field(default_factory=dict)

    # Looking.

    def is_repo(self, repo: Path) -> bool:
        with told():
            return (repo / ".git" / "HEAD").is_file()

    def ref(self, repo: Path, name: str) -> Rev | None:
        """The commit that `name` points at, or None."""
        return self.refs(repo, name).get(name)

    def refs(self, repo: Path, under: str = "refs/") -> dict[str, Rev]:
        """Every ref that is `under` or lies below it; a loose one stands before a packed one."""
        home = repo / ".git"
        with told():
            if (home / "reftable").exists():
                raise Refused(
                    f"{repo} keeps its refs in a reftable",
                    code="foreign-repo",
                    hint="hive makes its repos with the files backend: `git refs migrate`",
                )
            return refs.refs(home, under)

    def file(self, repo: Path, rev: Rev, path: str) -> str | None:
        """What `path` holds in `rev`, or None. Content never changes, so it is read once."""
        return self.files(repo, rev, path)[0]

    def files(self, repo: Path, rev: Rev, *paths: str) -> tuple[str | None, ...]:
        """What each of the paths holds in `rev`, by one program at most."""
        known = self.held.known(*((rev, path) for path in paths))
        unknown = [path for path in paths if (rev, path) not in known]
        with suppress(loose.Unknown):
            read = {(rev, path): loose.file(repo / ".git", rev, path) for path in unknown}
            self.held.learn(read)
            known, unknown = known | read, []
        if unknown:
            asked = "".join(f"{rev}:{path}\n" for path in unknown)
            raw = self._run(repo, "cat-file", "--batch", stdin=asked.encode()).raw
            for path in unknown:
                known[rev, path], raw = streams.blob(raw)
            if any(text is not None for text in known.values()):  # the commit itself is there
                self.held.learn(known)
        return tuple(known[rev, path] for path in paths)

    def parent(self, repo: Path, rev: Rev) -> Rev | None:
        """The first parent of a commit."""
        if rev not in self._parents:
            with suppress(loose.Unknown):
                self._parents[rev] = loose.commit(repo / ".git", rev).parent
        if rev not in self._parents:
            ran = self._run(repo, "rev-list", "--parents", "--max-count=1", rev, "--")
            revs = ran.out.split()
            self._parents[rev] = Rev(revs[1]) if len(revs) > 1 else None
        return self._parents[rev]

    def corpses(self, repo: Path) -> tuple[Path, ...]:
        """What a git that is at work, or was killed, keeps others out with, or has half made."""
        with told():
            return tuple(refs.corpses(repo / ".git"))

    def is_clean(self, repo: Path) -> bool:
        """The index and the tree show what HEAD names, and nothing else.

        Git is asked where they do not, or that is not sure from the index alone.
        """
        with suppress(loose.Unknown):
            index.expect_clean(repo, lambda rev: self._tree(repo, rev))
            return True
        status = ("status", "--porcelain=v2", "--untracked-files=all", "--ignore-submodules=all")
        return not self._run(repo, *status).raw

    def _tree(self, repo: Path, rev: Rev) -> str:
        """The id of all that the commit holds, where that is known without a program."""
        known = self.held.known((rev, ROOT)).get((rev, ROOT))
        return known or loose.commit(repo / ".git", rev).tree

    def subjects(self, repo: Path, ref: str) -> tuple[str, ...]:
        """First lines of the commits of `ref`, newest first."""
        said = self._run(repo, "log", "--first-parent", "--format=%s", ref, "--").out
        return tuple(said.removesuffix("\n").split("\n"))

    def newest_subject(self, repo: Path, rev: Rev, begins: str) -> str | None:
        """The newest first line, from `rev` back, that begins with these words."""
        if (rev, begins) not in self._subjects:
            with suppress(loose.Unknown):
                subjects = (one.subject for one in loose.history(repo / ".git", rev))
                loose_ones = (subject for subject in subjects if subject.startswith(begins))
                self._subjects[rev, begins] = next(loose_ones, None)
        if (rev, begins) not in self._subjects:
            words = ("--format=%s", "--first-parent", "--fixed-strings", f"--grep={begins}")
            said = self._run(repo, "log", *words, rev, "--").out.split("\n")  # bodies count for it
            found = (subject for subject in said if subject.startswith(begins))
            self._subjects[rev, begins] = next(found, None)
        return self._subjects[rev, begins]

    def is_ancestor(self, repo: Path, older: Rev, newer: Rev) -> bool:
        """`newer` holds all that `older` does."""
        words = ("merge-base", "--is-ancestor", older, newer)
        return self._run(repo, *words, accept=(0, 1)).exit_code == 0

    def commits(self, repo: Path, since: Rev, until: Rev) -> tuple[str, ...]:
        """Commits of `until` that `since` has not, newest first: short rev and first line."""
        words = ("log", "--format=%h %s", f"{since}..{until}", "--")
        return tuple(self._run(repo, *words).out.splitlines())

    def changes(self, repo: Path, before: Rev, after: Rev) -> str:
        """What differs between two trees, as a patch; nothing of the repo's attributes is run."""
        plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
        return self._run(repo, "diff", *plain, before, after, "--").out

    def changed_files(self, repo: Path, before: Rev, after: Rev) -> tuple[tuple[str, str], ...]:
        """Letter and path of each file that differs: A, D, M or T."""
        words = ("diff", "--no-ext-diff", "--no-renames", "--name-status", "-z", before, after)
        said = self._run(repo, *words, "--").out.split("\0")
        return tuple(zip(said[0::2], said[1::2], strict=False))

    def config_value(self, config: bytes, key: str) -> str | None:
        """A key of a config that was read as bytes: no repo is entered, nothing is included."""
        look = ("config", "--no-includes", "--file", "-", "--get", key)
        ran = self._run(None, *look, stdin=config, accept=(0, 1, 128))
        return ran.out.rstrip("\n") if ran.exit_code == 0 else None

    # Acting.

    def init(self, repo: Path) -> None:
        """A new repo with a tree, whose main has no commit yet; from no template."""
        self._run(None, "init", "--quiet", "--template=", "--initial-branch=main", repo)

    def set_config(self, config: Path, key: str, value: str) -> None:
        """The key has this value, and no other beside it."""
        self._run(None, "config", "--file", config, "--replace-all", key, value)

    def commit(
        self,
        repo: Path,
        ref: str,
        files: Mapping[str, str],
        *,
        parent: Rev | None,
        subject: str,
        at: datetime | None,
    ) -> Rev:
        """A commit of exactly these files on `ref`, in one atomic effect, whatever `ref` was.

        Without an instant the date is fixed: the same content is then the same commit.
        """
        fast = ("fast-import", "--quiet", "--force", "--date-format=raw")
        stream = streams.commit(ref, files, parent=parent, subject=subject, at=at)
        try:
            self._run(repo, *fast, stdin=stream)
        except HiveError:
            with told():
                refs.clear_reports(repo / ".git")
            raise
        made = self.ref(repo, ref)
        if made is None:
            raise Transient(f"git made no commit on {ref} of {repo}", code="git-failed")
        self.held.learn({(made, path): text for path, text in files.items()})
        self._parents[made] = parent
        return made

    def fetch(
        self,
        repo: Path,
        source: HostileRepo,
        *refspecs: str,
        scratch: Path,
        reads: Sequence[str] = (),
    ) -> None:
        """Branches and commits of a repo that someone else writes: no tags, no submodules.

        git reads a copy, which is made in `scratch` and removed. The tree that is then reset to
        what was fetched is shown to the letter. `reads` are files of the commits that will be
        looked at: where they lie loose in the copy, no program is asked for them later.
        """
        with self._copied(source, scratch):
            self.show_plainly(repo)
            fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
            where = ("--update-head-ok", "--no-write-fetch-head", "--", scratch / ".git")
            self._read(source, repo, *fetch, *where, *refspecs)
            for rev in {spec.partition(":")[0] for spec in refspecs}:
                with suppress(loose.Unknown):
                    found = {path: loose.file(scratch / ".git", rev, path) for path in reads}
                    found[ROOT] = loose.commit(scratch / ".git", rev).tree
                    self.held.learn({(Rev(rev), path): text for path, text in found.items()})

    def resolve(self, source: HostileRepo, prefix: str, *, scratch: Path) -> Rev:
        """The one commit whose id begins with these 7 to 40 hex digits; names mean nothing."""
        if not PREFIX.fullmatch(prefix):
            hint = "7 to 40 of 0-9a-f; a branch or a tag can move, so it is not taken"
            raise Refused(f"{prefix!r} is not a commit's id", code="bad-rev", hint=hint)
        if Rev.pattern.fullmatch(prefix) and source.has_commit(prefix):
            return Rev(prefix)
        with self._copied(source, scratch) as objects:
            found = {rev: one.kind for rev, one in objects.items() if rev.startswith(prefix)}
        return _the_commit(prefix, found, source)

    @contextmanager
    def _copied(self, source: HostileRepo, scratch: Path) -> Iterator[weight.Objects]:
        """What the copy in `scratch` holds, and git may unpack."""
        files = Files()
        files.wipe(scratch)
        try:
            source.copy(scratch, self.check)
            yield self._weighed(source, scratch)
        finally:
            files.wipe(scratch)

    def _weighed(self, source: HostileRepo, copy: Path) -> weight.Objects:
        every = ("cat-file", "--batch-all-objects", f"--batch-check={weight.FORMAT}")
        found = weight.objects(self._read(source, copy, *every).raw)
        weight.expect_light(found)
        if trees := weight.heavy_trees(found):
            asked = "".join(f"{name}\n" for name in trees).encode()
            ran = self._read(source, copy, "cat-file", "--batch", "--buffer", stdin=asked)
            weight.expect_showable(ran.raw, found)
        return found

    def _read(
        self, source: HostileRepo, repo: Path, *words: str | Path, stdin: bytes | None = None
    ) -> Ran:
        """By a git that reads the copy of `source`; what it cannot take is the source's fault."""
        try:
            return self._run(repo, *words, stdin=stdin, within=FETCH, env=ON_A_COPY)
        except CommandFailed as failed:
            raise broken(failed, source) from None

    def move(self, repo: Path, *moves: RefMove) -> None:
        """All of these, or none."""
        self._run(repo, "update-ref", "--stdin", stdin=streams.moves(moves))

    def annotate(self, repo: Path, name: str, rev: Rev, body: str, *, at: datetime) -> None:
        """An annotated tag with this text, which is no one's argument."""
        words = ("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, rev)
        date = {"GIT_COMMITTER_DATE": f"{int(at.timestamp())} +0000"}
        self._run(repo, *words, stdin=body.encode(errors=ANY), env=ENVIRONMENT | date)

    def show_plainly(self, repo: Path) -> None:
        """Its trees are shown to the letter, whatever attributes they hold."""
        files, attributes = Files(), repo / ".git" / "info" / "attributes"
        if files.exists(repo / ".git") and files.read(attributes) != PLAIN:
            files.write(attributes, PLAIN)

    def reset_tree(self, repo: Path, ref: str = MAIN) -> None:
        """The index and the tree show `ref`."""
        self._run(repo, "read-tree", "--reset", "-u", ref)

    def clear_corpses(self, repo: Path) -> tuple[Path, ...]:
        """Only for who holds the lock that covers the repo: then no git is at work there."""
        corpses = self.corpses(repo)
        with told():
            for corpse in corpses:
                corpse.unlink(missing_ok=True)
                log.warning("git.corpse-removed path=%s", corpse)
        return corpses

    def url(self, repo: Path) -> str:
        """The flake reference of a repo on this host, without a rev."""
        return f"git+file://{quote(os.fsencode(repo))}"

    def _run(
        self,
        repo: Path | None,
        *words: str | Path,
        stdin: bytes | None = None,
        within: timedelta = QUICK,
        accept: Sequence[int] = (0,),
        env: Mapping[str, str] = ENVIRONMENT,
    ) -> Ran:
        # Named, not discovered: a folder without a repo may lie in the tree of another one.
        where = ("-C", repo, "--git-dir=.git") if repo else ("-C", "/")
        argv = (self.program, *where, *words)
        try:
            return self.shell.run(
                *argv, env=env, stdin=stdin, within=within, accept=accept, quiet=True
            )
        except CommandFailed as failed:
            raise said(failed, repo) from None


def _the_commit(prefix: str, found: Mapping[str, str], source: HostileRepo) -> Rev:
    commits = [rev for rev, kind in found.items() if kind == "commit"]
    if len(commits) > 1:
        hint = "give more digits"
        raise Refused(
            f"{len(commits)} commits begin with {prefix}", code="ambiguous-rev", hint=hint
        )
    if commits:
        return Rev(commits[0])
    if found:
        kind = next(iter(found.values()))
        hint = "give the id of a commit: `git rev-parse HEAD` says it"
        raise Refused(f"{prefix} is a {kind}", code="not-a-commit", hint=hint)
    hint = "commit it there first; `git log` shows what there is"
    raise Refused(f"{source.home} has no commit {prefix}", code="no-such-rev", hint=hint)
