"""How the nix files can be broken, and what sees it.

Of each file: what stands in it, what takes its place, and the begin of the name of a check that
holds no more. Behind a `!` nothing can be evaluated any more, and nix says these words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Break = tuple[str, str, str]

BREAKS: Final[Mapping[str, tuple[Break, ...]]] = {
    "module/unit.nix": (
        ("lib.getExe' cfg.package \"hive\"", '"hive"', "each unit has an absolute program"),
        (
            "LoadCredential = lib",
            'LoadCredential = [ "more:/run/more" ] ++ lib',
            "without secrets there is no credential",
        ),
        ('"yes"', '"no"', "what containers have bound outlives each unit"),
        ('"mixed"', '"process"', "a daemon says when it is ready, is ended alone, and"),
        ("      pkgs.e2fsprogs\n", "", "programs come from the store, and none from"),
        ("      pkgs.git\n", '      pkgs.git\n      "/run/current-system/sw"\n', "programs come f"),
        ('"%d/${name}"', "name", "a secret comes to each unit as a credential"),
        ('"daemon"', '"auto"', "builds are the daemon's, and nix has a home"),
        ("++ servers", "", "units come after the servers that they need"),
        ('after = [ "hyperhive-migrate.service" ]', "after = [ ]", "the schema comes before any"),
        ('partOf = [ "hyperhive.target" ]', "partOf = [ ]", "the target has all that"),
        ("restartTriggers = [", "restartTriggers = [ ] ++ lib.optionals false [", "a change of"),
        (
            "serviceConfig = import ./hardening.nix //",
            'serviceConfig = removeAttrs (import ./hardening.nix) [ "ProtectClock" ] //',
            "every unit i",
        ),
    ),
    "module/workers.nix": (
        ("drain + 30", "drain", "workers are as many, and as patient, as asked for"),
        ("range 1 count", "range 1 1", "workers are as many, and as patient"),
    ),
    "module/maintenance.nix": (
        (
            "systemd.services.hyperhive-maintenance =",
            'systemd.services.hyperhive.script = ""; systemd.services.hyperhive-maintenance =',
            "a host has these units, and no other of hive's",
        ),
        ("TimeoutStopSec", "WatchdogSec", "only who says each second that it is"),
        (' maintenance"', ' up"', "each unit runs the words that it is there for"),
        ("description =", "descriptions =", "!descriptions' does not exist"),
    ),
    "module/migrate.nix": (
        ("db upgrade", "db check", "each unit runs the words that it is there for"),
    ),
    "module/sweep.nix": (
        ('"15s"', '"1h"', "a sweep comes at boot, and every five minutes"),
    ),
    "module/settings.nix": (
        ("mkIf cfg.enable", "mkIf true", "a host without it has none"),
        ("inherit (cfg) node;", "", "units and operators read the same settings"),
        ("cfg.database.urlFile", "null", "an operator's hive reads the same file"),
        ("cfg.redis.url;", "null;", "a URL without a password is a setting"),
    ),
    "module/host.nix": (
        ("cfg.adminUsers", "[ ]", "operators are who was named, and have hive at hand"),
        ("lib.optional cfg.api.openFirewall port", "[ 7000 ]", "nothing is open until"),
        ("lib.mkForce cfg.", 'lib.mkForce "1min"; #', "a container has ten minutes"),
        ("mkOverride 900", "mkForce", "there are containers, and inotify instances"),
        ("d /etc/nixos", "d /srv/nixos", "what a unit may write to is there before it"),
    ),
    "module/api.nix": (
        ("--listen ", "", "the API answers where it was told to"),
    ),
    "module/databases.nix": (
        ("mkIf cfg.redis.createLocally", "mkIf true", "without a switch there is no server"),
        ("unixSocketPerm = 600", "unixSocketPerm = 666", "Redis listens on no port"),
        ('root hive"', 'root root"', "PostgreSQL knows root as hive, who owns"),
        ("host=/run/", "host=/srv/", "servers of the host's own are reached over"),
    ),
    "module/assertions.nix": (
        ("= config.nix.enable", "= false", "what is well is not refused"),
        (
            'place "redis" cfg.redis',
            'place "redis" (cfg.redis // { url = null; })',
            "refused: a password of Redis in the store",
        ),
        ('lib.hasPrefix "/" file && ', "", "refused: a secret at a relative path"),
        ("[^:]+://[^/@]*:", "x", "refused: a password of the database in the store"),
        ("builtins.storeDir}/", "builtins.storeDir}x", "refused: a secret that lies"),
        ("<= 1", "<= 2", "refused: two places for one Redis"),
        ("cfg.baseFlake != null", "true", "refused: no base"),
        ("!lib.any hasPassword", "!lib.any lib.isList", "refused: a password among the settings"),
        ("= config.nix.enable", "= true", "refused: no nix daemon"),
        ('"22.05"', '"20.05"', "refused: old places of containers"),
        ("-> cfg.api.listen != null", "-> true", "refused: a firewall opened for"),
        (':[0-9]+"', '.*"', "refused: an address without a port"),
        ("cfg.database\n", "cfg.redis\n", "refused: two places for one database"),
    ),
    "hive-ci.nix": (
        ("assertion = !forge.enable", "assertion = true", "refused: a forge, in this version"),
        ("assertion = !ci.enable", "assertion = true", "refused: a runner without a forge"),
        ("ephemeral = false", "ephemeral = true", "the runner keeps its credentials"),
        ("privateNetwork = false", "privateNetwork = true", "the runner keeps its credentials"),
        ("isReadOnly = true", "isReadOnly = false", "of the host it sees one token, to read"),
        ("sandbox-fallback = true", "sandbox-fallback = false", "it builds without a sandbox"),
        ("capacity = ci.concurrency", "capacity = 1", "it registers under its name"),
        ("before = [", "before = [ ] ++ lib.optionals false [", "the token is there before"),
    ),
    "agent-base/harness.nix": (
        ("_: lib.mkDefault", "_: value: value", "!has conflicting definitions"),
        ("_: lib.mkDefault", "_: lib.mkForce", "an operator's word wins over agent"),
        ('"/state";', '"/srv";', "a base is nobody yet, and knows its places"),
        ('        "/run/current-system/sw"\n', "", "what an agent adds to its system"),
        ('"/root/.claude"', '"/root"', "the harness starts where the binds are"),
        ("cfg.command", '"true"', "the harness is hive's own, or what agent.nix"),
    ),
    "agent-base/options.nix": (
        ('hive"} harness', 'hive"} mcp', "the harness is hive's own, or what"),
    ),
    "agent-base/manager.nix": (
        ('      "/meta"\n', "", "the manager has the folders of the others besides"),
    ),
    "agent-base/container.nix": (
        ("isContainer = true", "isContainer = false", "it is a container, by the"),
        ("firewall.enable = false", "firewall.enable = true", "it leaves the"),
        ("networking.hostName", "networking.hostname", "!`networking.hostname' does"),
    ),
    "agent-base/git.nix": (
        ('name = lib.mkDefault "nobody"', 'name = "nobody"', "!conflicting definitions"),
        ("enable = true", "enable = false", "git commits as whom meta names"),
    ),
    "agent-base/claude-code.nix": (
        ("overlays = [", "overlays = lib.optionals false [", "one unfree package is allowed"),
        ('== "claude-code"', '!= ""', "!another-unfree-package"),
        ('== "claude-code"', '== "steam"', "!claude-code is unfree"),
    ),
    "package.nix": (
        ("    nixos-container\n", "", "hive has its own git, nix, nixos-container and systemd"),
        ("HYPERHIVE_GIT ${lib.getExe git}", "HYPERHIVE_GIT git", "git is named by its absolute"),
        ("--require-hashes ", "", "what is installed is what the lock names"),
    ),
    "outputs.nix": (
        ('= basesFor "x86_64-linux"', "= { }", "the flake gives what meta extends"),
        ('    "aarch64-linux"\n', "", "there is a package for each system"),
        ("path:${self.outPath}", "path:.", "one line enables hive: its base is the flake"),
        ("inherit system;\n", 'system = "i686-linux";\n', "a base can be had for another system"),
    ),
}  # fmt: skip
