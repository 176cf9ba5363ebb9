# What the scripts of the benchmarks share: nix with flakes, a commit by fast-import, the meta flake.

nix() { command nix --extra-experimental-features 'nix-command flakes' "$@"; }
commit() { # repo ref subject parent file...
  local repo=$1 ref=$2 subject=$3 parent=$4 file; shift 4
  {
    printf 'feature done\ncommit %s\ncommitter %s <%s> %s +0000\n' "$ref" \
      "$GIT_COMMITTER_NAME" "$GIT_COMMITTER_EMAIL" "$(date +%s)"
    printf 'data %d\n%s\n' "${#subject}" "$subject"
    [ -z "$parent" ] || printf 'from %s\ndeleteall\n' "$parent"
    for file; do
      printf 'M 100644 inline %s\ndata %d\n' "${file##*/}" "$(stat -c %s "$file")"; cat "$file"; echo
    done
    printf 'done\n'
  } | git -C "$repo" fast-import --quiet --force --date-format=raw
}
flake() {
  echo '{'; echo '  inputs = {'
  echo "    \"base-0\".url = \"$(cat "$ROOT/base")\";"
  cat "$ROOT"/blocks/*.input
  echo '  };'; echo '  outputs = inputs: {'; echo '    hive.origins = {'
  echo "      \"base-0\" = \"$BASE\";"; echo '    };'; echo '    nixosConfigurations = {'
  cat "$ROOT"/blocks/*.agent
  echo '    };'; echo '  };'; echo '}'
}
