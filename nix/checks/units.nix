# The `[Service]` of each unit, as systemd reads it: for `systemd-analyze security`, and the lab.
evaluator: more:
let
  inherit (evaluator) lib;
  host = import ./a-host.nix evaluator more;

  word =
    value:
    if value == true then
      "yes"
    else if value == false then
      "no"
    else
      toString value;
  line = key: said: map (one: "${key}=${word one}") (lib.toList said);
  variable = key: said: [ "Environment=${key}=${said}" ];
  lines = set: f: lib.concatLines (lib.concatMap (key: f key set.${key}) (lib.attrNames set));
  service =
    unit: lines unit.serviceConfig line + lines unit.environment variable;
in
lib.mapAttrs (_: service) (
  lib.filterAttrs (name: _: lib.hasPrefix "hyperhive-" name) host.systemd.services
)
