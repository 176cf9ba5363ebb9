# Virtual machines: a NixOS with the module, and agents that are real NixOS containers. They need
# KVM and a nixpkgs, and have not been run yet.
{
  pkgs,
  self,
  nixpkgs,
  nixpkgs-unstable,
}:
let
  inherit (pkgs) lib;

  # The harness is not what is looked at.
  quiet = {
    services.hive-agent.command = "${pkgs.coreutils}/bin/sleep infinity";
  };

  # The base of this flake, with inputs that are in the machine's store: it has no network.
  base = pkgs.writeTextDir "flake.nix" ''
    {
      inputs.nixpkgs.url = "path:${nixpkgs.outPath}";
      inputs.unstable.url = "path:${nixpkgs-unstable.outPath}";
      inputs.hive.url = "path:${self.outPath}";
      inputs.hive.inputs.nixpkgs.follows = "nixpkgs";
      inputs.hive.inputs.nixpkgs-unstable.follows = "unstable";
      outputs = { hive, ... }: {
        nixosConfigurations = builtins.mapAttrs (
          _: system:
          system.extendModules {
            modules = [ { services.hive-agent.command = "${quiet.services.hive-agent.command}"; } ];
          }
        ) hive.nixosConfigurations;
      };
    }
  '';

  # What nix would have to build inside, but for names and ports: built outside, and brought along.
  agents = lib.mapAttrsToList (
    _: system: (system.extendModules { modules = [ quiet ]; }).config.system.build.toplevel
  ) self.nixosConfigurations;

  machine = {
    imports = [ self.nixosModules.default ];
    services.hyperhive = {
      enable = true;
      adminUsers = [ "alice" ];
      baseFlake = "path:${base}";
    };
    users.users.alice.isNormalUser = true;
    nix.settings.substituters = lib.mkForce [ ];
    virtualisation = {
      cores = 2;
      memorySize = 4096;
      diskSize = 8192;
      writableStore = true;
      additionalPaths = agents ++ [
        base
        self.outPath
        nixpkgs.outPath
        nixpkgs-unstable.outPath
        # What systems are put together with.
        pkgs.stdenv
        pkgs.stdenvNoCC
      ];
    };
    system.stateVersion = "26.05";
  };

  test =
    file:
    pkgs.testers.runNixOSTest {
      imports = [ file ];
      nodes.host = machine;
    };
in
{
  spawn = test ./spawn.nix;
  upgrade = test ./upgrade.nix;
  reboot = test ./reboot.nix;
}
