#!/usr/bin/env bash
# Judges .github/workflows with actionlint, which it fetches once through Go's module proxy into ~/.cache/nearside/bin.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"
version=1.7.7
program=$cache/bin/$version/actionlint

if [ ! -x "$program" ]; then
  command -v go >/dev/null || "$root/scripts/setup.sh" lint
  mkdir -p "${program%/*}"
  GOBIN=${program%/*} go install "github.com/rhysd/actionlint/cmd/actionlint@v$version" ||
    fail 'could not fetch actionlint' 'see above; Go 1.18 or later is needed'
fi
# With no project around it actionlint would look for one; no file at all is no workflow, and that is wrong too.
exec "$program" .github/workflows/*.yml
