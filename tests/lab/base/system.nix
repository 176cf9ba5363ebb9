# A system that a container of the lab really boots: its `init` is the lab's own, `agent.json` holds what the modules
# said, and the small files beside it are for programs without a reader of JSON. It takes the place of the sim's file
# of that name; the rest of that base is used as it is.
{ configuration, modules }:
let
  config = import ./modules.nix modules;
  environment = config.systemd.services.hive-agent.environment or { };
  variables = config.environment.variables or { };
  agent = environment.HIVE_LABEL or "nobody";
  port = environment.HIVE_PORT or "0";
in
derivation {
  name = "nixos-system-${agent}";
  system = builtins.currentSystem or "x86_64-linux";
  builder = "/bin/sh";
  inherit agent port;
  facts = builtins.toJSON {
    inherit agent configuration environment variables;
    label = agent;
    port = builtins.fromJSON port;
    base = "the lab's base";
  };
  fails = if (variables.HIVE_SIM_BUILD or "") == "fails" then "1" else "";
  start = variables.HIVE_SIM_START or "";
  reload = variables.HIVE_SIM_RELOAD or "";
  PATH = "/bin:/usr/bin";
  args = [
    "-c"
    ''
      echo "composing ${agent} from the lab's base"
      if [ -n "$fails" ]; then echo "asked to fail (HIVE_SIM_BUILD)"; exit 1; fi
      mkdir "$out"
      printf '%s\n' "$facts" > "$out/agent.json"
      for name in agent port start reload; do eval "printf '%s\n' \"\$$name\"" > "$out/$name"; done
      cp /usr/lib/hive-lab/init "$out/init"
    ''
  ];
}
