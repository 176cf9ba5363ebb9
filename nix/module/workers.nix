# The workers: one template, as many of it as asked for, and the target that has them all.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hyperhive;
  inherit (cfg.workers) concurrency count drain;
  words = "--concurrency ${toString concurrency} --drain ${toString drain}";
  unit = import ./unit.nix { inherit config lib pkgs; };
in
{
  config = lib.mkIf cfg.enable {
    systemd.services."hyperhive-worker@" = lib.mkMerge [
      unit.service
      unit.daemon
      {
        description = "hive: the jobs of this node, worker %i";
        serviceConfig = {
          ExecStart = "${unit.program} worker ${words}";
          # It says each second that it is well, as long as its heart has turned within ten.
          WatchdogSec = 60;
          # After the drain its programs have ten seconds to end, and its rows some to be written.
          TimeoutStopSec = drain + 30;
        };
      }
    ];

    systemd.targets.hyperhive = {
      description = "hive, all of it on this node";
      wantedBy = [ "multi-user.target" ];
      wants = [
        "hyperhive-api.service"
        "hyperhive-maintenance.service"
      ]
      ++ map (number: "hyperhive-worker@${toString number}.service") (lib.range 1 count);
    };
  };
}
