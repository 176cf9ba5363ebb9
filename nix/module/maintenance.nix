# The chores of this node: jobs of dead workers taken back, crashes seen, schedules fired.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  unit = import ./unit.nix { inherit config lib pkgs; };
in
{
  config = lib.mkIf config.services.hyperhive.enable {
    systemd.services.hyperhive-maintenance = lib.mkMerge [
      unit.service
      unit.daemon
      {
        description = "hive: the chores of this node";
        serviceConfig = {
          # It says that it is ready and that it stops, and nothing between: so no watchdog.
          ExecStart = "${unit.program} maintenance";
          TimeoutStopSec = 60;
        };
      }
    ];
  };
}
