# The units of a host, each as a file that systemd reads: for `systemd-analyze`, and for the lab. As
# NixOS writes them, but for `[Install]`, of which it makes links by itself.
evaluator: more:
let
  inherit (evaluator) lib;
  inherit (import ./a-host.nix evaluator more) systemd;

  word =
    value:
    if value == true then
      "yes"
    else if value == false then
      "no"
    else
      toString value;
  # A list is the same key several times.
  section =
    name: said:
    let
      lines = lib.concatMap (key: map (value: "${key}=${word value}") (lib.toList said.${key})) (
        lib.attrNames said
      );
    in
    lib.optionalString (lines != [ ]) "[${name}]\n${lib.concatLines lines}";

  service =
    unit:
    section "Unit" (
      {
        Description = unit.description;
        After = unit.after;
        PartOf = unit.partOf;
        Wants = unit.wants;
      }
      // unit.unitConfig
    )
    + section "Service" (
      unit.serviceConfig
      // {
        Environment = lib.mapAttrsToList (key: value: "${key}=${value}") unit.environment;
      }
    );
  target =
    unit:
    section "Unit" {
      Description = unit.description;
      Wants = unit.wants;
    }
    + section "Install" { WantedBy = unit.wantedBy; };
  timer =
    unit:
    section "Unit" { Description = unit.description; }
    + section "Timer" unit.timerConfig
    + section "Install" { WantedBy = unit.wantedBy; };

  files =
    kind: render: units:
    builtins.listToAttrs (
      lib.mapAttrsToList (name: unit: {
        name = "${name}.${kind}";
        value = render unit;
      }) (lib.filterAttrs (name: _: lib.hasPrefix "hyperhive" name) units)
    );
in
files "service" service systemd.services
// files "target" target systemd.targets
// files "timer" timer systemd.timers
