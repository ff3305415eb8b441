# What setup.sh makes, for Terraform. Address, namespace and login of the provider come from the environment
# (VAULT_ADDR, VAULT_NAMESPACE, VAULT_TOKEN ...).
#
# For a Vault that has none of it. What is there already, such as a mount or an auth method that others use, comes first
# with `terraform import`, with its own values in the variables: the plan would change it to these.

terraform {
  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = "~> 5.0"
    }
  }
}

variable "role" {
  description = "Name of role and policy"
  type        = string
  default     = "shop"

  validation {
    condition     = can(regex("^[a-z0-9_.-]+$", var.role)) && !can(regex("^(default|root|-.*|\\.{1,2})$", var.role))
    error_message = "Lower case letters, digits, _, . and - only, and a policy of its own: not default, not root."
  }
}

variable "path" {
  description = "Path of the secret"
  type        = string
  default     = "shop/prod"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.path)) && !can(regex("(^|/)\\.{1,2}(/|$)", var.path))
    error_message = "Letters, digits, _, . and - only, in parts with a / between them; no part is a dot or two."
  }

  validation {
    condition     = !can(regex("^data/", var.path))
    error_message = "Without data/ in front, which is part of the API and not of the path."
  }
}

variable "mount" {
  description = "Mount of the KV engine"
  type        = string
  default     = "kv"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.mount)) && !can(regex("(^|/)\\.{1,2}(/|$)", var.mount))
    error_message = "Letters, digits, _, . and - only, in parts with a / between them; no part is a dot or two."
  }
}

variable "auth_mount" {
  description = "Mount of the auth method"
  type        = string
  default     = "kubernetes"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.auth_mount)) && !can(regex("(^|/)\\.{1,2}(/|$)", var.auth_mount))
    error_message = "Letters, digits, _, . and - only, in parts with a / between them; no part is a dot or two."
  }

  validation {
    condition     = !can(regex("^auth/", var.auth_mount))
    error_message = "Without auth/ in front, which is part of the API and not of the mount."
  }
}

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

variable "token_type" {
  description = "Type of the token that a login gets: service, batch or default"
  type        = string
  default     = "service"

  validation {
    condition     = can(regex("^(service|batch|default)$", var.token_type))
    error_message = "It is service, batch or default."
  }
}

resource "vault_mount" "kv" {
  path    = var.mount
  type    = "kv"
  options = { version = "2" }
}

# The token of a login can read this one secret and nothing else. That vault-exec may revoke it, and --check look at
# it, is granted by the policy `default`, which every token has unless the role takes it away.
resource "vault_policy" "shop" {
  name   = var.role
  policy = "path \"${vault_mount.kv.path}/data/${var.path}\" { capabilities = [\"read\"] }"
}

resource "vault_auth_backend" "kubernetes" {
  type = "kubernetes"
  path = var.auth_mount
}

# The issuer is judged by the Kubernetes API, which reviews each token.
resource "vault_kubernetes_auth_backend_config" "kubernetes" {
  backend                = vault_auth_backend.kubernetes.path
  kubernetes_host        = var.kubernetes_host
  kubernetes_ca_cert     = var.kubernetes_ca_cert
  token_reviewer_jwt     = var.reviewer_jwt
  disable_iss_validation = true
}

# A service token, because a batch token cannot be revoked: that one lives on until its three minutes are over. They are
# a minute more than a start may take (VAULT_STARTUP_TIMEOUT), should the revoke be prevented.
resource "vault_kubernetes_auth_backend_role" "shop" {
  backend                          = vault_auth_backend.kubernetes.path
  role_name                        = var.role
  bound_service_account_names      = [var.service_account]
  bound_service_account_namespaces = [var.namespace]
  audience                         = var.audience
  token_policies                   = [vault_policy.shop.name]
  token_no_default_policy          = false
  token_type                       = var.token_type
  token_ttl                        = 180
  token_max_ttl                    = 180
}
