# The value of one option: its definitions without their properties, the strongest of them, merged.
{ lib }:
let
  inherit (builtins)
    concatMap
    concatStringsSep
    filter
    foldl'
    head
    sort
    ;

  kind = value: value._type or "";

  # Without `mkIf` and `mkMerge`: what is said under a false condition is not said.
  discharged =
    definition:
    let
      inherit (definition) value;
      also = value: discharged (definition // { inherit value; });
    in
    if kind value == "merge" then
      concatMap also value.contents
    else if kind value == "if" then
      lib.optionals value.condition (also value.content)
    else
      [ definition ];

  said =
    name: default: { value, ... }:
    if kind value == name then value.priority else default;
  priority = said "override" 100;
  order = said "order" 1000;
  bare =
    name: definition:
    if kind definition.value == name then
      definition // { value = definition.value.content; }
    else
      definition;

  strongest =
    definitions:
    let
      less = a: b: if a < b then a else b;
      best = foldl' less 9999 (map priority definitions);
    in
    map (bare "override") (filter (one: priority one == best) definitions);

  sorted = definitions: map (bare "order") (sort (a: b: order a < order b) definitions);

  # In a list, so that nothing at all can be said too.
  every =
    location: option: definitions:
    let
      default = lib.optional (option ? default) {
        file = "its default";
        value = lib.mkOptionDefault option.default;
      };
      left = sorted (strongest (concatMap discharged (definitions ++ default)));
      wrong = filter (one: !option.type.check one.value) left;
      name = concatStringsSep "." location;
    in
    if wrong != [ ] then
      throw (
        "A definition for option `${name}' is not of type `${option.type.description}'. "
        + "In ${(head wrong).file}."
      )
    else
      lib.optional (left != [ ]) (option.type.merge location left);
in
{
  inherit every;

  value =
    location: option: definitions:
    let
      found = every location option definitions;
    in
    if found == [ ] then
      throw "The option `${concatStringsSep "." location}' was accessed but has no value defined."
    else
      head found;
}
