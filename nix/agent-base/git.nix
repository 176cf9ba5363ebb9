# git, and who commits. Meta says the agent's own name; this is only for whom it has not named.
{ lib, ... }:
{
  config.programs.git = {
    enable = true;
    config = {
      user.name = lib.mkDefault "nobody";
      user.email = lib.mkDefault "nobody@hyperhive";
      init.defaultBranch = lib.mkDefault "main";
      # The folders of others are idmapped into the manager's container, and owned by root there.
      safe.directory = lib.mkDefault [
        "/agents/*"
        "/applied/*"
        "/meta"
      ];
    };
  };
}
