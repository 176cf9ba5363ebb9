# The flake's outputs, of inputs that the stub plays.
evaluator:
let
  inherit (evaluator) lib pkgs;
  input = {
    lib = lib // { inherit (evaluator) nixosSystem; };
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (_: pkgs);
    outPath = ./stub/unstable.nix;
  };
  self = {
    outPath = "${builtins.storeDir}/00000000000000000000000000000000-source";
  };
  flake = (import ../../flake.nix).outputs {
    inherit self;
    nixpkgs = input;
    nixpkgs-unstable = input;
  };
  host =
    (evaluator.nixosSystem {
      modules = [
        flake.nixosModules.default
        {
          services.hyperhive.enable = true;
          system.stateVersion = "26.05";
        }
      ];
    }).config;
in
[
  {
    name = "one line enables hive: its base is the flake that it came with";
    found = {
      inherit (host.services.hyperhive) baseFlake;
      refused = lib.filter (one: !one.assertion) host.assertions;
    };
    wanted = {
      baseFlake = "path:${self.outPath}";
      refused = [ ];
    };
  }
  {
    name = "the flake gives what meta extends";
    found = lib.mapAttrs (_: system: system ? extendModules) flake.nixosConfigurations;
    wanted = {
      agent-base = true;
      manager = true;
    };
  }
  {
    name = "a base can be had for another system";
    found = (flake.lib.basesFor "aarch64-linux").agent-base.config.nixpkgs.hostPlatform;
    wanted = "aarch64-linux";
  }
  {
    name = "there is a package for each system";
    found = lib.mapAttrs (_: packages: packages.default.pname) flake.packages;
    wanted = {
      aarch64-linux = "hive";
      x86_64-linux = "hive";
    };
  }
]
