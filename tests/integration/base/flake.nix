# A base flake that a real nix builds offline in a tenth of a second: no nixpkgs, a derivation with
# the machine's own shell. It implements hive's contract with a base (`extendModules`, the identity
# module) and leaves what the modules said in a file that a test can read.
{
  outputs = { self }:
    let
      merge = builtins.foldl' (a: b: a // b) { };
      read = module:
        let value = if builtins.isPath module then import module else module;
        in if builtins.isFunction value
        then value { config = { }; pkgs = { }; lib = { }; flakeInputs = { }; }
        else value;
      flat = module:
        let value = read module;
        in builtins.concatMap flat (value.imports or [ ]) ++ [ value ];
      system = configuration: modules:
        let
          all = builtins.concatMap flat modules;
          environment = merge (map (m: m.systemd.services.hive-agent.environment or { }) all);
        in
        derivation {
          name = "test-system-${environment.HIVE_LABEL}";
          system = builtins.currentSystem or "x86_64-linux";
          builder = "/bin/sh";
          PATH = "/bin:/usr/bin";
          facts = builtins.toJSON {
            inherit configuration environment;
            agent = environment.HIVE_LABEL;
            port = builtins.fromJSON environment.HIVE_PORT;
            base = "the tests' base";
            said = merge (map (m: m.said or { }) all);
          };
          args = [
            "-c"
            ''
              mkdir "$out" && printf '%s\n' "$facts" > "$out/agent.json" &&
                printf '#!/bin/sh\nexec "$HIVE_SIM_INIT" "$0"\n' > "$out/init" && chmod +x "$out/init"
            ''
          ];
        };
      base = configuration: {
        extendModules = { modules, ... }: {
          config.system.build.toplevel = system configuration modules;
        };
      };
    in
    {
      nixosConfigurations.agent-base = base "agent-base";
      nixosConfigurations.manager = base "manager";
    };
}
