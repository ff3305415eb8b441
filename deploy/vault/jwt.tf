# A job of GitHub Actions or GitLab CI, which proves by its ID token what repository and ref it runs for:
# method = "jwt-github" or "jwt-gitlab".

variable "jwt_repository" {
  description = "With jwt-github: OWNER/REPOSITORY"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+)?$", var.jwt_repository))
    error_message = "It is OWNER/REPOSITORY."
  }
}

variable "jwt_project" {
  description = "With jwt-gitlab: GROUP/PROJECT"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)+)?$", var.jwt_project))
    error_message = "It is GROUP/PROJECT."
  }
}

variable "jwt_ref" {
  description = "The ref; of GitLab a protected branch; empty: main"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[^,*]*$", var.jwt_ref))
    error_message = "One ref, without comma and *."
  }
}

variable "jwt_claims" {
  description = "More claims, such as environment or repository_id"
  type        = map(string)
  default     = {}
}

variable "jwt_audience" {
  description = "Audience of the ID token of the job"
  type        = string
  default     = "vault"

  validation {
    condition     = can(regex("^[^@,*\\s][^,*\\s]*$", var.jwt_audience))
    error_message = "One audience, without @ in front, comma, space or *."
  }
}

variable "jwt_issuer" {
  description = "Who signs it; empty: that of github.com or gitlab.com"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^,*\\s]+)?$", var.jwt_issuer))
    error_message = "A URL without space, comma or *."
  }
}

variable "jwt_ca" {
  description = "CA of its server, as PEM text"
  type        = string
  default     = null
}

variable "jwt_pubkeys" {
  description = "Its public keys, as PEM texts, where Vault cannot reach its server; none: they are fetched"
  type        = list(string)
  default     = []
}

locals {
  jwt_public_issuer = var.method == "jwt-gitlab" ? "https://gitlab.com" : "https://token.actions.githubusercontent.com"
  jwt_issuer        = coalesce(var.jwt_issuer, local.jwt_public_issuer)
  jwt_discovery_url = length(var.jwt_pubkeys) > 0 ? null : local.jwt_issuer
  jwt_ref           = coalesce(var.jwt_ref, var.method == "jwt-gitlab" ? "main" : "refs/heads/main")
  github_claims     = { repository = var.jwt_repository, ref = local.jwt_ref }
  gitlab_claims = {
    project_path  = var.jwt_project
    ref           = local.jwt_ref
    ref_type      = "branch"
    ref_protected = "true"
  }
}

resource "vault_jwt_auth_backend" "github" {
  count                  = var.method == "jwt-github" ? 1 : 0
  type                   = "jwt"
  path                   = local.auth_mount
  bound_issuer           = local.jwt_issuer
  oidc_discovery_url     = local.jwt_discovery_url
  oidc_discovery_ca_pem  = var.jwt_ca
  jwt_validation_pubkeys = var.jwt_pubkeys
}

resource "vault_jwt_auth_backend_role" "github" {
  count                   = var.method == "jwt-github" ? 1 : 0
  backend                 = vault_jwt_auth_backend.github[0].path
  role_name               = var.role
  role_type               = "jwt"
  user_claim              = "repository"
  bound_audiences         = [var.jwt_audience]
  bound_claims_type       = "string"
  bound_claims            = merge(var.jwt_claims, local.github_claims)
  token_policies          = [vault_policy.shop.name]
  token_no_default_policy = false
  token_type              = var.token_type
  token_ttl               = local.token_ttl
  token_max_ttl           = local.token_max_ttl
  token_bound_cidrs       = var.bound_cidrs

  lifecycle {
    precondition {
      condition     = var.jwt_repository != ""
      error_message = "jwt_repository is needed: without it, jobs of others could log in."
    }
  }
}

resource "vault_jwt_auth_backend" "gitlab" {
  count                  = var.method == "jwt-gitlab" ? 1 : 0
  type                   = "jwt"
  path                   = local.auth_mount
  bound_issuer           = local.jwt_issuer
  oidc_discovery_url     = local.jwt_discovery_url
  oidc_discovery_ca_pem  = var.jwt_ca
  jwt_validation_pubkeys = var.jwt_pubkeys
}

resource "vault_jwt_auth_backend_role" "gitlab" {
  count                   = var.method == "jwt-gitlab" ? 1 : 0
  backend                 = vault_jwt_auth_backend.gitlab[0].path
  role_name               = var.role
  role_type               = "jwt"
  user_claim              = "project_path"
  bound_audiences         = [var.jwt_audience]
  bound_claims_type       = "string"
  bound_claims            = merge(var.jwt_claims, local.gitlab_claims)
  token_policies          = [vault_policy.shop.name]
  token_no_default_policy = false
  token_type              = var.token_type
  token_ttl               = local.token_ttl
  token_max_ttl           = local.token_max_ttl
  token_bound_cidrs       = var.bound_cidrs

  lifecycle {
    precondition {
      condition     = var.jwt_project != ""
      error_message = "jwt_project is needed: without it, jobs of others could log in."
    }
  }
}
