# The checks against a real nixpkgs, as a build that fails where one of them does not hold.
{ pkgs, nixpkgs }:
let
  checks = import ./. { inherit nixpkgs; };
  wrong = builtins.toJSON { inherit (checks) failed missing; };
  right = builtins.toJSON {
    failed = [ ];
    missing = {
      options = [ ];
      packages = [ ];
    };
  };
in
if wrong == right then pkgs.runCommand "hive-evaluated" { } "touch $out" else throw wrong
