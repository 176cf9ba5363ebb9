# Every value of a host and of the agents' systems, looked at: a misspelt option that no other check
# comes near is found here.
evaluator:
let
  a-host = import ./a-host.nix evaluator;
  bases = import ../agent-base {
    inherit (evaluator) nixosSystem;
    unstable = ./stub/unstable.nix;
  };
  whole = name: config: {
    name = "nothing is said that nobody knows: ${name}";
    found = builtins.deepSeq config true;
    wanted = true;
  };
in
[
  (whole "a host" (a-host { }))
  (whole "a host with servers of its own" (a-host {
    services.hyperhive = {
      database.createLocally = true;
      redis.createLocally = true;
    };
  }))
  (whole "a host with a runner" (a-host {
    services.hyperhive = {
      forge.enable = true;
      ci.enable = true;
    };
  }))
  (whole "an agent" bases.agent-base.config)
  (whole "the manager" bases.manager.config)
]
