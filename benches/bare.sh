#!/bin/bash
# A night by hand: what a very good operator's own script does, with all that can run side by side
# running side by side. It is what `cleanslate rotate nightly` is measured against (night.rs).
#
# It does the same steps to the same sites, and nothing besides: no floor, no plan, no second look,
# no record of what it did. Whatever it meets that it did not expect, it stops where it is.
#
# SITES     "NAME ADDRESS DOCKER_HOST" a line, one host each
# SERVERS   the name servers, the primary first
# ZONE RECORD TTL KEY, REGISTRY CHANNEL PROJECT, DRAIN SOAK PASSES (seconds, seconds, times)
set -euo pipefail
read -r primary _ <<<"$SERVERS"
short_host=${RECORD%.}

update() {
  printf 'server %s\nzone %s\nupdate %s\nsend\n' "$primary" "$ZONE" "$1" | nsupdate -v -k "$KEY"
}

# Waits until every name server answers with the address ("yes") or without it ("no").
followed() {
  local address=$1 wanted=$2 server shown
  for server in $SERVERS; do
    while :; do
      shown=no
      dig +short +norecurse "@$server" "$RECORD" A | grep -qxF "$address" && shown=yes
      [ "$shown" = "$wanted" ] && break
      sleep 0.02
    done &
  done
  wait_all
}

# Waits for every background job; the first that failed ends the night.
wait_all() {
  local job
  for job in $(jobs -p); do wait "$job"; done
}

pull_everywhere() {
  local _ engine image
  while read -r _ _ engine; do
    for image in web worker; do
      docker -H "$engine" pull --quiet "$REGISTRY/$image:$CHANNEL" >/dev/null &
    done
  done <<<"$SITES"
  wait_all
}

# One container, labelled as Docker Compose labels them; further arguments are `docker run`'s.
run() {
  local engine=$1 site=$2 service=$3 number=$4 image=$5
  shift 5
  docker -H "$engine" run --detach --pull never --name "$PROJECT-$service-$number" \
    --network "${PROJECT}_default" --network-alias "$service" --env "SITE=$site" \
    --stop-timeout 5 \
    --label "com.docker.compose.project=$PROJECT" \
    --label "com.docker.compose.service=$service" \
    --label "com.docker.compose.container-number=$number" \
    --label com.docker.compose.oneoff=False --label com.docker.compose.version=1.29.2 \
    "$@" "$REGISTRY/$image:$CHANNEL" >/dev/null
}

worker() {
  run "$@" worker --health-cmd true --health-interval 1s --health-timeout 2s --health-retries 2
}

# In the order of depends_on, each stage side by side.
start() {
  local site=$1 engine=$2
  worker "$engine" "$site" cache 1
  run "$engine" "$site" app 1 web &
  run "$engine" "$site" app 2 web &
  worker "$engine" "$site" worker 1 &
  worker "$engine" "$site" worker 2 &
  wait_all
  run "$engine" "$site" front 1 web --publish 80:80
}

healthy() {
  local engine=$1 states
  shift
  while :; do
    states=$(docker -H "$engine" inspect --format '{{.State.Health.Status}}' "$@")
    case $states in
      *unhealthy*) echo "unhealthy on $engine: $states" >&2; return 1 ;;
      *starting*) sleep 0.02 ;;
      *) return 0 ;;
    esac
  done
}

probe() {
  local address=$1 passed=0
  while [ "$passed" -lt "$PASSES" ]; do
    if [ "$(curl -sf -m 2 -H "Host: $short_host" "http://$address/healthz")" = ok ]; then
      passed=$((passed + 1))
    else
      passed=0
      sleep 0.1
    fi
  done
}

visit() {
  local site=$1 address=$2 engine=$3 old new
  update "delete $RECORD A $address"
  followed "$address" no
  sleep "$DRAIN"
  mapfile -t old < <(docker -H "$engine" ps -aq --filter "label=com.docker.compose.project=$PROJECT")
  docker -H "$engine" stop -t 5 "${old[@]}" >/dev/null
  docker -H "$engine" rm "${old[@]}" >/dev/null
  start "$site" "$engine"
  new=("$PROJECT"-{cache-1,app-1,app-2,worker-1,worker-2,front-1})
  healthy "$engine" "${new[@]}"
  probe "$address"
  update "add $RECORD $TTL A $address"
  followed "$address" yes
  sleep "$SOAK"
}

pull_everywhere
while read -r site address engine; do
  visit "$site" "$address" "$engine" </dev/null
done <<<"$SITES"
