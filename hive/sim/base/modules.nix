# The merged configuration of some modules: functions, sets or files, with `imports`.
# Sets are merged, lists joined; of two other values the later one stands.
modules:
let
  merge = a: b: a // builtins.mapAttrs
    (name: value:
      if !(a ? ${name}) then value
      else if builtins.isAttrs value && builtins.isAttrs a.${name} then merge a.${name} value
      else if builtins.isList value && builtins.isList a.${name} then a.${name} ++ value
      else value)
    b;

  same = value: value;
  lib = {
    mkDefault = same;
    mkForce = same;
    mkIf = condition: value: if condition then value else { };
    mkMerge = builtins.foldl' merge { };
    mkBefore = same;
    mkAfter = same;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: value: if condition then value else [ ];
    optionalAttrs = condition: value: if condition then value else { };
    optionalString = condition: value: if condition then value else "";
    concatStringsSep = builtins.concatStringsSep;
  };

  given = { inherit lib config; options = { }; pkgs = { }; modulesPath = ./.; };

  # Only the arguments that a function names, and lazily: `_module.args` comes out of the modules.
  call = f: f (given // builtins.mapAttrs
    (name: _: given.${name} or config._module.args.${name})
    (builtins.functionArgs f));

  load = module:
    let
      read = if builtins.isPath module || builtins.isString module then import module else module;
      value = if builtins.isFunction read then call read else read;
      own = value.config or (builtins.removeAttrs value [ "imports" "options" ]);
    in
    builtins.concatMap load (value.imports or [ ]) ++ [ own ];

  config = builtins.foldl' merge { _module.args = { }; } (builtins.concatMap load modules);
in
config
