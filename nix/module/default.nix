# hive on a NixOS host: `services.hyperhive.enable = true;`.
{
  imports = [
    ./options.nix
    ./assertions.nix
    ./settings.nix
    ./host.nix
    ./databases.nix
    ./migrate.nix
    ./api.nix
    ./workers.nix
    ./maintenance.nix
    ./sweep.nix
    ../hive-ci.nix
  ];
}
