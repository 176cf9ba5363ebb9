# The `[Service]` of each unit, as lines: for `systemd-analyze security`, and for the lab.
evaluator:
let
  inherit (evaluator) lib;
  host = import ./a-host.nix evaluator { };
  value = value: if value == true then "yes" else if value == false then "no" else toString value;
  lines = key: said: if key == "ReadWritePaths" || !lib.isList said then [ "${key}=${value said}" ] else map (one: "${key}=${value one}") said;
in
lib.mapAttrs (_: unit: lib.concatLines (lib.concatMap (key: lines key unit.serviceConfig.${key}) (lib.attrNames unit.serviceConfig))) (
  lib.filterAttrs (name: _: lib.hasPrefix "hyperhive-" name) host.systemd.services
)
