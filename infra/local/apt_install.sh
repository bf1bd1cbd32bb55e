#!/usr/bin/env bash
# apt_install.sh PACKAGE...: install the Debian packages that are missing, without starting the services they bring.
set -euo pipefail

missing=()
for package in "$@"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null || ! sudo --non-interactive true 2>/dev/null; then
    echo "missing Debian packages; please run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# A package's own service would take ports and memory that the stack's own processes need. Debian asks policy-rc.d
# before it starts one; an administrator's own policy stays untouched.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
# Where PostgreSQL was not yet, Debian would also make a cluster of its own that nobody uses.
clusters=/etc/postgresql-common/createcluster.conf
if [[ " ${missing[*]} " == *" postgresql "* && ! -e "$clusters" ]]; then
  "${as_root[@]}" mkdir -p "${clusters%/*}"
  echo "create_main_cluster = false" | "${as_root[@]}" tee "$clusters" >/dev/null
fi

echo "installing Debian packages: ${missing[*]}"
log=$(mktemp)
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get --yes -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "apt-get could not install ${missing[*]} (its last words are above, all of them in $log)" >&2
  exit 1
fi
rm -f "$log"
