# The options that this project declares, for docs/nixos.md: name, type, default, what it is.
evaluator:
let
  inherit (evaluator) lib;
  host = evaluator.nixosSystem { modules = [ ../module ]; };
  agent =
    (import ../agent-base {
      inherit (evaluator) nixosSystem;
      unstable = ./stub/unstable.nix;
    }).agent-base;

  flat =
    name: option:
    if lib.isOption option then
      [
        {
          inherit name;
          inherit (option) description;
          type = option.type.description;
          default = option.defaultText.text or (builtins.toJSON option.default);
        }
      ]
    else
      lib.concatMap (key: flat "${name}.${key}" option.${key}) (lib.attrNames option);
in
flat "services.hyperhive" host.options.services.hyperhive
++ flat "services.hive-agent" agent.options.services.hive-agent
