#!/usr/bin/env bash
# Runs every linter, goes on after a finding, and fails at the end if there was
# one. Called by make lint, which puts the pinned tools into PATH.
set -uo pipefail

failed=()

# check NAME COMMAND... runs a check that tells by its exit status.
check() {
	local name=$1 from=$SECONDS
	shift
	if "$@"; then
		printf 'ok    %-20s %3ds\n' "$name" "$((SECONDS - from))"
	else
		printf 'FAIL  %-20s %3ds\n' "$name" "$((SECONDS - from))"
		failed+=("$name")
	fi
}

# silent COMMAND... is for tools that tell by what they print.
silent() {
	local found
	found=$("$@" 2>&1) && [[ -z $found ]] && return
	printf '%s\n' "$found"
	return 1
}

check "gofumpt" silent gofumpt -l .
check "go vet" go vet ./...
check "go fix" silent go fix -diff ./...
check "golangci-lint" golangci-lint run ./...
check "arrows" go-arch-lint check --output-color=false --project-path .
check "alert rules" promtool check rules deploy/prometheus/rules.yml
check "alert tests" promtool test rules deploy/prometheus/rules_test.yml
if command -v systemd-analyze >/dev/null; then
	# The command of the unit need not be installed where the check runs.
	unit=$(mktemp -d)
	sed 's|=/usr/local/bin/offramp .*|=/bin/true|' deploy/systemd/offramp.service >"$unit/offramp.service"
	check "systemd unit" systemd-analyze verify --man=no "$unit/offramp.service"
	rm -rf "$unit"
fi

if ((${#failed[@]} > 0)); then
	printf 'failed:'
	printf ' %s;' "${failed[@]}"
	printf '\n'
	exit 1
fi
