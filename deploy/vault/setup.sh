#!/bin/sh
# Lets one service account read one secret: a KV version 2 mount, a policy with one rule, Kubernetes auth and a role.
# Goes as often as you like; prints a line for each of them. `--help` lists the settings.
#
# Policy and role carry this application's name: each run brings them to what is wanted here, but for a policy that this
# script cannot have written. The configuration of the auth method is shared with others: where there is one it stays,
# but for what K8S_HOST and the two files give.
set -eu
export LC_ALL=C

usage() {
    cat <<'END'
usage: [NAME=VALUE ...] setup.sh

Lets one service account read one secret of Vault or OpenBao: makes a KV version 2 mount, a policy, Kubernetes auth and
a role, or says that they are there. It takes no arguments. Settings are environment variables; in brackets is what
counts where one is unset:

  CLI                         the client, a name or a path [bao, or else vault]
  VAULT_ROLE                  name of role and policy [shop]
  VAULT_PATH                  path of the secret [shop/prod]
  VAULT_MOUNT_POINT           mount of the KV engine [kv]
  VAULT_K8S_AUTH_MOUNT_POINT  mount of the auth method [kubernetes]
  K8S_NAMESPACE               namespace of the service account [shop]
  K8S_SERVICE_ACCOUNT         its name [shop]
  K8S_AUDIENCE                audience of its token [vault]
  K8S_HOST                    Kubernetes API, as Vault reaches it [at first https://kubernetes.default.svc]
  K8S_CA_CERT_FILE            its CA; needed where Vault does not run in that cluster [what is there]
  K8S_REVIEWER_JWT_FILE       JWT to review tokens with [that of Vault's pod, or else the pod's own]
  TOKEN_TYPE                  type of the token that a login gets: service, batch or default [service]
  REPLACE                     1: the policy may be overwritten, whatever it says [it is not]

The client's own settings are Vault's address, namespace and login: VAULT_ADDR, VAULT_NAMESPACE, VAULT_TOKEN ...
END
}

case $#-${1-} in
0-) ;;
1--h | 1---help)
    usage
    exit
    ;;
*)
    echo 'setup.sh: it takes no arguments; settings are environment variables, which --help lists' >&2
    exit 64
    ;;
esac

# What the client prints is read below.
unset BAO_FORMAT VAULT_FORMAT BAO_WRAP_TTL VAULT_WRAP_TTL
hint='' unseen='' body=''

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

# A name of Kubernetes'.
kubernetes_name() {
    case $2 in
    '' | [!a-z0-9]* | *[!a-z0-9.-]*) fail "$1: not a name of Kubernetes': lower case letters, digits, . and -" ;;
    esac
    echo "$2"
}

# Reads; prints nothing where the server says that nothing is there. Another reason not to read it ends the script.
stands() {
    # Without what the client says beside it.
    if found=$("$cli" read "$@" 2>/dev/null); then
        # Not by echo, which some shells read `\n` in.
        printf '%s\n' "$found"
    else
        cause=$("$cli" read "$@" 2>&1) || true
        case $cause in
        *'No value found at '* | *'Field "'*'" not present in secret') ;;
        *'* No secret engine mount at '* | *'* No auth engine at '*) ;;
        *) fail "$(flat "$cause")" ;;
        esac
    fi
}

# A field of what can be read there.
field() {
    stands -field="$2" "$1"
}

# The same as JSON, a member a line.
members() {
    stands -format=json -field=data "$1"
}

# Of such members those that can be written back beside these fields; on one line.
others() {
    names=$1
    shift
    for given; do names="$names ${given%%=*}"; done
    awk -v names=" $names " '
        /^  "/ { split($0, part, "\""); left_out = index(names, " " part[2] " ") || /: null,?$/ }
        /^}/ { left_out = 0 }
        !left_out' | tr -d '\n' | sed 's/, *}$/}/'
}

# Writes fields beside those of `body` and tells by what can be read whether that was news, or `unseen`: what cannot be
# read back.
put() {
    what=$1 at=$2
    shift 2
    before=$(stands "$at")
    said=$(printf '%s' "$body" | "$cli" write "$at" - "$@" 2>&1) ||
        fail "$what was refused${hint:+; $hint}: $(flat "$said")"
    after=$(stands "$at")
    if [ "$unseen" ]; then
        echo "$what: $unseen"
    else
        case $before in
        '') echo "$what: made" ;;
        "$after") echo "$what: already there" ;;
        *) echo "$what: changed" ;;
        esac
    fi
}

role=$(name VAULT_ROLE "${VAULT_ROLE:-shop}")
path=$(name VAULT_PATH "${VAULT_PATH:-shop/prod}")
mount=$(name VAULT_MOUNT_POINT "${VAULT_MOUNT_POINT:-kv}")
auth=$(name VAULT_K8S_AUTH_MOUNT_POINT "${VAULT_K8S_AUTH_MOUNT_POINT:-kubernetes}")
case $role in
*/* | *[A-Z]*) fail 'VAULT_ROLE: no upper case, which the name of a policy cannot have, and no /' ;;
default | root | -*) fail "VAULT_ROLE: $role would not be a policy of this application's own" ;;
esac
case $auth in auth/*) fail 'VAULT_K8S_AUTH_MOUNT_POINT: write it without auth/, which is part of the API' ;; esac
case $path in data/*) fail 'VAULT_PATH: write it without data/, which is part of the API and not of the path' ;; esac
namespace=$(kubernetes_name K8S_NAMESPACE "${K8S_NAMESPACE:-shop}")
account=$(kubernetes_name K8S_SERVICE_ACCOUNT "${K8S_SERVICE_ACCOUNT:-shop}")
audience=${K8S_AUDIENCE:-vault}
# The client reads a file for @ and standard input for -.
case $audience in
- | @* | *[[:space:],*]*) fail 'K8S_AUDIENCE: one audience, without @ in front, comma, space or *' ;;
esac
case ${K8S_HOST:-https://kubernetes.default.svc} in
*[[:space:],*]* | http:// | https://) fail 'K8S_HOST: a URL without space, comma or *' ;;
http://* | https://*) ;;
*) fail 'K8S_HOST: a URL begins with https:// or http://' ;;
esac
token_type=${TOKEN_TYPE:-service}
case $token_type in
service | batch | default) ;;
*) fail 'TOKEN_TYPE: service, batch or default' ;;
esac
for file in ${K8S_CA_CERT_FILE:+"$K8S_CA_CERT_FILE"} ${K8S_REVIEWER_JWT_FILE:+"$K8S_REVIEWER_JWT_FILE"}; do
    [ -r "$file" ] || fail "$file cannot be read"
done

cli=${CLI:-$(command -v bao || command -v vault)} || fail 'neither bao nor vault is on PATH'

# The client knows best where it goes: its command lines for curl hold the address.
said=$("$cli" status 2>&1) || {
    code=$?
    # `bao` puts it between quotes, `vault` does not.
    address=$("$cli" status -output-curl-string 2>/dev/null | sed -n 's|.* "\{0,1\}\(http[^" ]*\)/v1/.*|\1|p') || :
    vault=vault${address:+ at $address}
    case $code-$(flat "$said") in
    2-*'Initialized false'*) fail "$vault: not initialised; run \`operator init\` on it" ;;
    2-*) fail "$vault: sealed; unseal it" ;;
    *) fail "$vault: not reached: $(flat "$said")" ;;
    esac
}
# It prints the token itself, which no variable may hold: `sh -x` shows them.
said=$("$cli" token lookup 2>&1 >/dev/null) || fail "no token that works, set VAULT_TOKEN: $(flat "$said")"

type=$(field "sys/mounts/$mount" type)
options=$(field "sys/mounts/$mount" options)
case $type-$options in
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
before=$(field "sys/policies/acl/$role" policy)
if [ "$before" = "$rule" ]; then
    echo "policy $role: already there"
else
    own='path "[A-Za-z0-9/_.-]+/data/[A-Za-z0-9/_.-]+" \{ capabilities = \["read"\] \}'
    [ ! "$before" ] || [ "${REPLACE-}" = 1 ] || flat "$before" | grep -Eqx "$own" ||
        fail "policy $role: there, with other rules than this script's; REPLACE=1 overwrites them"
    echo "$rule" | "$cli" policy write "$role" - >/dev/null
    if [ "$before" ]; then echo "policy $role: changed"; else echo "policy $role: made"; fi
fi

type=$(field "sys/auth/$auth" type)
case $type in
'')
    "$cli" auth enable -path="$auth" kubernetes >/dev/null
    echo "auth method $auth: made"
    ;;
kubernetes) echo "auth method $auth: already there" ;;
*) fail "auth method $auth is not of the type kubernetes" ;;
esac

# The auth method's configuration is not this application's alone. A write replaces all of it, so that what stays is
# written again, whatever the server calls it; what cannot be read back cannot stay.
config=auth/$auth/config what="configuration of $auth"
there=$(members "$config")
if [ "$there" ] && [ ! "${K8S_HOST-}${K8S_CA_CERT_FILE-}${K8S_REVIEWER_JWT_FILE-}" ]; then
    echo "$what: there, left as it is"
else
    set -- ${K8S_HOST:+kubernetes_host="$K8S_HOST"} ${K8S_CA_CERT_FILE:+kubernetes_ca_cert=@"$K8S_CA_CERT_FILE"} \
        ${K8S_REVIEWER_JWT_FILE:+token_reviewer_jwt=@"$K8S_REVIEWER_JWT_FILE"}
    if [ "$there" ]; then
        reviewer=$(field "$config" token_reviewer_jwt_set)
        case $reviewer-${K8S_REVIEWER_JWT_FILE-} in
        true-)
            fail "$what: it has a reviewer JWT, which cannot be read back; give K8S_REVIEWER_JWT_FILE too"
            ;;
        -)
            unseen='written; this server does not tell whether it had a reviewer JWT: if so, give K8S_REVIEWER_JWT_FILE'
            ;;
        esac
        body=$(printf '%s\n' "$there" | others token_reviewer_jwt_set "$@")
    else
        # The issuer is judged by the Kubernetes API, which reviews each token.
        set -- "$@" disable_iss_validation=true
        [ "${K8S_HOST-}" ] || set -- "$@" kubernetes_host=https://kubernetes.default.svc
        body={}
    fi
    hint='set K8S_HOST and K8S_CA_CERT_FILE where Vault runs outside the cluster'
    unseen=${K8S_REVIEWER_JWT_FILE:+reviewer JWT written}${unseen}
    put "$what" "$config" "$@"
    hint='' unseen=
fi

# A service token, because a batch token cannot be revoked: that one lives on until its three minutes are over. They are
# a minute more than a start may take (VAULT_STARTUP_TIMEOUT), should the revoke be prevented. The write names all that
# would let a token do or last more; what else a role of that name has is written back.
at=auth/$auth/role/$role
there=$(members "$at")
set -- bound_service_account_names="$account" bound_service_account_namespaces="$namespace" \
    bound_service_account_namespace_selector= audience="$audience" alias_name_source=serviceaccount_uid \
    token_policies="$role" token_no_default_policy=false token_type="$token_type" token_ttl=3m token_max_ttl=3m \
    token_explicit_max_ttl=0 token_period=0 token_num_uses=0 token_bound_cidrs= token_strictly_bind_ip=false
# Older names of the same, which a role can be read with.
older='policies ttl max_ttl period num_uses bound_cidrs'
body={}
[ ! "$there" ] || body=$(printf '%s\n' "$there" | others "$older" "$@")
put "role $role" "$at" "$@"
