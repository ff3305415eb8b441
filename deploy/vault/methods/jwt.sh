# shellcheck shell=sh
# A job of GitHub Actions or GitLab CI, which proves by its ID token what repository and ref it runs for.

type=jwt ttl=3m

judge() {
    audience=$(value JWT_AUDIENCE "${JWT_AUDIENCE:-vault}" audience)
    # The name of another claim would be somebody else's: without these anybody's jobs could log in.
    case $method in
    jwt-github)
        user=repository issuer=https://token.actions.githubusercontent.com ref=refs/heads/main
        repository JWT_REPOSITORY "${JWT_REPOSITORY-}" OWNER/REPOSITORY
        claim JWT_REPOSITORY repository "$JWT_REPOSITORY"
        # The rules of an environment say what refs it is for.
        if [ "${JWT_REF-}" ] || [ ! "${JWT_ENVIRONMENT-}" ]; then claim JWT_REF ref "${JWT_REF:-$ref}"; fi
        ;;
    *)
        user=project_path issuer=https://gitlab.com ref=main
        repository JWT_PROJECT "${JWT_PROJECT-}" GROUP/PROJECT
        claim JWT_PROJECT project_path "$JWT_PROJECT"
        claim JWT_REF ref "${JWT_REF:-$ref}"
        claim JWT_REF ref_type branch
        claim JWT_REF ref_protected true
        ;;
    esac
    [ ! "${JWT_ENVIRONMENT-}" ] || claim JWT_ENVIRONMENT environment "$JWT_ENVIRONMENT"
    claims_of JWT_CLAIMS "${JWT_CLAIMS-}"
    issuer=$(url JWT_ISSUER "${JWT_ISSUER:-$issuer}")
    readable "${JWT_CA_FILE-}" "${JWT_PUBKEYS_FILE-}"
    [ ! "${JWT_CA_FILE-}" ] || [ ! "${JWT_PUBKEYS_FILE-}" ] ||
        fail 'JWT_CA_FILE: without JWT_PUBKEYS_FILE; where keys are given, none are fetched'
}

repository() {
    case $2 in
    */ | [!A-Za-z0-9_]* | *//* | *[!A-Za-z0-9/_.-]*) fail "$1: $3 is needed" ;;
    */*) ;;
    *) fail "$1: $3 is needed" ;;
    esac
}

make() {
    configure
    members_too="\"bound_claims\":{$claims}" dropped=bound_claims
    put_role "auth/$auth/role/$role" role_type=jwt user_claim="$user" user_claim_json_pointer=false \
        bound_audiences="$audience" bound_claims_type=string groups_claim= expiration_leeway=0 not_before_leeway=0 \
        clock_skew_leeway=0 verbose_oidc_logging=false
}

# The configuration is one issuer's, and all roles of the mount count on it. A write replaces all of it.
configure() {
    there=$(members "$config")
    if [ "$there" ]; then
        # Without it, the issuer is the one whose keys are fetched.
        written=$(field "$config" bound_issuer)
        if [ "$written" ]; then issued=bound_issuer; else issued=oidc_discovery_url; fi
        same "$issued" "$issuer" JWT_ISSUER
        [ "${JWT_CA_FILE-}${JWT_PUBKEYS_FILE-}" ] || {
            echo "$what: there, left as it is"
            return
        }
        client=$(field "$config" oidc_client_id)
        [ ! "$client" ] ||
            fail "$what: it has a client secret, which cannot be read back; METHOD=oidc changes it"
    fi
    if [ "${JWT_PUBKEYS_FILE-}" ]; then
        set -- jwt_validation_pubkeys=@"$JWT_PUBKEYS_FILE" oidc_discovery_url= oidc_discovery_ca_pem=
    else
        set -- oidc_discovery_url="$issuer" ${JWT_CA_FILE:+oidc_discovery_ca_pem=@"$JWT_CA_FILE"}
    fi
    set -- "$@" bound_issuer="$issuer"
    body={}
    [ ! "$there" ] || body=$(printf '%s\n' "$there" | others status "$@")
    hint='give JWT_PUBKEYS_FILE where Vault cannot reach the issuer, JWT_CA_FILE where it does not know its CA'
    put "$what" "$config" "$@"
    hint=''
}

tell() {
    echo "VAULT_JWT is the ID token of the job, with the audience $audience: see deploy/ci"
}
