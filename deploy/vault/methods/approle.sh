# shellcheck shell=sh
# A machine that another program hands a secret id. There is no configuration beside the role.

type=approle ttl=3m

judge() {
    secret_id_ttl=$(duration SECRET_ID_TTL "${SECRET_ID_TTL:-1h}")
    # One start with all its tries.
    uses=${SECRET_ID_NUM_USES:-4}
    case $uses in *[!0-9]*) fail 'SECRET_ID_NUM_USES: a number of logins; 0 is any number' ;; esac
    wrap_ttl=$(duration WRAP_TTL "${WRAP_TTL:-10m}")
}

make() {
    # Whether secret ids are local is decided when a role is made.
    dropped=local_secret_ids
    put_role "auth/$auth/role/$role" bind_secret_id=true secret_id_ttl="$secret_id_ttl" secret_id_num_uses="$uses" \
        secret_id_bound_cidrs="$cidrs"
    # Whoever hands out secret ids can do nothing else, and gets to see none: they come wrapped.
    rules="path \"auth/$auth/role/$role/role-id\" { capabilities = [\"read\"] }
path \"auth/$auth/role/$role/secret-id\" {
  capabilities = [\"update\"]
  min_wrapping_ttl = \"1s\"
  max_wrapping_ttl = \"$wrap_ttl\"
}"
    at='path "auth/[A-Za-z0-9/_.-]+/role/[a-z0-9_.-]+'
    put_policy "$role-secret-id" "$rules" "$at/role-id\" \\{ capabilities = \\[\"read\"\\] \\} $at/secret-id\" \
\\{ capabilities = \\[\"update\"\\] min_wrapping_ttl = \"1s\" max_wrapping_ttl = \"[0-9]+[smh]?\" \\}"
}

# Neither id is shown: what is printed may be kept as a log.
tell() {
    at=auth/$auth/role/$role in_namespace=${vault_namespace:+-namespace=$vault_namespace }
    echo "VAULT_APPROLE_ROLE_ID is what this prints: ${cli##*/} read $in_namespace-field=role_id $at/role-id"
    echo "VAULT_APPROLE_SECRET_ID_FILE, with VAULT_UNWRAP=true, holds what this prints, for one start: \
${cli##*/} write -f $in_namespace-wrap-ttl=$wrap_ttl -field=wrapping_token $at/secret-id"
    echo "whoever runs these two commands needs the policy $role-secret-id and no other"
}
