# What setup.sh makes for a program, for Terraform and OpenTofu: a file a method, and what all methods have in this one. Address,
# namespace and login of the provider come from the environment (VAULT_ADDR, VAULT_NAMESPACE, VAULT_TOKEN ...).
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

variable "method" {
  description = "How the program logs in: kubernetes, approle, jwt-github, jwt-gitlab, cert or oidc"
  type        = string
  default     = "kubernetes"

  validation {
    condition     = can(regex("^(kubernetes|approle|jwt-github|jwt-gitlab|cert|oidc)$", var.method))
    error_message = "It is kubernetes, approle, jwt-github, jwt-gitlab, cert or oidc."
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
  description = "Mount of the auth method; empty: the word of method"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)?$", var.auth_mount)) && !can(regex("(^|/)\\.{1,2}(/|$)", var.auth_mount))
    error_message = "Letters, digits, _, . and - only, in parts with a / between them; no part is a dot or two."
  }

  validation {
    condition     = !can(regex("^auth/", var.auth_mount))
    error_message = "Without auth/ in front, which is part of the API and not of the mount."
  }
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

# Three minutes are a minute more than a start may take (VAULT_STARTUP_TIMEOUT), should the revoke be prevented.
variable "token_ttl" {
  description = "How many seconds that token lasts; unset: three minutes, and for a person eight hours"
  type        = number
  default     = null
}

variable "token_max_ttl" {
  description = "How many seconds it can last if it is renewed; unset: token_ttl"
  type        = number
  default     = null
}

variable "bound_cidrs" {
  description = "Networks that logins and their tokens are taken from; none: any"
  type        = list(string)
  default     = []
}

# A service token, because a batch token cannot be revoked: that one lives on until its time is over.
locals {
  auth_mount    = var.auth_mount == "" ? var.method : var.auth_mount
  token_ttl     = coalesce(var.token_ttl, var.method == "oidc" ? 28800 : 180)
  token_max_ttl = coalesce(var.token_max_ttl, local.token_ttl)
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
