# The modules, evaluated, and what must be so of the result:
#
#   nix-instantiate --eval --strict nix/checks -A failed                     # against the stub
#   nix-instantiate --eval --strict nix/checks -A failed --arg nixpkgs '<nixpkgs>'
#
# `failed` is empty where all is well.
{
  # A nixpkgs; without one the stub stands in.
  nixpkgs ? null,
  # The stub's `lib`, or the real one in its place.
  lib ? ./stub/lib.nix,
}:
let
  evaluator =
    if nixpkgs == null then
      import ./stub { inherit lib; }
    else
      import ./real.nix { inherit nixpkgs; };

  files = [
    ./host.nix
    ./databases.nix
    ./assertions.nix
    ./agent.nix
    ./ci.nix
  ];
  # A real flake has real inputs, and a real package is built.
  ofTheStub = [
    ./flake.nix
    ./package.nix
    ./whole.nix
  ];
  checks = builtins.concatMap (file: import file evaluator) (
    files ++ evaluator.lib.optionals evaluator.isStub ofTheStub
  );
in
{
  inherit evaluator;

  # In words, so that the rest of a run does not depend on what one of them finds.
  results = map (check: {
    inherit (check) name;
    holds = check.found == check.wanted;
  }) checks;

  failed = builtins.filter (check: check.found != check.wanted) checks;

  # The agents' systems, as the flake gives them.
  bases = import ../agent-base {
    inherit (evaluator) nixosSystem;
    unstable = if nixpkgs == null then ./stub/unstable.nix else nixpkgs;
  };

  options = import ./documented.nix evaluator;
  units = import ./units.nix evaluator { };
  unitsWithSecret = import ./units.nix evaluator {
    services.hyperhive.database.urlFile = "/srv/hive-database";
  };

  # What a server of the host's own is told, for a real one.
  postgresql =
    let
      host = import ./a-host.nix evaluator { services.hyperhive.database.createLocally = true; };
    in
    {
      inherit (host.services.postgresql) authentication identMap;
      url = host.services.hyperhive.settings.database_url;
    };

  # What a nixpkgs lacks of the list that the stub is made from.
  missing = import ./missing.nix evaluator;
}
