#!/usr/bin/env bash
# Lint every version of every description file and, where DATA names images, compare VERSIONS. Settings come from the environment:
# DESCRIPTIONS_DIR, STRICT (true or false), DATA, VERSIONS (separated by spaces), GITHUB_STEP_SUMMARY (optional).
set -euo pipefail

summary=${GITHUB_STEP_SUMMARY:-/dev/null}
options=(--descriptions-dir "${DESCRIPTIONS_DIR:-descriptions}")
[ "${STRICT:-false}" != true ] || options+=(--strict)

if ! prompt-forge lint --all "${options[@]}"; then
    echo "Description files have errors; see the log." >>"$summary"
    exit 1
fi
echo "All description files are clean." >>"$summary"

if [ -n "${DATA:-}" ]; then
    read -r -a versions <<<"${VERSIONS:?name the versions to compare, such as VERSIONS=\"capsule@1 capsule@2\"}"
    table=$(detector eval --data "$DATA" --descriptions-dir "${DESCRIPTIONS_DIR:-descriptions}" "${versions[@]}")
    echo "$table"
    printf '```\n%s\n```\n' "$table" >>"$summary"
fi
