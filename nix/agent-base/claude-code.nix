# claude-code, from an unstable nixpkgs. It is unfree: that is allowed for this one package, there
# and here, as no configuration of the host, or of its operator, reaches into a container's nixpkgs.
{ unstable }:
{ lib, ... }:
let
  allowUnfreePredicate = package: lib.getName package == "claude-code";
in
{
  config.nixpkgs = {
    config.allowUnfreePredicate = allowUnfreePredicate;
    overlays = [
      (_: previous: {
        inherit
          (import unstable {
            inherit (previous.stdenv.hostPlatform) system;
            config.allowUnfreePredicate = allowUnfreePredicate;
          })
          claude-code
          ;
      })
    ];
  };
}
