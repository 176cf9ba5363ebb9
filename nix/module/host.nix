# What the host of many containers needs besides hive's own units.
{ config, lib, ... }:
let
  cfg = config.services.hyperhive;
  port = lib.toInt (lib.head (lib.match ".*:([0-9]+)" cfg.api.listen));
in
{
  config = lib.mkIf cfg.enable {
    boot.enableContainers = true;

    users.groups.hive-admin.members = cfg.adminUsers;

    # NixOS says one minute, which bounds a reload too: a closure that activates slowly would fail.
    systemd.services."container@".serviceConfig.TimeoutStartSec = lib.mkForce cfg.containerStartTimeout;

    # The kernel's 128 instances are used up by some twenty containers. Stronger than a default of
    # NixOS, weaker than what an operator says.
    boot.kernel.sysctl = {
      "fs.inotify.max_user_instances" = lib.mkOverride 900 524288;
      "fs.inotify.max_user_watches" = lib.mkOverride 900 524288;
    };

    # The units may write to these and to little else; what is not there cannot be let through.
    systemd.tmpfiles.rules = [
      "d /etc/nixos-containers 0755 root root -"
      "d /var/lib/nixos-containers 0700 root root -"
    ];

    networking.firewall.allowedTCPPorts = lib.optional cfg.api.openFirewall port;
  };
}
