# All of nixpkgs that this project's modules use: options of NixOS, packages. The stub knows these
# and refuses every other. What a nixpkgs lacks of it is said by
#
#   nix-instantiate --eval --strict nix/checks -A missing --arg nixpkgs '<nixpkgs>'
{ types }:
let
  # What systemd reads behind an equals sign; a list is the same key several times.
  words =
    with types;
    oneOf [
      bool
      int
      str
      (listOf str)
    ];
in
{
  # `<name>` stands for any name: what is before it is a set of submodules.
  options = with types; {
    "assertions" = listOf raw;
    "boot.enableContainers" = bool;
    "boot.isNspawnContainer" = bool;
    "boot.kernel.sysctl" = attrsOf (nullOr (either bool (either str int)));
    "containers.<name>.autoStart" = bool;
    "containers.<name>.bindMounts.<name>.hostPath" = nullOr str;
    "containers.<name>.bindMounts.<name>.isReadOnly" = bool;
    "containers.<name>.config" = raw;
    "containers.<name>.ephemeral" = bool;
    "containers.<name>.privateNetwork" = bool;
    "environment.etc.<name>.text" = nullOr lines;
    "environment.systemPackages" = listOf package;
    "environment.variables" = attrsOf str;
    "networking.firewall.allowedTCPPorts" = listOf port;
    "networking.firewall.enable" = bool;
    "networking.hostName" = str;
    "networking.useDHCP" = bool;
    "nix.enable" = bool;
    "nix.package" = package;
    "nix.settings" = attrsOf anything;
    "nixpkgs.config" = attrsOf raw;
    "nixpkgs.hostPlatform" = either str (attrsOf raw);
    "nixpkgs.overlays" = listOf raw;
    "programs.git.config" = attrsOf (attrsOf anything);
    "programs.git.enable" = bool;
    "services.gitea-actions-runner.instances.<name>.enable" = bool;
    "services.gitea-actions-runner.instances.<name>.hostPackages" = listOf package;
    "services.gitea-actions-runner.instances.<name>.labels" = listOf str;
    "services.gitea-actions-runner.instances.<name>.name" = str;
    "services.gitea-actions-runner.instances.<name>.settings" = attrsOf anything;
    "services.gitea-actions-runner.instances.<name>.tokenFile" = nullOr str;
    "services.gitea-actions-runner.instances.<name>.url" = str;
    "services.gitea-actions-runner.package" = package;
    "services.postgresql.authentication" = lines;
    "services.postgresql.enable" = bool;
    "services.postgresql.ensureDatabases" = listOf str;
    "services.postgresql.ensureUsers" = listOf (attrsOf anything);
    "services.postgresql.identMap" = lines;
    "services.redis.servers.<name>.appendOnly" = bool;
    "services.redis.servers.<name>.enable" = bool;
    "services.redis.servers.<name>.port" = port;
    "services.redis.servers.<name>.save" = listOf (listOf int);
    "services.redis.servers.<name>.unixSocket" = nullOr str;
    "services.redis.servers.<name>.unixSocketPerm" = int;
    "system.build" = attrsOf raw;
    "system.stateVersion" = str;
    "systemd.package" = package;
    "systemd.services.<name>.after" = listOf str;
    "systemd.services.<name>.before" = listOf str;
    "systemd.services.<name>.description" = str;
    "systemd.services.<name>.environment" = attrsOf (nullOr (either str package));
    "systemd.services.<name>.partOf" = listOf str;
    "systemd.services.<name>.path" = listOf (either package str);
    "systemd.services.<name>.requiredBy" = listOf str;
    "systemd.services.<name>.requires" = listOf str;
    "systemd.services.<name>.restartTriggers" = listOf raw;
    "systemd.services.<name>.script" = lines;
    "systemd.services.<name>.serviceConfig" = attrsOf words;
    "systemd.services.<name>.unitConfig" = attrsOf words;
    "systemd.services.<name>.wantedBy" = listOf str;
    "systemd.services.<name>.wants" = listOf str;
    "systemd.targets.<name>.description" = str;
    "systemd.targets.<name>.wantedBy" = listOf str;
    "systemd.targets.<name>.wants" = listOf str;
    "systemd.timers.<name>.description" = str;
    "systemd.timers.<name>.timerConfig" = attrsOf words;
    "systemd.timers.<name>.wantedBy" = listOf str;
    "systemd.tmpfiles.rules" = listOf str;
    "users.groups.<name>.members" = listOf str;
  };

  packages = [
    "autoPatchelfHook"
    "bashInteractive"
    "cacert"
    "claude-code"
    "coreutils"
    "e2fsprogs"
    "forgejo-runner"
    "git"
    "installShellFiles"
    "makeWrapper"
    "nix"
    "nixos-container"
    "nodejs"
    "python313"
    "systemd"
    "util-linux"
    "zlib"
  ];
}
