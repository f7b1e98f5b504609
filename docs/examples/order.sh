#!/bin/sh
# Let the phone of a paid order in, with curl and openssl:
#
#   sh order.sh ORDER ROUTER MAC
#
# The environment has RELAY_URL, RELAY_TOKEN and RELAY_API_SECRET. While it runs, the machine's list of processes shows
# both: use it to try things, and a program such as backend.py to sell access.
set -eu

path=/relay/authorize-by-pedido
body="{\"pedidoId\": \"$1\", \"mikId\": \"$2\", \"mac\": \"$3\", \"planoMinutos\": 720}"

# The last word of what openssl prints is the number.
digest=$(printf %s "$body" | openssl dgst -sha256 | sed 's/.* //')

for attempt in 1 2 3 4 5 6 7 8 9 10; do
  # Each attempt is signed anew, and names the same order: it is the same order.
  timestamp=$(date +%s)000
  nonce=$(openssl rand -hex 16)
  signature=$(printf 'POST\n%s\n%s\n%s\n%s' "$path" "$timestamp" "$nonce" "$digest" |
    openssl dgst -sha256 -hmac "$RELAY_API_SECRET" | sed 's/.* //')

  # 000 is curl's word for no answer at all.
  answer=$(curl --silent --max-time 10 --write-out '\n%{http_code}' --data-raw "$body" \
    --header "Content-Type: application/json" \
    --header "Authorization: Bearer $RELAY_TOKEN" \
    --header "X-Relay-Ts: $timestamp" \
    --header "X-Relay-Nonce: $nonce" \
    --header "X-Relay-Signature: $signature" \
    "$RELAY_URL$path") || true
  status=$(printf %s "$answer" | tail -n 1)
  printf 'attempt %s: %s\n' "$attempt" "$answer"

  case $status in
    200) exit 0 ;; # the entry is on the router
    503 | 429 | 000) sleep 2 ;; # the order is kept, or did not arrive: ask for it again
    *) exit 1 ;; # the code in the answer says what is wrong
  esac
done
exit 1
