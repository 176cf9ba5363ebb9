# A nixpkgs, as the checks ask for one.
{ nixpkgs }:
let
  lib = import (nixpkgs + "/lib");
in
{
  inherit lib;
  pkgs = import nixpkgs {
    system = "x86_64-linux";
    config.allowUnfreePredicate = package: lib.getName package == "claude-code";
  };
  used = import ./used.nix { inherit (lib) types; };
  nixosSystem =
    given: import (nixpkgs + "/nixos/lib/eval-config.nix") ({ system = null; } // given);
  isStub = false;
}
