#!/bin/sh
# Lets one program read one secret: a KV version 2 mount, a policy with one rule, an auth method and a role. METHOD says
# how the program logs in; what is that method's own is in the folder methods, which is copied along with this file.
# With FOR=gateway it lets vault-gateway serve one tenant; gateway.sh, which is copied along as well, has what that needs.
# Goes as often as you like; prints a line for each thing that it makes. `--help` lists the settings.
#
# Policy and role carry this application's name: each run brings them to what is wanted here, but for a policy that this
# script cannot have written. The configuration of an auth method is shared with others: where there is one it stays,
# but for what the settings about it give.
set -eu
export LC_ALL=C

usage() {
    cat <<'END'
usage: [NAME=VALUE ...] setup.sh

Lets one program read one secret of Vault or OpenBao: makes a KV version 2 mount, a policy, an auth method and a role,
or says that they are there. With FOR=gateway it lets vault-gateway serve one tenant. It takes no arguments.
Settings are environment variables; in brackets is what counts where one is unset.

For each method:

  FOR                         program, or gateway: a tenant of vault-gateway [program]
  METHOD                      how it logs in: kubernetes, approle, jwt-github, jwt-gitlab, cert or oidc [kubernetes]
  CLI                         the client, a name or a path [bao, or else vault]
  VAULT_ROLE                  name of role and policy [with FOR=gateway vault-gateway; else shop]
  VAULT_PATH                  path of the secret, one; with FOR=gateway a prefix [there it is needed; else shop/prod]
  VAULT_MOUNT_POINT           mount of the KV engine [kv]
  VAULT_AUTH_MOUNT            mount of the auth method [the word of METHOD]
  TOKEN_TYPE                  type of the token that a login gets: service, batch or default [service]
  TOKEN_TTL                   how long that token lasts: 180, 3m, 8h [3m; with oidc 8h; with FOR=gateway 1h]
  TOKEN_MAX_TTL               how long it can last if it is renewed [TOKEN_TTL]
  BOUND_CIDRS                 networks that logins and their tokens are taken from, with commas between [any]
  REPLACE                     1: a policy may be overwritten, whatever it says [it is not]

FOR=gateway, a tenant of vault-gateway; METHOD is kubernetes or cert, and VAULT_PATH=/ is the whole mount:

  ALLOW                       actions that its login at Vault is enough for, with commas between [read,list]
                              of read,write,delete,list,history,restore,destroy;
                              with write, delete or restore it can read as well

METHOD=kubernetes, a pod:

  VAULT_K8S_AUTH_MOUNT_POINT  mount of the auth method; wins over VAULT_AUTH_MOUNT [VAULT_AUTH_MOUNT]
  K8S_NAMESPACE               namespace of the service account [with FOR=gateway vault-gateway; else shop]
  K8S_SERVICE_ACCOUNT         its name [with FOR=gateway vault-gateway; else shop]
  K8S_AUDIENCE                audience of its token [vault]
  K8S_HOST                    Kubernetes API, as Vault reaches it [at first https://kubernetes.default.svc]
  K8S_CA_CERT_FILE            its CA; needed where Vault does not run in that cluster [what is there]
  K8S_REVIEWER_JWT_FILE       JWT to review tokens with [that of Vault's pod, or else the pod's own]

METHOD=approle, a machine that another program hands a secret id:

  SECRET_ID_TTL               how long a secret id can be used: 3600, 60m, 1h [1h]
  SECRET_ID_NUM_USES          logins that it is good for; 0: any number [4]
  WRAP_TTL                    how long a wrapped one waits to be unwrapped [10m]

METHOD=jwt-github, a job of GitHub Actions; METHOD=jwt-gitlab, a job of GitLab CI:

  JWT_REPOSITORY              with jwt-github: OWNER/REPOSITORY [none, it is needed]
  JWT_PROJECT                 with jwt-gitlab: GROUP/PROJECT [none, it is needed]
  JWT_REF                     the ref; of GitLab a protected branch [main; none where jwt-github has JWT_ENVIRONMENT]
  JWT_ENVIRONMENT             the job's environment [any]
  JWT_CLAIMS                  more claims, NAME=VALUE with commas between, such as repository_id=1 [none]
  JWT_AUDIENCE                audience of the job's ID token [vault]
  JWT_ISSUER                  who signs it [https://token.actions.githubusercontent.com; GitLab: https://gitlab.com]
  JWT_CA_FILE                 CA of the issuer's server [the system's]
  JWT_PUBKEYS_FILE            the issuer's public keys in PEM, where Vault cannot reach its server [they are fetched]

METHOD=cert, a machine with a client certificate:

  CERT_CA_FILE                the CA that signed it [none, it is needed]
  CERT_COMMON_NAMES           common names, with commas between [VAULT_ROLE, where no name in a SAN is given]
  CERT_DNS_SANS               DNS names in it, with commas between [any]
  CERT_URI_SANS               URIs in it, with commas between [any]

METHOD=oidc, a person:

  OIDC_ISSUER                 URL of the provider; needed at first [what is there]
  OIDC_CLIENT_ID              Vault's name at the provider; needed at first [what is there]
  OIDC_CLIENT_SECRET_FILE     file with Vault's secret at the provider; needed at first [what is there]
  OIDC_CA_FILE                CA of the provider's server [the system's]
  OIDC_CLAIMS                 who may log in, as JWT_CLAIMS, such as groups=shop [none, it is needed]
  OIDC_ANYONE                 1: whoever has an account at the provider may [only those of OIDC_CLAIMS]
  OIDC_USER_CLAIM             claim that tells people apart [sub]
  OIDC_SCOPES                 scopes to ask for beside openid, with commas between [none]
  OIDC_CALLBACK               client: to the person's own machine; OpenBao has direct and device too [client]
  OIDC_VAULT_URL              with direct: Vault, as the person's browser reaches it [none, it is needed]

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
hint='' unseen='' body='' claims=''

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

# A time as the servers read it. They would take 3ms for no limit at all.
duration() {
    number=${2%[smh]}
    case $number in
    '' | [!1-9]* | *[!0-9]*) fail "$1: a time in seconds, or with s, m or h behind it: 3m" ;;
    esac
    echo "$2"
}

# Values with commas between: the client reads a file for @ and standard input for -, and to servers * is any.
values() {
    case $2 in
    - | @* | *[!A-Za-z0-9/_.:,@=+~-]*) fail "$1: only letters, digits and / _ . : , @ = + ~ -, without @ in front" ;;
    esac
    echo "$2"
}

# One value.
value() {
    case $2 in
    '' | - | @* | *[[:space:],*\"\\]*) fail "$1: one ${3-value}, without @ in front, comma, space or *" ;;
    esac
    echo "$2"
}

url() {
    case $2 in
    *[[:space:],*\"\\]* | http:// | https://) fail "$1: a URL without space, comma or *" ;;
    http://* | https://*) ;;
    *) fail "$1: a URL begins with https:// or http://" ;;
    esac
    echo "$2"
}

# Each of these files can be read; one that is not set is none.
readable() {
    for file; do
        [ ! "$file" ] || [ -r "$file" ] || fail "$file cannot be read"
    done
}

# Binds a claim: `claims` are the members of a JSON object.
claim() {
    case $3 in
    '' | *[,*\"\\[:cntrl:]]*) fail "$1: one value, without comma, *, quotation mark and backslash" ;;
    esac
    case ,$claims in *",\"$2\":"*) fail "$1: $2 is bound already" ;; esac
    claims=${claims:+$claims,}\"$2\":\"$3\"
}

# The same for each NAME=VALUE of a setting.
claims_of() {
    pairs=${2:+$2,}
    while [ "$pairs" ]; do
        pair=${pairs%%,*} pairs=${pairs#*,}
        case ${pair%%=*} in
        '' | "$pair" | [!a-z]* | *[!a-z0-9_]*) fail "$1: NAME=VALUE, the name of lower case letters, digits and _" ;;
        esac
        claim "$1" "${pair%%=*}" "${pair#*=}"
    done
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
        *'No value found at '* | *'Field "'*'" not present in secret' | *'Could not find header in config'*) ;;
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

# Writes a policy that is this application's own: those rules, and what an earlier run can have written in their place,
# as an expression.
put_policy() {
    before=$(field "sys/policies/acl/$1" policy)
    if [ "$before" = "$2" ]; then
        echo "policy $1: already there"
        return
    fi
    [ ! "$before" ] || [ "${REPLACE-}" = 1 ] || flat "$before" | grep -Eqx "$3" ||
        fail "policy $1: there, with other rules than this script's; REPLACE=1 overwrites them"
    echo "$2" | "$cli" policy write "$1" - >/dev/null
    if [ "$before" ]; then echo "policy $1: changed"; else echo "policy $1: made"; fi
}

# Writes a role: its own fields, and all that would let a token do or last more. What else a role of that name has is
# written back, but for `dropped`; `members_too` are members that no argument of the client can be.
#
# A service token, because a batch token cannot be revoked: that one lives on until its time is over. The three minutes
# are a minute more than a start may take (VAULT_STARTUP_TIMEOUT), should the revoke be prevented.
put_role() {
    at=$1
    shift
    there=$(members "$at")
    set -- "$@" token_policies="$role" token_no_default_policy=false token_type="$token_type" token_ttl="$token_ttl" \
        token_max_ttl="$token_max_ttl" token_explicit_max_ttl=0 token_period=0 token_num_uses=0 \
        token_bound_cidrs="$cidrs" token_strictly_bind_ip=false
    # Older names of the same, which a role can be read with.
    older='policies ttl max_ttl period num_uses bound_cidrs'
    body={}
    [ ! "$there" ] || body=$(printf '%s\n' "$there" | others "$older $dropped" "$@")
    if [ "$members_too" ]; then
        body="{$members_too,${body#\{}"
        case $body in *,\}) body=${body%,\}}\} ;; esac
    fi
    put "role $role" "$at" "$@"
}

# Stops where this field of the auth method's configuration is another than this, which others count on. The last is the
# setting that gives it.
same() {
    found=$(field "$config" "$1")
    [ "$found" = "$2" ] ||
        fail "$what: there, for ${found:-none in particular} and not for $2; \
${found:+give $3=$found, or }name another mount by VAULT_AUTH_MOUNT"
}

# The settings, judged before anything is asked.
whom=${FOR:-program}
case $whom in
program) owner=shop ;;
gateway) owner="vault-gateway" ;;
*) fail "FOR: $(flat "$whom") is unknown; it is program or gateway" ;;
esac
role=$(name VAULT_ROLE "${VAULT_ROLE:-$owner}")
case ${VAULT_PATH-} in
*,*) fail 'VAULT_PATH: one path, without comma; another path is another rule in a policy: docs/logins.md says how' ;;
esac
if [ "$whom" = program ]; then path=$(name VAULT_PATH "${VAULT_PATH:-shop/prod}"); fi
mount=$(name VAULT_MOUNT_POINT "${VAULT_MOUNT_POINT:-kv}")
method=${METHOD:-kubernetes}
case $method in
kubernetes | approle | cert | oidc) part=$method ;;
jwt-github | jwt-gitlab) part=jwt ;;
*) fail "METHOD: $(flat "$method") is unknown; it is kubernetes, approle, jwt-github, jwt-gitlab, cert or oidc" ;;
esac
mount_setting=VAULT_AUTH_MOUNT auth=${VAULT_AUTH_MOUNT:-$method}
if [ "$part" = kubernetes ] && [ "${VAULT_K8S_AUTH_MOUNT_POINT-}" ]; then
    mount_setting=VAULT_K8S_AUTH_MOUNT_POINT auth=$VAULT_K8S_AUTH_MOUNT_POINT
fi
auth=$(name "$mount_setting" "$auth")
case $role in
*/* | *[A-Z]*) fail 'VAULT_ROLE: no upper case, which the name of a policy cannot have, and no /' ;;
default | root | -*) fail "VAULT_ROLE: $role would not be a policy of this application's own" ;;
esac
case $auth in auth/*) fail "$mount_setting: write it without auth/, which is part of the API" ;; esac
# shellcheck source=SCRIPTDIR/gateway.sh
if [ "$whom" = gateway ]; then
    [ -r "$(dirname "$0")/gateway.sh" ] || fail "$(dirname "$0")/gateway.sh is not there; copy it along with this file"
    . "$(dirname "$0")/gateway.sh"
    judge_gateway
fi
case $path in data/*) fail 'VAULT_PATH: write it without data/, which is part of the API and not of the path' ;; esac
token_type=${TOKEN_TYPE:-service}
case $token_type in
service | batch | default) ;;
*) fail 'TOKEN_TYPE: service, batch or default' ;;
esac
cidrs=${BOUND_CIDRS-}
case $cidrs in *[!0-9A-Fa-f.:/,]*) fail 'BOUND_CIDRS: networks such as 192.0.2.0/24, with commas between' ;; esac
here=$(dirname "$0")/methods
[ -r "$here/$part.sh" ] || fail "$here/$part.sh is not there; copy the folder methods along with this file"
# What a method has: `type`, that of the auth method; `ttl`, the default of TOKEN_TTL; `judge`, which looks at the
# settings, `make`, which writes configuration and role, and `tell`, which says what is set on the client beside what
# all methods need there.
# shellcheck source=SCRIPTDIR/methods/kubernetes.sh
# shellcheck source=SCRIPTDIR/methods/approle.sh
# shellcheck source=SCRIPTDIR/methods/jwt.sh
# shellcheck source=SCRIPTDIR/methods/cert.sh
# shellcheck source=SCRIPTDIR/methods/oidc.sh
. "$here/$part.sh"
if [ "$whom" = gateway ]; then ttl=1h; fi
judge
token_ttl=$(duration TOKEN_TTL "${TOKEN_TTL:-$ttl}")
token_max_ttl=$(duration TOKEN_MAX_TTL "${TOKEN_MAX_TTL:-$token_ttl}")

cli=${CLI:-$(command -v bao || command -v vault)} || fail 'neither bao nor vault is on PATH'

# The client knows best where it goes: its command lines for curl hold the address.
said=$("$cli" status 2>&1) || {
    code=$?
    # `bao` puts it between quotes, `vault` does not.
    address=$("$cli" status -output-curl-string 2>/dev/null | sed -n 's|.* "\{0,1\}\(http[^" ]*\)/v1/.*|\1|p') || :
    vault=vault${address:+ at $address}
    case $address in https://127.0.0.1:8200) vault="$vault, the client's default without VAULT_ADDR" ;; esac
    case $code-$(flat "$said") in
    2-*'Initialized false'*) fail "$vault: not initialised; run \`operator init\` on it" ;;
    2-*) fail "$vault: sealed; unseal it" ;;
    *) fail "$vault: not reached: $(flat "$said")" ;;
    esac
}
# It prints the token itself, which no variable may hold: `sh -x` shows them.
said=$("$cli" token lookup 2>&1 >/dev/null) || fail "no token that works, set VAULT_TOKEN: $(flat "$said")"

# The client knows best which namespace it works in, too.
vault_namespace=$("$cli" read -output-curl-string sys/mounts 2>/dev/null |
    sed -n 's|.*X-Vault-Namespace: \([^" ]*[^" /]\)/*".*|\1|p') || :

found=$(field "sys/mounts/$mount" type)
options=$(field "sys/mounts/$mount" options)
case $found-$options in
-)
    "$cli" secrets enable -path="$mount" -version=2 kv >/dev/null
    echo "mount $mount: made"
    ;;
kv-*version:2*) echo "mount $mount: already there" ;;
*) fail "mount $mount is not KV version 2" ;;
esac

# The token of a program's login can read this one secret and nothing else. That it may be renewed and revoked, and
# --check look at it, is granted by the policy `default`, which every token has unless the role takes it away.
case $whom in
gateway) put_policy "$role" "$(gateway_rules)" "$gateway_pattern" ;;
*)
    put_policy "$role" "path \"$mount/data/$path\" { capabilities = [\"read\"] }" \
        'path "[A-Za-z0-9/_.-]+/data/[A-Za-z0-9/_.-]+" \{ capabilities = \["read"\] \}'
    ;;
esac

found=$(field "sys/auth/$auth" type)
case $found in
'')
    "$cli" auth enable -path="$auth" "$type" >/dev/null
    echo "auth method $auth: made"
    ;;
"$type") echo "auth method $auth: already there" ;;
*) fail "auth method $auth is not of the type $type" ;;
esac

config=auth/$auth/config what="configuration of $auth" dropped='' members_too=''
make

if [ "$whom" = gateway ]; then
    audit_header
    tell_tenant
else
    # The role id of approle names its role.
    case $part in approle) by_role='' ;; *) by_role=" VAULT_ROLE=$role" ;; esac
    echo "settings of the program: VAULT_AUTH_METHOD=$part VAULT_AUTH_MOUNT=$auth$by_role VAULT_MOUNT_POINT=$mount \
VAULT_PATH=$path${vault_namespace:+ VAULT_NAMESPACE=$vault_namespace}"
fi
tell
