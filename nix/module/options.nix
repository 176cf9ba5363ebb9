# What an operator can choose. docs/nixos.md has each of them; a test holds the two together.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  # A string, never a nix path: a path would be copied into the store, which everybody reads.
  secretFile =
    what:
    mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "A file, outside the store, with ${what}. systemd reads it as root and hands it on as a credential.";
    };
in
{
  options.services.hyperhive = {
    enable = lib.mkEnableOption "hive, a fleet of AI agents in containers of their own";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix {
        nix = config.nix.package;
        systemd = config.systemd.package;
      };
      defaultText = lib.literalExpression "nix/package.nix, with this host's nix and systemd";
      description = "The hive that the units run, and that operators have on their PATH.";
    };

    adminUsers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Members of the group `hive-admin`: operators, and so root in all but name.";
    };

    node = mkOption {
      type = types.strMatching "[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}";
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      description = "This host's name in a fleet: `HIVE_NODE`.";
    };

    baseFlake = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The flake that gives `nixosConfigurations.agent-base` and `.manager`: `HIVE_BASE_FLAKE`. With this project's flake it is that flake itself.";
    };

    settings = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "More keys of `/etc/hyperhive/hive.toml`, none of them a secret.";
    };

    workers = {
      count = mkOption {
        type = types.ints.positive;
        default = 1;
        description = "How many worker processes this host runs.";
      };
      concurrency = mkOption {
        type = types.ints.positive;
        default = 2;
        description = "How many jobs each of them runs at once.";
      };
      drain = mkOption {
        type = types.ints.positive;
        default = 30;
        description = "Seconds that a job may go on for when its worker is told to stop; then it is given back.";
      };
    };

    api = {
      listen = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "`HOST:PORT` on which the API answers besides its sockets. Each request there needs a token.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the port of `api.listen` is open from outside. Nothing else of hive ever is.";
      };
    };

    database = {
      url = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "`HIVE_DATABASE_URL`, without a password: it is written into the store. Without any, the embedded SQLite.";
      };
      urlFile = secretFile "the database's URL, its password in it";
      createLocally = mkOption {
        type = types.bool;
        default = false;
        description = "Whether this host runs a PostgreSQL for hive, reached over its socket, by root alone.";
      };
    };

    redis = {
      url = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "`HIVE_REDIS_URL`, without a password: it is written into the store. Without any, workers look at the database.";
      };
      urlFile = secretFile "Redis' URL, its password in it";
      createLocally = mkOption {
        type = types.bool;
        default = false;
        description = "Whether this host runs a Redis for hive, on a socket that root alone may open.";
      };
    };

    containerStartTimeout = mkOption {
      type = types.str;
      default = "10min";
      description = "How long a container may take to start or to reload, as systemd writes it.";
    };
  };
}
