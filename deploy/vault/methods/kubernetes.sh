# shellcheck shell=sh
# A pod, which proves by its JWT what service account it runs as.

type=kubernetes ttl=3m

# A name of Kubernetes'.
kubernetes_name() {
    case $2 in
    '' | [!a-z0-9]* | *[!a-z0-9.-]*) fail "$1: not a name of Kubernetes': lower case letters, digits, . and -" ;;
    esac
    echo "$2"
}

judge() {
    namespace=$(kubernetes_name K8S_NAMESPACE "${K8S_NAMESPACE:-$owner}")
    account=$(kubernetes_name K8S_SERVICE_ACCOUNT "${K8S_SERVICE_ACCOUNT:-$owner}")
    audience=$(value K8S_AUDIENCE "${K8S_AUDIENCE:-vault}" audience)
    url K8S_HOST "${K8S_HOST:-https://kubernetes.default.svc}" >/dev/null
    readable "${K8S_CA_CERT_FILE-}" "${K8S_REVIEWER_JWT_FILE-}"
}

make() {
    configure
    put_role "auth/$auth/role/$role" bound_service_account_names="$account" \
        bound_service_account_namespaces="$namespace" bound_service_account_namespace_selector= \
        audience="$audience" alias_name_source=serviceaccount_uid
}

# The configuration is not this application's alone. A write replaces all of it, so that what stays is written again,
# whatever the server calls it; what cannot be read back cannot stay.
configure() {
    there=$(members "$config")
    if [ "$there" ] && [ ! "${K8S_HOST-}${K8S_CA_CERT_FILE-}${K8S_REVIEWER_JWT_FILE-}" ]; then
        echo "$what: there, left as it is"
        return
    fi
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
    hint='' unseen=''
}

tell() {
    echo "the pod's JWT, with the audience $audience, is a projected volume: docs/kubernetes.md"
}
