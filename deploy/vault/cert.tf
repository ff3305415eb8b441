# A machine with a client certificate: method = "cert".

variable "cert_ca" {
  description = "The CA that signed it, as PEM text"
  type        = string
  default     = ""
}

variable "cert_common_names" {
  description = "Its common names; none, and none in a SAN either: the word of role"
  type        = list(string)
  default     = []
}

variable "cert_dns_sans" {
  description = "DNS names in it; none: any"
  type        = list(string)
  default     = []
}

variable "cert_uri_sans" {
  description = "URIs in it; none: any"
  type        = list(string)
  default     = []
}

resource "vault_auth_backend" "cert" {
  count = var.method == "cert" ? 1 : 0
  type  = "cert"
  path  = local.auth_mount
}

# Without a name, any certificate of the CA could log in.
locals {
  cert_names = length(concat(var.cert_common_names, var.cert_dns_sans, var.cert_uri_sans))
}

resource "vault_cert_auth_backend_role" "shop" {
  count                   = var.method == "cert" ? 1 : 0
  backend                 = vault_auth_backend.cert[0].path
  name                    = var.role
  certificate             = var.cert_ca
  allowed_common_names    = local.cert_names == 0 ? [var.role] : var.cert_common_names
  allowed_dns_sans        = var.cert_dns_sans
  allowed_uri_sans        = var.cert_uri_sans
  token_policies          = [vault_policy.shop.name]
  token_no_default_policy = false
  token_type              = var.token_type
  token_ttl               = local.token_ttl
  token_max_ttl           = local.token_max_ttl
  token_bound_cidrs       = var.bound_cidrs

  lifecycle {
    precondition {
      condition     = var.cert_ca != ""
      error_message = "cert_ca is needed: the CA that signed the certificate."
    }
  }
}
