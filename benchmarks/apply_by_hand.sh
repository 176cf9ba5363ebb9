#!/usr/bin/env bash
# What an operator would type to deploy the commit $REV of the agent $NAME that spawn_by_hand.sh made:
# the git and nix commands of `hive apply`, without its looks, locks, rows and logs. $ID numbers it.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/by_hand.sh"

proposed=$ROOT/proposed/$NAME applied=$ROOT/applied/$NAME meta=$ROOT/meta
git -C "$applied" fetch --quiet --no-tags --no-write-fetch-head -- "$proposed" "$REV:refs/tags/proposal/$ID"
echo "create refs/tags/building/$ID $REV" | git -C "$applied" update-ref --stdin

echo "    \"agent-$NAME\".url = \"git+file://$applied?rev=$REV\";" >"$ROOT/blocks/$NAME.input"
new=$ROOT/new; rm -rf "$new"; mkdir "$new"
flake >"$new/flake.nix"
cp "$meta/flake.lock" "$new/"
nix flake lock "path:$new"
main=$(git -C "$meta" rev-parse refs/heads/main)
commit "$meta" "refs/heads/candidate/$NAME" "candidate $NAME" "$main" "$new/flake.nix" "$new/flake.lock"
candidate=$(git -C "$meta" rev-parse "refs/heads/candidate/$NAME")
system=$(cd "$new" && nix build --out-link "$ROOT/gcroots/$NAME/closure" --json --no-update-lock-file \
  --print-build-logs "git+file://$meta?rev=$candidate#nixosConfigurations.\"$NAME\".config.system.build.toplevel" \
  | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["outputs"]["out"])')
echo "create refs/tags/approved/$ID $REV" | git -C "$applied" update-ref --stdin

container=h-$NAME
nix-env -p "$HIVE_PROFILES_DIR/$container/system" --set "$system"
systemctl reload "container@$container.service"
until curl -sf -o /dev/null "http://$ADDRESS:$PORT/"; do sleep 0.05; done

commit "$meta" "refs/heads/candidate/$NAME" "deploy $NAME deployed/$ID ${REV:0:12}" "$main" "$new/flake.nix" "$new/flake.lock"
made=$(git -C "$meta" rev-parse "refs/heads/candidate/$NAME")
printf 'update refs/heads/main %s %s\ndelete refs/heads/candidate/%s %s\n' "$made" "$main" "$NAME" "$made" \
  | git -C "$meta" update-ref --stdin
git -C "$meta" read-tree --reset -u refs/heads/main
before=$(git -C "$applied" rev-parse refs/heads/main)
printf 'update refs/heads/main %s %s\ncreate refs/tags/deployed/%s %s\n' "$REV" "$before" "$ID" "$REV" \
  | git -C "$applied" update-ref --stdin
git -C "$applied" read-tree --reset -u refs/heads/main
