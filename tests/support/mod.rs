//! What the cases stand on beside `vault-testkit`: a scenario builder around the built program, the observed application,
//! the readers of what the program writes.

pub(crate) mod child_report;
pub(crate) mod crates;
pub(crate) mod dry_run;
pub(crate) mod endings;
pub(crate) mod expect;
pub(crate) mod fault_table;
pub(crate) mod herd;
pub(crate) mod hostile;
pub(crate) mod isolated;
pub(crate) mod launch;
pub(crate) mod leaks;
pub(crate) mod login;
pub(crate) mod metrics;
pub(crate) mod outcome;
pub(crate) mod person;
pub(crate) mod pod;
pub(crate) mod readers;
pub(crate) mod scenario;
pub(crate) mod seccomp;
pub(crate) mod shells;
pub(crate) mod sidecars;
pub(crate) mod situation;
pub(crate) mod started;
pub(crate) mod system;
pub(crate) mod vault_client;
