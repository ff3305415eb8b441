# shellcheck shell=sh
# What FOR=gateway has of its own: the gateway reads and writes below a prefix, for callers whom its own rules judge.

judge_gateway() {
    case $part in
    kubernetes | cert) ;;
    *) fail 'METHOD: with FOR=gateway it is kubernetes or cert, with which a service can log in again at any time' ;;
    esac
    [ "${VAULT_PATH-}" ] || fail 'VAULT_PATH: with FOR=gateway it is needed, the prefix; / is the whole mount'
    case $VAULT_PATH in
    /) path='' ;;
    *) path=$(name VAULT_PATH "$VAULT_PATH") ;;
    esac
    allow=${ALLOW:-read,list}
    rest=$allow,
    while [ "$rest" ]; do
        case ${rest%%,*} in
        read | write | delete | list | history | restore | destroy) rest=${rest#*,} ;;
        *) fail 'ALLOW: words of read, write, delete, list, history, restore, destroy, with commas between' ;;
        esac
    done
}

# Whether ALLOW has one of these words.
allows() {
    for word; do
        case ,$allow, in *,"$word",*) return 0 ;; esac
    done
    return 1
}

# The rule of a part of the API below the prefix, where it has these capabilities.
rule() {
    [ ! "$2" ] ||
        printf 'path "%s/%s/%s*" { capabilities = [%s] }\n' "$mount" "$1" "${path:+$path/}" "${2#, }"
}

# What the gateway sends to Vault for each action. It reads the secret for a condition of a write or of a delete, for a
# merge, and for a rollback. docs/gateway.md has a table of this.
gateway_rules() {
    data='' metadata='' delete='' undelete='' destroy=''
    if allows write; then data=', "create"'; fi
    if allows delete; then data="$data, \"delete\"" delete=', "update"'; fi
    if allows read write delete restore; then data="$data, \"read\""; fi
    if allows write; then data="$data, \"update\""; fi
    if allows list; then metadata=', "list"'; fi
    if allows history; then metadata="$metadata, \"read\""; fi
    if allows restore; then undelete=', "update"'; fi
    if allows destroy; then destroy=', "update"'; fi
    rule data "$data"
    rule metadata "$metadata"
    rule delete "$delete"
    rule undelete "$undelete"
    rule destroy "$destroy"
}

# What this function can have written.
gateway_pattern='(path "[A-Za-z0-9/_.-]+/(data|metadata|delete|undelete|destroy)/[A-Za-z0-9/_.-]*\*" '\
'\{ capabilities = \[("(create|delete|list|read|update)"(, )?)+\] \} ?)+'

# Has Vault's audit log show the gateway's id of a request. The setting is the whole server's, and is in the root
# namespace: whoever sets up a tenant may not be allowed to write it.
audit_header() (
    unset BAO_NAMESPACE VAULT_NAMESPACE
    header=x-correlation-id
    at=sys/config/auditing/request-headers/$header
    if before=$(stands "$at" 2>/dev/null) && "$cli" write "$at" hmac=false >/dev/null 2>&1; then
        after=$(stands "$at")
        case $before in
        '') echo "audit header $header: made" ;;
        "$after") echo "audit header $header: already there" ;;
        *) echo "audit header $header: changed" ;;
        esac
    else
        echo "audit header $header: not written, this token may not; in the root namespace: bao write $at hmac=false"
    fi
)

# The settings of the tenant in gateway.toml.
tell_tenant() {
    echo "settings of the tenant: mount = \"$mount\", prefix = \"$path\", auth_method = \"$part\", \
auth_mount = \"$auth\", role = \"$role\"${vault_namespace:+, namespace = \"$vault_namespace\"}"
}
