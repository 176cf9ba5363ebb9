# A system that a pretend container can run: `init` hands over to the program that answers for it,
# and `agent.json` says who it is. The sim's own nix, which evaluates nothing, makes the same files.
{ configuration, modules }:
let
  config = import ./modules.nix modules;
  environment = config.systemd.services.hive-agent.environment or { };
  variables = config.environment.variables or { };
  agent = environment.HIVE_LABEL or "nobody";
  facts = builtins.toJSON {
    inherit agent configuration environment variables;
    label = agent;
    port = builtins.fromJSON (environment.HIVE_PORT or "0");
    base = "hive's pretend base";
  };
in
derivation {
  name = "nixos-system-${agent}";
  system = builtins.currentSystem or "x86_64-linux";
  builder = "/bin/sh";
  inherit facts;
  fails = if (variables.HIVE_SIM_BUILD or "") == "fails" then "1" else "";
  PATH = "/bin:/usr/bin:/run/current-system/sw/bin";
  args = [
    "-c"
    ''
      echo "composing ${agent} from hive's pretend base"
      if [ -n "$fails" ]; then echo "asked to fail (HIVE_SIM_BUILD)"; exit 1; fi
      mkdir "$out"
      printf '%s\n' "$facts" > "$out/agent.json"
      printf '#!/bin/sh\nexec "$HIVE_SIM_INIT" "$0"\n' > "$out/init"
      chmod +x "$out/init"
    ''
  ];
}
