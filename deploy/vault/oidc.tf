# A person, who logs in at the provider with a browser: method = "oidc". The token lasts a working day: the program
# keeps it, where an hour is left. Terraform's provider knows no callback mode but `client`; setup.sh sets the others.

variable "oidc_issuer" {
  description = "URL of the provider"
  type        = string
  default     = ""
}

variable "oidc_client_id" {
  description = "Vault's name at the provider"
  type        = string
  default     = ""
}

# It lands in the state, in plain text.
variable "oidc_client_secret" {
  description = "Vault's secret at the provider"
  type        = string
  default     = ""
  sensitive   = true
}

variable "oidc_ca" {
  description = "CA of the server of the provider, as PEM text"
  type        = string
  default     = null
}

variable "oidc_claims" {
  description = "Who may log in: claims, such as groups"
  type        = map(string)
  default     = {}
}

variable "oidc_anyone" {
  description = "Whether all may log in whom the provider knows"
  type        = bool
  default     = false
}

variable "oidc_user_claim" {
  description = "Claim that tells people apart"
  type        = string
  default     = "sub"
}

variable "oidc_scopes" {
  description = "Scopes to ask for beside openid"
  type        = list(string)
  default     = []
}

resource "vault_jwt_auth_backend" "oidc" {
  count                 = var.method == "oidc" ? 1 : 0
  type                  = "oidc"
  path                  = local.auth_mount
  oidc_discovery_url    = var.oidc_issuer
  oidc_discovery_ca_pem = var.oidc_ca
  oidc_client_id        = var.oidc_client_id
  oidc_client_secret    = var.oidc_client_secret

  lifecycle {
    precondition {
      condition     = var.oidc_issuer != "" && var.oidc_client_id != "" && var.oidc_client_secret != ""
      error_message = "oidc_issuer, oidc_client_id and oidc_client_secret are needed."
    }
  }
}

resource "vault_jwt_auth_backend_role" "oidc" {
  count                   = var.method == "oidc" ? 1 : 0
  backend                 = vault_jwt_auth_backend.oidc[0].path
  role_name               = var.role
  role_type               = "oidc"
  user_claim              = var.oidc_user_claim
  allowed_redirect_uris   = ["http://localhost:8250/oidc/callback", "http://127.0.0.1:8250/oidc/callback"]
  oidc_scopes             = var.oidc_scopes
  bound_claims_type       = "string"
  bound_claims            = var.oidc_claims
  token_policies          = [vault_policy.shop.name]
  token_no_default_policy = false
  token_type              = var.token_type
  token_ttl               = local.token_ttl
  token_max_ttl           = local.token_max_ttl
  token_bound_cidrs       = var.bound_cidrs

  lifecycle {
    precondition {
      condition     = var.oidc_anyone || length(var.oidc_claims) > 0
      error_message = "oidc_claims say who may log in; oidc_anyone lets in all whom the provider knows."
    }
  }
}
