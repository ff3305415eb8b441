# shellcheck shell=sh
# A machine with a client certificate. The configuration of the mount stays as it is.

type=cert ttl=3m

judge() {
    [ "${CERT_CA_FILE-}" ] || fail 'CERT_CA_FILE: it is needed, the CA that signed the certificate'
    readable "$CERT_CA_FILE"
    names=$(values CERT_COMMON_NAMES "${CERT_COMMON_NAMES-}")
    dns=$(values CERT_DNS_SANS "${CERT_DNS_SANS-}")
    uris=$(values CERT_URI_SANS "${CERT_URI_SANS-}")
    # Without a name, any certificate of the CA could log in.
    [ "$names$dns$uris" ] || names=$role
}

make() {
    put_role "auth/$auth/certs/$role" certificate=@"$CERT_CA_FILE" allowed_common_names="$names" \
        allowed_dns_sans="$dns" allowed_uri_sans="$uris"
}

tell() {
    echo 'VAULT_CLIENT_CERT and VAULT_CLIENT_KEY: files with both; nothing may end TLS before Vault'
}
