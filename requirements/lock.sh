#!/usr/bin/env bash
# lock.sh UV: resolve every environment into requirements/*.txt. Hashes and versions only: where the packages come from
# is the business of the machine that installs them.
set -euo pipefail
cd "$(dirname "$0")/.."

export UV_CUSTOM_COMPILE_COMMAND="make lock"

compile() { # LOCK SOURCE...
  local lock=requirements/$1
  shift
  # Triton's wheel wants glibc 2.35; wheels only, so that installing runs no code of a package.
  "$UV" pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-build \
    --python-version 3.11 --python-platform x86_64-manylinux_2_35 --output-file "$lock" "$@"
  echo "$lock: $(grep -c '^[A-Za-z]' "$lock") packages"
}

UV=$1
compile uv.txt requirements/uv.in
compile build.txt requirements/build.in
compile pipeline.txt pyproject.toml --extra airflow --extra heic --extra local --extra dev
compile triton.txt requirements/triton.in --excludes requirements/triton.excludes
compile training.txt pyproject.toml --extra training --extra dev
compile bench.txt pyproject.toml --extra bench
