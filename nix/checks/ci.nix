# The runner's container, as it will be: nobody can enable it yet, but what it says is there.
evaluator:
let
  inherit (evaluator) lib;
  host = import ./a-host.nix evaluator {
    services.hyperhive = {
      forge.enable = true;
      forge.httpPort = 3300;
      ci = {
        enable = true;
        name = "builder";
        concurrency = 3;
        labels = [ "hive-ci:host" ];
      };
    };
  };
  container = host.containers.hive-ci;
  # NixOS evaluates what is inside; the stub hands the module out as it was written.
  inside =
    if builtins.isFunction container.config then
      (evaluator.nixosSystem { modules = [ container.config ]; }).config
    else
      container.config;
  runner = inside.services.gitea-actions-runner.instances.hive;
  prefetch = host.systemd.services.hive-ci-prefetch;
  token = "/run/hive-ci/runner-token";
in
[
  {
    name = "the runner keeps its credentials, and shares the host's network";
    found = {
      inherit (container) autoStart ephemeral privateNetwork;
    };
    wanted = {
      autoStart = true;
      ephemeral = false;
      privateNetwork = false;
    };
  }
  {
    name = "of the host it sees one token, to read";
    found = lib.mapAttrs (_: bind: { inherit (bind) hostPath isReadOnly; }) container.bindMounts;
    wanted.${token} = {
      hostPath = token;
      isReadOnly = true;
    };
  }
  {
    name = "it builds without a sandbox where there can be none";
    found = inside.nix.settings.sandbox-fallback;
    wanted = true;
  }
  {
    name = "it registers under its name, with the forge on loopback";
    found = {
      inherit (runner)
        enable
        labels
        name
        tokenFile
        url
        ;
      inherit (runner.settings.runner) capacity;
    };
    wanted = {
      enable = true;
      labels = [ "hive-ci:host" ];
      name = "builder";
      tokenFile = token;
      url = "http://127.0.0.1:3300";
      capacity = 3;
    };
  }
  {
    name = "the token is there before the container, and in no argument";
    found = {
      inherit (prefetch) before requiredBy;
      inherit (prefetch.serviceConfig) RuntimeDirectoryMode Type UMask;
      argument = lib.match ".* --output ${token}" prefetch.serviceConfig.ExecStart != null;
    };
    wanted = {
      before = [ "container@hive-ci.service" ];
      requiredBy = [ "container@hive-ci.service" ];
      RuntimeDirectoryMode = "0700";
      Type = "oneshot";
      UMask = "0077";
      argument = true;
    };
  }
]
