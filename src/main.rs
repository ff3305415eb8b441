//! The `vault-exec` program.
#![no_main]

vault_exec::entry!(vault_exec::run::program);
