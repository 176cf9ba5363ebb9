# An agent's system: what the base says, what an agent.nix adds, and what meta's identity overrides.
evaluator:
let
  inherit (evaluator) lib pkgs;
  bases = import ../agent-base {
    inherit (evaluator) nixosSystem;
    unstable = if evaluator.isStub then ./stub/unstable.nix else pkgs.path;
  };
  base = bases.agent-base.config;
  manager = bases.manager.config;
  alice =
    (bases.agent-base.extendModules {
      modules = [
        # Her agent.nix.
        {
          services.hive-agent = {
            model = "sonnet";
            allowedTools = [
              "Bash"
              "Read"
            ];
            command = "/srv/harness --loud";
          };
          environment.systemPackages = [ pkgs.nodejs ];
        }
        # As meta renders it.
        {
          programs.git.config.user.name = "alice";
          systemd.services.hive-agent.environment.HIVE_LABEL = "alice";
          systemd.services.hive-agent.environment.HIVE_PORT = "8879";
          systemd.services.hive-agent.environment.HIVE_MODEL = "opus";
        }
      ];
    }).config;
  harness = config: config.systemd.services.hive-agent;
  ours = [
    "HIVE_ALLOWED_TOOLS"
    "HIVE_DASHBOARD_PORT"
    "HIVE_LABEL"
    "HIVE_MODEL"
    "HIVE_PORT"
    "HOME"
    "HYPERHIVE_STATE_DIR"
  ];
  environment =
    config: lib.filterAttrs (name: _: lib.elem name ours) (harness config).environment;
  before.stdenv.hostPlatform.system = "x86_64-linux";
  isUnfree = config: map (pname: config.nixpkgs.config.allowUnfreePredicate { inherit pname; });
in
[
  {
    name = "a base is nobody yet, and knows its places";
    found = environment base;
    wanted = {
      HIVE_DASHBOARD_PORT = "7000";
      HIVE_LABEL = "nobody";
      HIVE_PORT = "0";
      HOME = "/root";
      HYPERHIVE_STATE_DIR = "/state";
    };
  }
  {
    name = "an operator's word wins over agent.nix, and that over the base";
    found = environment alice;
    wanted = {
      HIVE_ALLOWED_TOOLS = "Bash,Read";
      HIVE_DASHBOARD_PORT = "7000";
      HIVE_LABEL = "alice";
      HIVE_MODEL = "opus";
      HIVE_PORT = "8879";
      HOME = "/root";
      HYPERHIVE_STATE_DIR = "/state";
    };
  }
  {
    name = "the harness is hive's own, or what agent.nix says";
    found = [
      (lib.match ".*/bin/hive harness" (harness base).serviceConfig.ExecStart != null)
      (harness alice).serviceConfig.ExecStart
    ];
    wanted = [
      true
      "/srv/harness --loud"
    ];
  }
  {
    name = "what an agent adds to its system is on the harness' PATH";
    found = {
      path = lib.elem "/run/current-system/sw" (map toString (harness alice).path);
      added = lib.elem pkgs.nodejs alice.environment.systemPackages;
      hive = lib.elem base.services.hive-agent.package base.environment.systemPackages;
    };
    wanted = {
      path = true;
      added = true;
      hive = true;
    };
  }
  {
    name = "the harness starts where the binds are, and starts again";
    found = {
      inherit ((harness base).serviceConfig) KillMode Restart WorkingDirectory;
      inherit ((harness base).unitConfig) AssertPathIsDirectory;
      inherit (harness base) wantedBy;
    };
    wanted = {
      KillMode = "mixed";
      Restart = "always";
      WorkingDirectory = "/state";
      AssertPathIsDirectory = [
        "/run/hive"
        "/state"
        "/root/.claude"
      ];
      wantedBy = [ "multi-user.target" ];
    };
  }
  {
    name = "the manager has the folders of the others besides";
    found = builtins.sort builtins.lessThan (harness manager).unitConfig.AssertPathIsDirectory;
    wanted = [
      "/agents"
      "/applied"
      "/meta"
      "/root/.claude"
      "/run/hive"
      "/state"
    ];
  }
  {
    name = "it is a container, by the name that this NixOS has for it";
    found = [
      base.boot.isNspawnContainer
      (import ../agent-base/container.nix {
        inherit lib;
        options.boot = { };
      }).config.boot
    ];
    wanted = [
      true
      { isContainer = true; }
    ];
  }
  {
    name = "it leaves the host's network alone";
    found = {
      inherit (base.networking) hostName useDHCP;
      firewall = base.networking.firewall.enable;
    };
    wanted = {
      firewall = false;
      hostName = "";
      useDHCP = false;
    };
  }
  {
    name = "git commits as whom meta names";
    found = {
      inherit (alice.programs.git) enable;
      # A list of sets in NixOS, one set in the stub.
      name = (lib.head (lib.toList alice.programs.git.config)).user.name;
      unnamed = (lib.head (lib.toList base.programs.git.config)).user.name;
    };
    wanted = {
      enable = true;
      name = "alice";
      unnamed = "nobody";
    };
  }
  {
    name = "one unfree package is allowed, and comes from unstable";
    found = {
      allowed = isUnfree base [
        "claude-code"
        "steam"
      ];
      overlaid = map (overlay: (overlay { } before).claude-code.pname) base.nixpkgs.overlays;
    };
    wanted = {
      allowed = [
        true
        false
      ];
      overlaid = [ "claude-code" ];
    };
  }
]
