#!/bin/sh
# test-ca.sh FOLDER: makes a certificate authority for trials, and what it signs: server.crt for localhost (127.0.0.1 and ::1 too),
# other.crt for other.example, client.crt (CN=client-1), revoked.crt and the list crl.pem that revokes it; and stranger.crt, a client that
# no authority knows. Each with its key. Needs openssl. Not for anything that matters: the keys lie there unencrypted, for 30 days.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
command -v openssl >/dev/null || { echo "$0: openssl is missing" >&2; exit 1; }
mkdir -p "$1"
cd "$1"
umask 077

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
self_signed() { # name, subject
  new_key "$1"
  openssl req -x509 -new -key "$1.key" -out "$1.crt" -subj "$2" -days 30
}
signed() { # name, subject, extensions
  new_key "$1"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "$2"
  printf '%s\n' "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 -extfile "$1.ext" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

self_signed ca "/O=emqttd test/CN=Test CA"
self_signed stranger "/CN=stranger"
signed server "/O=emqttd test/CN=localhost" "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
signed other "/O=emqttd test/CN=other.example" "subjectAltName=DNS:other.example,DNS:*.other.example"
signed client "/O=emqttd test/CN=client-1" "extendedKeyUsage=clientAuth"
signed revoked "/O=emqttd test/CN=revoked-1" "extendedKeyUsage=clientAuth"

: > index.txt
echo 01 > crlnumber
cat > crl.cnf <<'CONF'
[ca]
default_ca = test
[test]
database = ./index.txt
crlnumber = ./crlnumber
default_md = sha256
default_crl_days = 30
CONF
openssl ca -batch -config crl.cnf -keyfile ca.key -cert ca.crt -revoke revoked.crt 2>/dev/null
openssl ca -batch -config crl.cnf -keyfile ca.key -cert ca.crt -gencrl -out crl.pem 2>/dev/null
rm -f index.txt* crlnumber* crl.cnf ca.srl
echo "$(pwd): ca, server, other, client, revoked, stranger (.crt and .key), crl.pem"
