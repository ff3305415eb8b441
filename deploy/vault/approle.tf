# A machine that another program hands a secret id: method = "approle".

variable "secret_id_ttl" {
  description = "How many seconds a secret id can be used"
  type        = number
  default     = 3600
}

# One start with all its tries.
variable "secret_id_num_uses" {
  description = "Logins that it is good for; 0: any number"
  type        = number
  default     = 4
}

variable "wrap_ttl" {
  description = "How long a wrapped one waits to be unwrapped"
  type        = string
  default     = "10m"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]?$", var.wrap_ttl))
    error_message = "A time in seconds, or with s, m or h behind it."
  }
}

resource "vault_auth_backend" "approle" {
  count = var.method == "approle" ? 1 : 0
  type  = "approle"
  path  = local.auth_mount
}

resource "vault_approle_auth_backend_role" "shop" {
  count                   = var.method == "approle" ? 1 : 0
  backend                 = vault_auth_backend.approle[0].path
  role_name               = var.role
  bind_secret_id          = true
  secret_id_ttl           = var.secret_id_ttl
  secret_id_num_uses      = var.secret_id_num_uses
  secret_id_bound_cidrs   = var.bound_cidrs
  token_policies          = [vault_policy.shop.name]
  token_no_default_policy = false
  token_type              = var.token_type
  token_ttl               = local.token_ttl
  token_max_ttl           = local.token_max_ttl
  token_bound_cidrs       = var.bound_cidrs
}

# Whoever hands out secret ids can do nothing else, and gets to see none: they come wrapped. Terraform makes none: it
# would stand in the state.
resource "vault_policy" "secret_id" {
  count  = var.method == "approle" ? 1 : 0
  name   = "${var.role}-secret-id"
  policy = <<-END
    path "auth/${vault_auth_backend.approle[0].path}/role/${var.role}/role-id" { capabilities = ["read"] }
    path "auth/${vault_auth_backend.approle[0].path}/role/${var.role}/secret-id" {
      capabilities = ["update"]
      min_wrapping_ttl = "1s"
      max_wrapping_ttl = "${var.wrap_ttl}"
    }
  END
}
