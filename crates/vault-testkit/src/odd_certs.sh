#!/usr/bin/env bash
# Makes certificates that rcgen cannot make: odd_certs.sh FOLDER CA CA_KEY CLIENT CLIENT_KEY. What it makes for servers is for 127.0.0.1.
set -euo pipefail
cp "$2" "$1/ca.pem"
cp "$3" "$1/ca.key"
cp "$4" "$1/client.pem"
cp "$5" "$1/client.key"
cd "$1"
printf '[req]\ndistinguished_name = dn\n[dn]\n' >config
export OPENSSL_CONF=$PWD/config
exec 2>log

key() { openssl genpkey -algorithm "$2" "${@:3}" -out "$1.key"; }
curve() { key "$1" EC -pkeyopt "ec_paramgen_curve:$2"; }
rsa() { key "$1" "${3:-RSA}" -pkeyopt "rsa_keygen_bits:$2"; }
authority() {
    openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -addext basicConstraints=critical,CA:TRUE -out "$1.pem"
}
# NAME AUTHORITY DIGEST [EXTENSION]...: a certificate for the key that is there already.
issue() {
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    printf '%s\n' "${@:4}" >"$1.ext"
    (($# == 3)) || set -- "$1" "$2" "$3" -extfile "$1.ext"
    # shellcheck disable=SC2086
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial 7 -days 30 $3 "${@:4}" -out "$1.pem"
}
names='subjectAltName = IP:127.0.0.1, DNS:localhost'

curve p521-ca P-521 && authority p521-ca
curve of-p521-ca P-256 && issue of-p521-ca p521-ca -sha256 "$names"
key ed448-ca ED448 && authority ed448-ca
curve of-ed448-ca P-256 && issue of-ed448-ca ed448-ca '' "$names"
rsa rsa-ca 2048 && authority rsa-ca
curve sha1 P-256 && issue sha1 rsa-ca -sha1 "$names"
rsa rsa1024-ca 1024 && authority rsa1024-ca
curve of-rsa1024-ca P-256 && issue of-rsa1024-ca rsa1024-ca -sha256 "$names"
curve sha512 P-256 && issue sha512 ca -sha512 "$names"
curve version-1 P-256 && issue version-1 ca -sha256
curve critical P-256 && issue critical ca -sha256 "$names" '1.2.3.4 = critical, ASN1:UTF8String:x'
curve empty-purpose P-256 && issue empty-purpose ca -sha256 "$names" 'extendedKeyUsage = DER:30:00'
curve p521 P-521 && issue p521 ca -sha256 "$names"
rsa pss 2048 RSA-PSS && issue pss ca -sha256 "$names"
rsa rsa1024 1024 && issue rsa1024 ca -sha256 "$names"

# The client certificate and its key in the forms in which they are given by mistake.
openssl pkcs8 -topk8 -in client.key -passout pass:secret -out client-encrypted.key
openssl ec -in client.key -aes128 -passout pass:secret -out client-encrypted-ec.key
openssl pkey -in client.key -outform der -out client.key.der
openssl pkey -in client.key -pubout -out client.pub
openssl req -new -key client.key -subj /CN=client -out client.csr
openssl x509 -in client.pem -outform der -out client.der
openssl pkcs12 -export -in client.pem -inkey client.key -passout pass:secret -out client.p12
openssl crl2pkcs7 -nocrl -certfile client.pem -out client.p7
openssl crl2pkcs7 -nocrl -certfile client.pem -outform der -out client.p7.der
openssl x509 -in ca.pem -trustout -addtrust serverAuth -out ca.trusted
openssl x509 -in ca.pem -outform der -out ca.der
key ed448 ED448
