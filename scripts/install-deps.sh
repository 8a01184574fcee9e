#!/usr/bin/env bash
# Installs the Debian packages that the tests need, and only those that are
# missing: a PostgreSQL server, and a C compiler for the race detector.
set -euo pipefail

missing=()
why=()
if ! command -v initdb >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
	missing+=(postgresql)
	why+=("postgresql: tests of the store run on it; each starts its own server on a free port")
fi
if ! command -v gcc >/dev/null && ! command -v cc >/dev/null; then
	missing+=(gcc libc6-dev)
	why+=("gcc, libc6-dev: the race detector needs a C compiler; the product does not")
fi
if ((${#missing[@]} == 0)); then
	exit 0
fi

echo "The tests need packages that are not here:"
printf '  %s\n' "${why[@]}"

as_root=()
if ((EUID != 0)); then
	if ! command -v sudo >/dev/null; then
		echo "Install them as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi
if ! command -v apt-get >/dev/null; then
	echo "This is no Debian; install the equivalents of: ${missing[*]}" >&2
	exit 1
fi

echo "Installing: ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
