# What stands in for nixpkgs where there is none: `lib`, `pkgs` and `nixosSystem`, as far as this
# project uses them. `--argstr lib PATH` puts the real `lib` in place of the one here.
{
  lib ? ./lib.nix,
}:
let
  library = import lib;
  used = import ../used.nix { inherit (library) types; };
  pkgs = import ./pkgs.nix {
    inherit used;
    lib = library;
  };

  # What NixOS gives by itself, as far as this project looks at it.
  itself =
    { config, lib, ... }:
    {
      _module.args.pkgs = pkgs;
      nix.enable = lib.mkDefault true;
      nix.package = lib.mkDefault pkgs.nix;
      networking.hostName = lib.mkOverride 1400 "nixos";
      services.gitea-actions-runner.package = lib.mkDefault pkgs.forgejo-runner;
      systemd.package = lib.mkDefault pkgs.systemd;
      system.build.toplevel = {
        type = "derivation";
        name = "nixos-system-${config.networking.hostName}";
        outPath = "${builtins.storeDir}/00000000000000000000000000000000-nixos-system";
      };
    };
in
{
  inherit pkgs used;
  lib = library;
  isStub = true;
  nixosSystem =
    {
      modules,
      specialArgs ? { },
      system ? null,
    }:
    library.evalModules {
      inherit specialArgs;
      modules = [
        { options = import ./options.nix { inherit used; lib = library; }; }
        itself
      ] ++ modules;
    };
}
