#!/bin/sh
# Lets one service account read one secret: a KV version 2 mount, a policy with one rule, Kubernetes auth and a role.
# Goes as often as you like; prints a line for each of them. Uses `bao` or `vault`, with its address, namespace and
# login (VAULT_ADDR, VAULT_NAMESPACE, VAULT_TOKEN ...).
#
#   CLI                         which of the two; unset: the one that is there, bao first
#   VAULT_ROLE                  name of role and policy [shop]
#   VAULT_PATH                  path of the secret [shop/prod]
#   VAULT_MOUNT_POINT           mount of the KV engine [kv]
#   VAULT_K8S_AUTH_MOUNT_POINT  mount of the auth method [kubernetes]
#   K8S_NAMESPACE               namespace of the service account [shop]
#   K8S_SERVICE_ACCOUNT         its name [shop]
#   K8S_AUDIENCE                audience of its token [vault]
#   K8S_HOST                    Kubernetes API, as Vault reaches it [https://kubernetes.default.svc]
#   K8S_CA_CERT_FILE            its CA; needed where Vault does not run in that cluster
#   K8S_REVIEWER_JWT_FILE       JWT to review tokens with; unset: that of Vault's pod, or else the pod's own
set -eu
export LC_ALL=C

role=${VAULT_ROLE:-shop}
path=${VAULT_PATH:-shop/prod}
mount=${VAULT_MOUNT_POINT:-kv}
auth=${VAULT_K8S_AUTH_MOUNT_POINT:-kubernetes}

fail() {
    echo "setup.sh: $*" >&2
    exit 1
}

# A field of what can be read there; empty where there is nothing.
field() {
    "$cli" read -field="$2" "$1" 2>/dev/null || true
}

# Writes fields and tells by what can be read whether that was news.
put() {
    what=$1 at=$2
    shift 2
    before=$("$cli" read "$at" 2>/dev/null) || before=
    "$cli" write "$at" "$@" >/dev/null
    after=$("$cli" read "$at")
    case $before in
    '') echo "$what: made" ;;
    "$after") echo "$what: already there" ;;
    *) echo "$what: changed" ;;
    esac
}

case $role$path$mount$auth in
*[!A-Za-z0-9/_.-]*) fail 'only letters, digits and / _ . - stand for themselves in a policy' ;;
esac

cli=${CLI:-$(command -v bao || command -v vault)} || fail 'neither bao nor vault is on PATH'
said=$("$cli" token lookup 2>&1) || fail "no token that works, set VAULT_TOKEN: $(echo "$said" | tr '\n' ' ')"

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

# The issuer is judged by the Kubernetes API, which reviews each token.
put "configuration of $auth" "auth/$auth/config" disable_iss_validation=true \
    kubernetes_host="${K8S_HOST:-https://kubernetes.default.svc}" \
    ${K8S_CA_CERT_FILE:+kubernetes_ca_cert=@"$K8S_CA_CERT_FILE"} \
    ${K8S_REVIEWER_JWT_FILE:+token_reviewer_jwt=@"$K8S_REVIEWER_JWT_FILE"}

# A service token, because a batch token cannot be revoked. It lives a minute longer than a start may take
# (VAULT_STARTUP_TIMEOUT), should the revoke be prevented.
put "role $role" "auth/$auth/role/$role" \
    bound_service_account_names="${K8S_SERVICE_ACCOUNT:-shop}" \
    bound_service_account_namespaces="${K8S_NAMESPACE:-shop}" audience="${K8S_AUDIENCE:-vault}" \
    token_policies="$role" token_no_default_policy=false token_type=service token_ttl=3m token_max_ttl=3m
