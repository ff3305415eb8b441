# shellcheck shell=sh
# A person, who logs in at the provider with a browser. The token lasts a working day: the program keeps it, where an
# hour is left.

type=oidc ttl=8h

judge() {
    [ ! "${OIDC_ISSUER-}" ] || url OIDC_ISSUER "$OIDC_ISSUER" >/dev/null
    [ ! "${OIDC_CLIENT_ID-}" ] || value OIDC_CLIENT_ID "$OIDC_CLIENT_ID" >/dev/null
    readable "${OIDC_CLIENT_SECRET_FILE-}" "${OIDC_CA_FILE-}"
    claims_of OIDC_CLAIMS "${OIDC_CLAIMS-}"
    [ "$claims" ] || [ "${OIDC_ANYONE-}" = 1 ] ||
        fail 'OIDC_CLAIMS: they say who may log in, such as groups=shop; OIDC_ANYONE=1 lets in whom the provider knows'
    user=$(value OIDC_USER_CLAIM "${OIDC_USER_CLAIM:-sub}" claim)
    scopes=$(values OIDC_SCOPES "${OIDC_SCOPES-}")
    redirects=http://localhost:8250/oidc/callback,http://127.0.0.1:8250/oidc/callback
    callback=${OIDC_CALLBACK:-client}
    case $callback in
    client | device) ;;
    direct)
        [ "${OIDC_VAULT_URL-}" ] || fail 'OIDC_VAULT_URL: it is needed with OIDC_CALLBACK=direct'
        redirects=$(url OIDC_VAULT_URL "$OIDC_VAULT_URL")/v1/auth/$auth/oidc/callback
        ;;
    *) fail 'OIDC_CALLBACK: client, direct or device' ;;
    esac
}

make() {
    configure
    members_too="\"bound_claims\":{$claims}" dropped=bound_claims at=auth/$auth/role/$role
    # HashiCorp's has no such field.
    mode=$(field "$at" callback_mode)
    [ "$mode$callback" != client ] || callback=''
    put_role "$at" role_type=oidc user_claim="$user" user_claim_json_pointer=false allowed_redirect_uris="$redirects" \
        oidc_scopes="$scopes" bound_audiences= bound_claims_type=string groups_claim= verbose_oidc_logging=false \
        ${callback:+callback_mode="$callback"}
    mode=$(field "$at" callback_mode)
    [ ! "$callback" ] || [ "$mode" = "$callback" ] ||
        fail 'OIDC_CALLBACK: this server has no other than client; OpenBao has'
}

# The configuration is one provider's, and all roles of the mount count on it. A write replaces all of it.
configure() {
    there=$(members "$config")
    if [ "$there" ]; then
        [ ! "${OIDC_ISSUER-}" ] || same oidc_discovery_url "$OIDC_ISSUER" OIDC_ISSUER
        [ ! "${OIDC_CLIENT_ID-}" ] || same oidc_client_id "$OIDC_CLIENT_ID" OIDC_CLIENT_ID
        case ${OIDC_CLIENT_SECRET_FILE-}-${OIDC_CA_FILE-} in
        -)
            echo "$what: there, left as it is"
            return
            ;;
        -*) fail "$what: it has a client secret, which cannot be read back; give OIDC_CLIENT_SECRET_FILE too" ;;
        esac
    else
        for setting in "OIDC_ISSUER=${OIDC_ISSUER-}" "OIDC_CLIENT_ID=${OIDC_CLIENT_ID-}" \
            "OIDC_CLIENT_SECRET_FILE=${OIDC_CLIENT_SECRET_FILE-}"; do
            [ "${setting#*=}" ] || fail "${setting%=}: it is needed, for $what is not there"
        done
    fi
    # Without the newline at its end; in no variable, for `sh -x` shows them.
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (umask 077 && tr -d '\n' <"$OIDC_CLIENT_SECRET_FILE" >"$folder/secret")
    set -- ${OIDC_ISSUER:+oidc_discovery_url="$OIDC_ISSUER"} ${OIDC_CLIENT_ID:+oidc_client_id="$OIDC_CLIENT_ID"} \
        oidc_client_secret=@"$folder/secret" ${OIDC_CA_FILE:+oidc_discovery_ca_pem=@"$OIDC_CA_FILE"}
    body={}
    [ ! "$there" ] || body=$(printf '%s\n' "$there" | others status "$@")
    hint='give OIDC_CA_FILE where Vault does not know the CA of the provider' unseen='client secret written'
    put "$what" "$config" "$@"
    hint='' unseen=''
}

tell() {
    [ "${OIDC_CALLBACK:-client}" = client ] ||
        echo 'VAULT_OIDC_LISTEN=none, for the browser does not come back to the program'
    [ "${OIDC_CALLBACK-}" = device ] || echo "redirect URIs of this client of the provider: $redirects"
}
