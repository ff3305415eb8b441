# A pod, which proves by its JWT what service account it runs as: method = "kubernetes".

variable "namespace" {
  description = "Kubernetes namespace of the service account"
  type        = string
  default     = "shop"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*$", var.namespace))
    error_message = "A name of Kubernetes': lower case letters, digits, . and -."
  }
}

variable "service_account" {
  description = "Its name"
  type        = string
  default     = "shop"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*$", var.service_account))
    error_message = "A name of Kubernetes': lower case letters, digits, . and -."
  }
}

variable "audience" {
  description = "Audience of its token"
  type        = string
  default     = "vault"

  validation {
    condition     = can(regex("^[^@,*\\s][^,*\\s]*$", var.audience))
    error_message = "One audience, without @ in front, comma, space or *."
  }
}

variable "kubernetes_host" {
  description = "Kubernetes API, as Vault reaches it"
  type        = string
  default     = "https://kubernetes.default.svc"

  validation {
    condition     = can(regex("^https?://[^,*\\s]+$", var.kubernetes_host))
    error_message = "A URL without space, comma or *."
  }
}

variable "kubernetes_ca_cert" {
  description = "Its CA, as PEM text; needed where Vault does not run in that cluster"
  type        = string
  default     = null
}

# It lands in the state, in plain text: whoever reads the state can review tokens with it.
variable "reviewer_jwt" {
  description = "JWT to review tokens with; unset: that of Vault's pod, or else the pod's own"
  type        = string
  default     = null
  sensitive   = true
}

resource "vault_auth_backend" "kubernetes" {
  count = var.method == "kubernetes" ? 1 : 0
  type  = "kubernetes"
  path  = local.auth_mount
}

# The issuer is judged by the Kubernetes API, which reviews each token.
resource "vault_kubernetes_auth_backend_config" "kubernetes" {
  count                  = var.method == "kubernetes" ? 1 : 0
  backend                = vault_auth_backend.kubernetes[0].path
  kubernetes_host        = var.kubernetes_host
  kubernetes_ca_cert     = var.kubernetes_ca_cert
  token_reviewer_jwt     = var.reviewer_jwt
  disable_iss_validation = true
}

resource "vault_kubernetes_auth_backend_role" "shop" {
  count                            = var.method == "kubernetes" ? 1 : 0
  backend                          = vault_auth_backend.kubernetes[0].path
  role_name                        = var.role
  bound_service_account_names      = [var.service_account]
  bound_service_account_namespaces = [var.namespace]
  audience                         = var.audience
  token_policies                   = [vault_policy.shop.name]
  token_no_default_policy          = false
  token_type                       = var.token_type
  token_ttl                        = local.token_ttl
  token_max_ttl                    = local.token_max_ttl
  token_bound_cidrs                = var.bound_cidrs
}
