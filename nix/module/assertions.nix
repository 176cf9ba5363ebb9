# What cannot be, said before anything is built.
{ config, lib, ... }:
let
  cfg = config.services.hyperhive;

  hasPassword = url: url != null && lib.match "[^:]+://[^/@]*:[^/@]*@.*" url != null;
  isOutside =
    file: file == null || lib.hasPrefix "/" file && !lib.hasPrefix "${builtins.storeDir}/" file;
  # No blank, quote, dollar or percent: it becomes a word of ExecStart.
  isAddress = said: said == null || lib.match "[][a-zA-Z0-9.:-]+:[0-9]+" said != null;
  atMostOne = values: lib.length (lib.filter (isSaid: isSaid) values) <= 1;

  place = name: where: [
    {
      assertion = !hasPassword where.url;
      message = "services.hyperhive.${name}.url has a password, which everybody could read in the store: use ${name}.urlFile.";
    }
    {
      assertion = isOutside where.urlFile;
      message = "services.hyperhive.${name}.urlFile must be an absolute path outside the store, in quotes.";
    }
    {
      assertion = atMostOne [
        (where.url != null)
        (where.urlFile != null)
        where.createLocally
      ];
      message = "services.hyperhive.${name}: of url, urlFile and createLocally at most one can be set.";
    }
  ];
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      place "database" cfg.database
      ++ place "redis" cfg.redis
      ++ [
        {
          assertion = !lib.any hasPassword (lib.attrValues cfg.settings);
          message = "services.hyperhive.settings has a URL with a password, which everybody could read in the store.";
        }
        {
          assertion = config.nix.enable;
          message = "services.hyperhive builds agents through this host's nix daemon: nix.enable must be true.";
        }
        {
          # Older ones keep containers in /etc/containers and /var/lib/containers.
          assertion = lib.versionAtLeast config.system.stateVersion "22.05";
          message = "services.hyperhive needs system.stateVersion 22.05 or newer, for the places of containers.";
        }
        {
          assertion = cfg.baseFlake != null;
          message = "services.hyperhive.baseFlake is not set: which flake gives nixosConfigurations.agent-base?";
        }
        {
          assertion = cfg.api.openFirewall -> cfg.api.listen != null;
          message = "services.hyperhive.api.openFirewall opens the port of api.listen, which is not set.";
        }
        {
          assertion = isAddress cfg.api.listen;
          message = "services.hyperhive.api.listen must be HOST:PORT.";
        }
      ];
  };
}
