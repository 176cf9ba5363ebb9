# The container: a NixOS without a kernel, in the host's network.
{ lib, options, ... }:
{
  config = {
    # `isNspawnContainer` is what NixOS calls it from 25.11 on; before, there is only `isContainer`.
    boot =
      if options.boot ? isNspawnContainer then
        { isNspawnContainer = true; }
      else
        { isContainer = true; };

    # The host's interfaces are the host's to configure, and its firewall is the only one.
    networking.useDHCP = false;
    networking.firewall.enable = false;
    # The name that nspawn gives: the container's.
    networking.hostName = lib.mkDefault "";

    # The daemon is the host's, reached over the socket that is bound into every container.
    nix.settings.experimental-features = [
      "nix-command"
      "flakes"
    ];

    system.stateVersion = lib.mkDefault "26.05";
  };
}
