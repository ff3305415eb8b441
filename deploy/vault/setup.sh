#!/bin/sh
# Lets one service account read one secret: a KV version 2 mount, a policy with one rule, Kubernetes auth and a role.
# Goes as often as you like; prints a line for each of them. Uses `bao` or `vault`, with its address, namespace and
# login (VAULT_ADDR, VAULT_NAMESPACE, VAULT_TOKEN ...).
#
# Policy and role carry this application's name: each run brings them to what is wanted here. The configuration of the
# auth method is shared with others: where there is one it stays, but for what the last three variables give.
#
#   CLI                         which of the two; unset: the one that is there, bao first
#   VAULT_ROLE                  name of role and policy [shop]
#   VAULT_PATH                  path of the secret [shop/prod]
#   VAULT_MOUNT_POINT           mount of the KV engine [kv]
#   VAULT_K8S_AUTH_MOUNT_POINT  mount of the auth method [kubernetes]
#   K8S_NAMESPACE               namespace of the service account [shop]
#   K8S_SERVICE_ACCOUNT         its name [shop]
#   K8S_AUDIENCE                audience of its token [vault]
#   K8S_HOST                    Kubernetes API, as Vault reaches it [at first https://kubernetes.default.svc]
#   K8S_CA_CERT_FILE            its CA; needed where Vault does not run in that cluster
#   K8S_REVIEWER_JWT_FILE       JWT to review tokens with; unset: that of Vault's pod, or else the pod's own
set -eu
export LC_ALL=C
hint=

fail() {
    echo "setup.sh: $*" >&2
    exit 1
}

# What a client said, in one line.
flat() {
    printf '%s' "$1" | tr -s '[:space:]' ' '
}

# A name as vault-exec takes it, without the slashes around it.
name() {
    setting=$1 it=$2
    while :; do
        case $it in
        /*) it=${it#/} ;;
        */) it=${it%/} ;;
        *) break ;;
        esac
    done
    case /$it/ in
    *//* | */./* | */../*) fail "$setting: a part of it is empty, . or ..; write it without these" ;;
    *[!A-Za-z0-9/_.-]*) fail "$setting: only letters, digits and / _ . - stand for themselves in a policy" ;;
    esac
    echo "$it"
}

# A field of what can be read there; empty where there is nothing.
field() {
    "$cli" read -field="$2" "$1" 2>/dev/null || true
}

# What can be read there; empty where there is nothing. Another reason not to read it ends the script.
stands() {
    if found=$("$cli" read "$1" 2>&1); then
        echo "$found"
    else
        case $found in 'No value found at '*) ;; *) fail "$(flat "$found")" ;; esac
    fi
}

# Writes fields and tells by what can be read whether that was news.
put() {
    what=$1 at=$2
    shift 2
    before=$(stands "$at")
    said=$("$cli" write "$at" "$@" 2>&1) || fail "$what was refused${hint:+; $hint}: $(flat "$said")"
    after=$(stands "$at")
    case $before in
    '') echo "$what: made" ;;
    "$after") echo "$what: already there" ;;
    *) echo "$what: changed" ;;
    esac
}

role=$(name VAULT_ROLE "${VAULT_ROLE:-shop}")
path=$(name VAULT_PATH "${VAULT_PATH:-shop/prod}")
mount=$(name VAULT_MOUNT_POINT "${VAULT_MOUNT_POINT:-kv}")
auth=$(name VAULT_K8S_AUTH_MOUNT_POINT "${VAULT_K8S_AUTH_MOUNT_POINT:-kubernetes}")
case $path in data/*) fail 'VAULT_PATH: write it without data/, which is part of the API and not of the path' ;; esac
for file in ${K8S_CA_CERT_FILE:+"$K8S_CA_CERT_FILE"} ${K8S_REVIEWER_JWT_FILE:+"$K8S_REVIEWER_JWT_FILE"}; do
    [ -r "$file" ] || fail "$file cannot be read"
done

cli=${CLI:-$(command -v bao || command -v vault)} || fail 'neither bao nor vault is on PATH'

# The client knows best where it goes: its command lines for curl hold the address.
said=$("$cli" status 2>&1) || {
    code=$?
    address=$("$cli" status -output-curl-string 2>/dev/null | sed 's|.*"\(http.*\)/v1/.*|\1|')
    case $code-$(flat "$said") in
    2-*'Initialized false'*) fail "vault at $address: not initialised; run \`operator init\` on it" ;;
    2-*) fail "vault at $address: sealed; unseal it" ;;
    *) fail "vault at $address: not reached: $(flat "$said")" ;;
    esac
}
said=$("$cli" token lookup 2>&1) || fail "no token that works, set VAULT_TOKEN: $(flat "$said")"

case $(field "sys/mounts/$mount" type)-$(field "sys/mounts/$mount" options) in
-)
    "$cli" secrets enable -path="$mount" -version=2 kv >/dev/null
    echo "mount $mount: made"
    ;;
kv-*version:2*) echo "mount $mount: already there" ;;
*) fail "mount $mount is not KV version 2" ;;
esac

# The token of a login can read this one secret and nothing else. That vault-exec may revoke it, and --check look at
# it, is granted by the policy `default`, which every token has unless the role takes it away.
rule="path \"$mount/data/$path\" { capabilities = [\"read\"] }"
before=$("$cli" policy read "$role" 2>/dev/null) || before=
if [ "$before" = "$rule" ]; then
    echo "policy $role: already there"
else
    echo "$rule" | "$cli" policy write "$role" - >/dev/null
    if [ "$before" ]; then echo "policy $role: changed"; else echo "policy $role: made"; fi
fi

case $(field "sys/auth/$auth" type) in
'')
    "$cli" auth enable -path="$auth" kubernetes >/dev/null
    echo "auth method $auth: made"
    ;;
kubernetes) echo "auth method $auth: already there" ;;
*) fail "auth method $auth is not of the type kubernetes" ;;
esac

# The auth method's configuration is not this application's alone. A write replaces all of it, so that what stays is
# written again; what cannot be read back cannot stay.
config=auth/$auth/config what="configuration of $auth"
there=$(stands "$config")
if [ "$there" ] && [ ! "${K8S_HOST-}${K8S_CA_CERT_FILE-}${K8S_REVIEWER_JWT_FILE-}" ]; then
    echo "$what: there, left as it is"
else
    # The issuer is judged by the Kubernetes API, which reviews each token.
    set -- disable_iss_validation=true
    host=https://kubernetes.default.svc ca=
    if [ "$there" ]; then
        [ "${K8S_REVIEWER_JWT_FILE-}" ] || [ "$(field "$config" token_reviewer_jwt_set)" = false ] ||
            fail "$what: it has a reviewer JWT, which cannot be read back; give K8S_REVIEWER_JWT_FILE too"
        case $(field "$config" pem_keys) in
        '' | '[]') ;;
        *) fail "$what: it has pem_keys, which this script does not write; change it by hand" ;;
        esac
        set --
        for kept in disable_iss_validation disable_local_ca_jwt issuer; do
            value=$("$cli" read -field="$kept" "$config")
            set -- "$@" "$kept=$value"
        done
        host=$("$cli" read -field=kubernetes_host "$config")
        # With the newline that it ends with.
        ca=$("$cli" read -field=kubernetes_ca_cert "$config" && echo .)
        ca=${ca%.}
    fi
    if [ "${K8S_CA_CERT_FILE-}" ]; then ca=@$K8S_CA_CERT_FILE; fi
    hint='set K8S_HOST and K8S_CA_CERT_FILE where Vault runs outside the cluster'
    put "$what" "$config" "$@" kubernetes_host="${K8S_HOST:-$host}" kubernetes_ca_cert="$ca" \
        ${K8S_REVIEWER_JWT_FILE:+token_reviewer_jwt=@"$K8S_REVIEWER_JWT_FILE"}
    hint=
fi

# A service token, because a batch token cannot be revoked. It lives a minute longer than a start may take
# (VAULT_STARTUP_TIMEOUT), should the revoke be prevented.
put "role $role" "auth/$auth/role/$role" \
    bound_service_account_names="${K8S_SERVICE_ACCOUNT:-shop}" \
    bound_service_account_namespaces="${K8S_NAMESPACE:-shop}" audience="${K8S_AUDIENCE:-vault}" \
    token_policies="$role" token_no_default_policy=false token_type=service token_ttl=3m token_max_ttl=3m
