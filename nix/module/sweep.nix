# A look at every agent, at boot and every five minutes. Containers do not start by themselves:
# without the first, a reboot would leave them all down. The schedule `sweep` asks for the same, and
# equal live jobs are one; the timer is there so that it holds also where that is disabled.
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
    systemd.services.hyperhive-sweep = lib.mkMerge [
      unit.service
      {
        description = "hive: a look at every agent of this node";
        wants = [ "hyperhive-migrate.service" ];
        # With a worker there the job is left to it; without one this unit would run it.
        after = [
          "hyperhive-migrate.service"
          "hyperhive-worker@1.service"
        ];
        serviceConfig = {
          Type = "oneshot";
          ExecStart = "${unit.program} sweep";
          KillMode = "mixed";
          TimeoutStartSec = "1h";
        };
      }
    ];

    systemd.timers.hyperhive-sweep = {
      description = "hive: a look at every agent, at boot and every five minutes";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnBootSec = "15s";
        OnCalendar = "*:0/5";
        AccuracySec = "5s";
      };
    };
  };
}
