#!/usr/bin/env bash
# A day with the tools, on the embedded defaults: no key, no server, no download. Everything lands in ./demo.
set -euo pipefail

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

mkdir -p demo && cd demo
rm -rf data detected compared

say "1. A language model describes how a capsule can be wrong (the second time, from the cache)"
run prompt-forge generate --category capsule
run prompt-forge show capsule@1

say "2. A person corrects it; the correction is a new version"
if [ ! -e descriptions/capsule/v2.yaml ]; then
    EDITOR="sed -i -e 's/text: dented body/text: deep scratch across the body/'" run prompt-forge edit capsule
fi
run prompt-forge lint capsule
run prompt-forge diff capsule@1 capsule@2
run prompt-forge label capsule@2 reviewed

say "3. The detector looks for what the descriptions say, beside twenty good photos, on pictures drawn for the purpose"
run detector data sample data
run detector detect data/capsule/test --category capsule@reviewed \
    --references data/capsule/train/good --false-alarms 5% --out detected

say "4. Which version is better, and by how much?"
run detector eval --data data --category capsule --descriptions capsule@1 --descriptions capsule@2 --out compared

say "Open these in a browser: demo/detected/report.html and demo/compared/report.html"
