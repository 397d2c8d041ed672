#!/bin/bash
# Installs what the build and the lab need and this machine lacks: Debian's packages, as root.
# Leaves no service running that was not running before.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive PATH="$PATH:/usr/sbin:/sbin"

# program → package
declare -A needed=(
  [named]=bind9 [dig]=bind9-dnsutils [nsupdate]=bind9-dnsutils
  [dockerd]=docker.io [docker-compose]=docker-compose [docker-registry]=docker-registry
  [knotd]=knot [pdns_server]=pdns-server [sqlite3]=sqlite3
  [promtool]=prometheus [prometheus]=prometheus
  [htpasswd]=apache2-utils [curl]=curl [faketime]=faketime
  [chromium]=chromium [chromedriver]=chromium-driver
  [nginx]=nginx-light [busybox]=busybox-static
  [ip]=iproute2 [iptables]=iptables [nsenter]=util-linux [setsid]=util-linux [unshare]=util-linux
  [mount]=mount [kill]=procps [time]=time [ldd]=libc-bin
  [systemd-analyze]=systemd [mandoc]=mandoc
  [gcc]=gcc [g++]=g++ [make]=make [pkg-config]=pkg-config
)

# The tool that reads the description of the API and tries everything in it (PyPI).
tools="$(cd "$(dirname "$0")/../.." && pwd)/target/tools"
describe=schemathesis==4.32.5
if [ ! -e "$tools/.ready" ]; then
  # Beside the build, which takes longer; the test that needs it waits for .ready.
  echo "setup: installing $describe in the background (log: target/tools.log)"
  mkdir -p "$(dirname "$tools")"
  (python3 -m venv "$tools" \
    && "$tools/bin/pip" install --quiet --disable-pip-version-check "$describe" \
    && touch "$tools/.ready") >"$(dirname "$tools")/tools.log" 2>&1 </dev/null &
fi

missing=()
for program in "${!needed[@]}"; do
  command -v "$program" >/dev/null || missing+=("${needed[$program]}")
done
# A busybox that is linked to libraries is of no use inside an image.
if command -v busybox >/dev/null && ldd "$(command -v busybox)" >/dev/null 2>&1; then
  missing+=(busybox-static)
fi
if ! ls /usr/lib/*/pdns/libgsqlite3backend.so >/dev/null 2>&1; then
  missing+=(pdns-backend-sqlite3)
fi
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: everything is installed"
  exit 0
fi
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "setup: missing: ${missing[*]}" >&2
  echo "setup: as root on Debian: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# invoke-rc.d asks this file whether a package may start its service; 101 is no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

echo "setup: installing ${missing[*]}"
apt=(apt-get -o DPkg::Lock::Timeout=300 -qq)
install() { "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null; }
if ! install 2>/dev/null; then
  for attempt in 1 2 3; do
    "${apt[@]}" update && break
    echo "setup: apt-get update failed (attempt $attempt)" >&2
    sleep 5
  done
  install
fi
echo "setup: done"
