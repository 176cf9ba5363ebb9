# Types of options: what a value must be, and how the values of several definitions become one.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    toJSON
    ;

  show = concatStringsSep ".";
  values = map (definition: definition.value);
  evaluated = import ./option.nix { inherit lib; };

  # Definitions of one priority that do not agree are an error, as in nixpkgs.
  one =
    location: definitions:
    let
      first = (head definitions).value;
    in
    if all (value: value == first) (values definitions) then
      first
    else
      throw "The option `${show location}' has conflicting definitions.";

  # Of what cannot be compared there may be one definition only.
  only =
    location: definitions:
    if length definitions == 1 then
      (head definitions).value
    else
      throw "The option `${show location}' is defined several times, and can be once only.";

  type =
    description: check: merge:
    {
      _type = "option-type";
      inherit description check merge;
      getSubOptions = _: { };
    };
  isStringLike = value: isString value || isAttrs value && value ? outPath;
  isName = pattern: value: isString value && builtins.match pattern value != null;

  types = {
    bool = type "boolean" isBool one;
    int = type "signed integer" isInt one;
    ints.positive = type "positive integer" (value: isInt value && value > 0) one;
    port = type "port" (value: isInt value && value >= 0 && value < 65536) one;
    str = type "string" isString one;
    strMatching = pattern: type "string matching ${pattern}" (isName pattern) one;
    lines = type "lines" isString (_: definitions: concatStringsSep "\n" (values definitions));
    path = type "absolute path" (
      value: isPath value || isStringLike value && lib.hasPrefix "/" "${value}"
    ) one;
    package = type "package" (value: isAttrs value && value ? outPath) only;
    raw = type "anything" (_: true) only;
    anything = type "anything" (_: true) (
      location: definitions:
      if length definitions > 1 && all isAttrs (values definitions) then
        (types.attrsOf types.anything).merge location definitions
      else
        one location definitions
    );
    enum =
      allowed:
      type "one of ${concatStringsSep ", " (map toJSON allowed)}" (value: elem value allowed) one;

    nullOr =
      of:
      type "null or ${of.description}" (value: value == null || of.check value) (
        location: definitions:
        if all (value: value == null) (values definitions) then
          null
        else if elem null (values definitions) then
          throw "The option `${show location}' is both null and not null."
        else
          of.merge location definitions
      )
      // {
        inherit (of) getSubOptions;
      };

    either =
      a: b:
      type "${a.description} or ${b.description}" (value: a.check value || b.check value) (
        location: definitions:
        if all a.check (values definitions) then
          a.merge location definitions
        else if all b.check (values definitions) then
          b.merge location definitions
        else
          one location definitions
      );
    oneOf = list: builtins.foldl' types.either (head list) (builtins.tail list);

    listOf =
      of:
      type "list of ${of.description}" isList (
        location: definitions:
        concatMap (
          definition:
          concatMap (
            value:
            evaluated.every (location ++ [ "*" ]) { type = of; } [
              (definition // { inherit value; })
            ]
          ) definition.value
        ) definitions
      );

    attrsOf =
      of:
      type "attribute set of ${of.description}" isAttrs (
        location: definitions:
        let
          names = attrNames (builtins.foldl' (a: b: a // b) { } (values definitions));
          element =
            name:
            evaluated.every (location ++ [ name ]) { type = of; } (
              concatMap (
                definition:
                lib.optional (definition.value ? ${name}) {
                  inherit (definition) file;
                  value = definition.value.${name};
                }
              ) definitions
            );
          pairs = map (name: {
            inherit name;
            value = element name;
          }) names;
        in
        # One that no definition is left of, for an `mkIf` that is false, is not there.
        listToAttrs (
          map (pair: pair // { value = head pair.value; }) (filter (pair: pair.value != [ ]) pairs)
        )
      )
      // {
        getSubOptions = location: of.getSubOptions (location ++ [ "<name>" ]);
      };

    submodule =
      modules:
      let
        given = if isList modules then modules else [ modules ];
        # A set only defines, even where it has a key `config`.
        plain =
          definition:
          if isAttrs definition.value then
            {
              _file = definition.file;
              config = definition.value;
            }
          else
            definition.value;
        evaluate =
          location: more:
          lib.evalModules {
            prefix = location;
            modules = [ { _module.args.name = lib.last location; } ] ++ given ++ more;
          };
      in
      type "submodule" (value: isAttrs value || isFunction value || isPath value) (
        location: definitions: (evaluate location (map plain definitions)).config
      )
      // {
        getSubOptions = location: removeAttrs (evaluate location [ ]).options [ "_module" ];
      };
  };
in
types
