# What the flake gives.
{
  self,
  nixpkgs,
  nixpkgs-unstable,
}:
let
  inherit (nixpkgs) lib;
  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  each = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

  basesFor =
    system:
    import ./agent-base {
      inherit system;
      inherit (lib) nixosSystem;
      unstable = nixpkgs-unstable.outPath;
    };
in
{
  packages = each (pkgs: rec {
    hive = pkgs.callPackage ./package.nix { };
    default = hive;
  });

  nixosModules.default =
    { lib, ... }:
    {
      imports = [ ./module ];
      services.hyperhive.baseFlake = lib.mkDefault "path:${self.outPath}";
    };

  # What meta extends. A host of another system has a base flake of its own, of `lib.basesFor`.
  nixosConfigurations = basesFor "x86_64-linux";
  lib = { inherit basesFor; };

  devShells = each (pkgs: { default = import ./shell.nix { inherit pkgs; }; });
  formatter = each (pkgs: pkgs.nixfmt);

  checks = each (pkgs: {
    package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
    evaluated = import ./checks/evaluated.nix {
      inherit pkgs;
      nixpkgs = nixpkgs.outPath;
    };
    formatted = pkgs.runCommand "hive-formatted" { } ''
      export PATH=$PATH:${pkgs.nixfmt}/bin
      find ${./.} ${../flake.nix} -name '*.nix' -exec nixfmt --check {} +
      touch $out
    '';
  });

  # Virtual machines, which `nix flake check` neither builds nor runs: they need KVM.
  legacyPackages = each (pkgs: {
    vm = import ./checks/vm {
      inherit pkgs self nixpkgs nixpkgs-unstable;
    };
  });
}
