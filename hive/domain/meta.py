"""The meta flake as a value: what it pins, how it is written in nix, and how it is read back.

One flake a node: an input for each base in use, an input for each agent pinned by `?rev=` in the
text (so that `nix flake lock` alone is enough on every nix, and the text says what runs), and
`nixosConfigurations.<agent>` for each agent. `parse(render(meta)) == meta`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Self

from hive.domain.agent import Variables
from hive.domain.names import AgentName, Rev
from hive.domain.ports import DASHBOARD_PORT, port_of
from hive.errors import Refused

FLAKE, LOCK = "flake.nix", "flake.lock"


@dataclass(frozen=True, slots=True, order=True)
class Base:
    """A base flake at one revision: `base-<rev12>`, or the narHash's digits where it has none."""

    label: str
    url: str
    """Locked: carries a rev or a narHash."""
    origin: str
    """What it was pinned from: the reference that an operator set."""


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One agent's part of the meta flake."""

    agent: AgentName
    url: str
    """`git+file://…/applied/<agent>`, without the rev."""
    rev: Rev
    base: str
    """The label of a `Base`."""
    environment: Variables

    @property
    def configuration(self) -> str:
        return "manager" if self.agent.is_manager else "agent-base"

    @classmethod
    def of(
        cls, agent: AgentName, *, url: str, rev: Rev, base: str, overrides: Variables = ()
    ) -> Self:
        """The block of `agent`, with the identity that its harness is told."""
        return cls(agent, url, rev, base, tuple(sorted((*identity(agent), *overrides))))


def identity(agent: AgentName) -> Variables:
    return (
        ("HIVE_DASHBOARD_PORT", str(DASHBOARD_PORT)),
        ("HIVE_LABEL", str(agent)),
        ("HIVE_PORT", str(port_of(agent))),
    )


@dataclass(frozen=True, slots=True)
class Meta:
    """All that a node's meta flake says."""

    bases: tuple[Base, ...] = field(default=())
    blocks: tuple[Block, ...] = field(default=())

    def block(self, agent: AgentName) -> Block | None:
        return next((block for block in self.blocks if block.agent == agent), None)

    def base(self, label: str) -> Base:
        return next(base for base in self.bases if base.label == label)

    def base_from(self, origin: str) -> Base | None:
        """A base that was pinned from `origin`: what a new agent stands on, if there is one."""
        return next((base for base in self.bases if base.origin == origin), None)

    def with_block(self, block: Block, base: Base) -> Meta:
        """This, with one agent's block changed and no base that nobody stands on.

        A label that others use for another base gets a number: two flakes of one commit.
        """
        others = self.without(block.agent)
        taken = {other.label: other for other in others.bases}
        labels = (base.label, *(f"{base.label}-{n}" for n in range(2, len(taken) + 3)))
        named = (replace(base, label=label) for label in labels)
        mine = next(one for one in named if taken.get(one.label, one) == one)
        blocks = (*others.blocks, replace(block, base=mine.label))
        return Meta((*others.bases, mine), blocks)._tidy()

    def without(self, agent: AgentName) -> Meta:
        return replace(
            self, blocks=tuple(block for block in self.blocks if block.agent != agent)
        )._tidy()

    def _tidy(self) -> Meta:
        used = {block.base for block in self.blocks}
        kept = {base.label: base for base in self.bases if base.label in used}
        return Meta(tuple(sorted(kept.values())), tuple(sorted(self.blocks)))


_DEPLOY: Final = re.compile(r"deploy (\S+) deployed/(\d{1,18})(?: .*)?")


def deploy_named(subject: str) -> tuple[str, int] | None:
    """Agent and number of a commit `deploy <agent> deployed/<id> <sha12>`; None of any other."""
    found = _DEPLOY.fullmatch(subject)
    return (found[1], int(found[2])) if found else None


def quoted(text: str) -> str:
    r"""A nix string literal: `\`, `"` and `${` escaped, line breaks too."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def unquoted(literal: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), literal[1:-1], flags=re.DOTALL)


def render(meta: Meta) -> str:
    return "\n".join(_lines(meta)) + "\n"


def _lines(meta: Meta) -> Iterator[str]:
    yield "# Rendered by hive; the next job writes it anew. `git log` here is the trail of deploys."
    yield "{"
    yield '  description = "hyperhive: the agents of this node";'
    yield "  inputs = {"
    for base in meta.bases:
        yield f"    {quoted(base.label)}.url = {quoted(base.url)};"
    for block in meta.blocks:
        pinned = f"{block.url}?rev={block.rev}"
        yield f"    {quoted(f'agent-{block.agent}')}.url = {quoted(pinned)};"
    yield "  };"
    yield "  outputs = inputs: {"
    yield "    hive.origins = {"
    for base in meta.bases:
        yield f"      {quoted(base.label)} = {quoted(base.origin)};"
    yield "    };"
    yield "    nixosConfigurations = {"
    for block in meta.blocks:
        yield from _configuration(block)
    yield "    };"
    yield "  };"
    yield "}"


def _configuration(block: Block) -> Iterator[str]:
    base = f"inputs.{quoted(block.base)}.nixosConfigurations.{block.configuration}"
    yield f"      {quoted(block.agent)} = {base}.extendModules {{"
    yield "        modules = ["
    yield f"          inputs.{quoted(f'agent-{block.agent}')}.nixosModules.default"
    yield "          {"
    yield f"            programs.git.config.user.name = {quoted(block.agent)};"
    yield f"            programs.git.config.user.email = {quoted(f'{block.agent}@hyperhive')};"
    for key, value in block.environment:
        yield f"            systemd.services.hive-agent.environment.{key} = {quoted(value)};"
    yield "          }"
    yield "        ];"
    yield "      };"


_STRING: Final = r'("(?:[^"\\]|\\.)*")'
_INPUT: Final = re.compile(rf"    {_STRING}\.url = {_STRING};")
_ORIGIN: Final = re.compile(rf"      {_STRING} = {_STRING};")
_AGENT: Final = re.compile(
    rf"      {_STRING} = inputs\.{_STRING}\.nixosConfigurations\.[a-z-]+\.extendModules \{{"
)
_VARIABLE: Final = re.compile(
    rf"            systemd\.services\.hive-agent\.environment\.([A-Z_][A-Z0-9_]*) = {_STRING};"
)


@lru_cache(maxsize=8)
def parse(text: str) -> Meta:
    """Read back what `render` wrote; anything else is refused, for hive must not guess here.

    Remembered: each step of a job looks at it, and of many agents it is long.
    """
    inputs: dict[str, str] = {}
    origins: dict[str, str] = {}
    agents: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    variables: list[tuple[str, str]] = []
    for line in text.split("\n"):
        if found := _INPUT.fullmatch(line):
            inputs[unquoted(found[1])] = unquoted(found[2])
        elif found := _AGENT.fullmatch(line):
            variables = []
            agents[unquoted(found[1])] = (unquoted(found[2]), variables)
        elif found := _VARIABLE.fullmatch(line):
            variables.append((found[1], unquoted(found[2])))
        elif found := _ORIGIN.fullmatch(line):
            origins[unquoted(found[1])] = unquoted(found[2])
    try:
        meta = Meta(
            tuple(sorted(Base(label, inputs[label], origins[label]) for label in origins)),
            tuple(
                sorted(
                    _block(AgentName(name), inputs[f"agent-{name}"], base, variables)
                    for name, (base, variables) in agents.items()
                )
            ),
        )
    except KeyError as missing:
        raise _foreign(f"it names {missing} and does not define it") from None
    except Refused as refused:
        raise _foreign(refused.message) from None
    if render(meta) != text:
        raise _foreign("its text is not what hive renders")
    return meta


def _block(agent: AgentName, url: str, base: str, variables: list[tuple[str, str]]) -> Block:
    at, _, rev = url.rpartition("?rev=")
    return Block(agent, at, Rev(rev), base, tuple(variables))


def _foreign(because: str) -> Refused:
    return Refused(
        f"the meta flake was not written by this hive: {because}",
        code="foreign-meta",
        hint="see its `git log`, and move it away",
    )
