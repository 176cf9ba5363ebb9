# A host with hive, and what a check says besides.
{ nixosSystem, ... }:
more:
(nixosSystem {
  modules = [
    ../module
    {
      networking.hostName = "lab";
      nixpkgs.hostPlatform = "x86_64-linux";
      system.stateVersion = "26.05";
      services.hyperhive = {
        enable = true;
        baseFlake = "git+file:///srv/base";
      };
    }
    more
  ];
}).config
