//! What the tests of this workspace stand on. It knows none of the workspace's other crates.
//!
//! Servers that are Vaults:
//!
//! - [`server`]: one surface for both of the next two; the shared one of a test program, and servers of one's own.
//! - [`embedded`]: a small Vault within the process, for trying and testing.
//! - [`openbao`]: the real server, started from `target/tools` on free ports; it can be stopped and started again.
//! - [`sample`]: an embedded Vault with one secret in it, for the examples.
//!
//! Servers that do what a test says:
//!
//! - [`openid`]: a real OpenID provider, started from `target/tools`.
//! - [`raw`]: answers byte for byte what its script says.
//! - [`dns`]: a DNS server with one answer.
//! - `token_review`: the part of the Kubernetes API that a real server's Kubernetes auth asks.
//!
//! What stands between a client and a server:
//!
//! - [`tap`]: hands everything on and remembers what the client said; a CONNECT proxy too.
//! - [`chaos`]: cuts, delays, forges and refuses what passes through it, at random.
//! - [`tls_front`]: TLS in front of a server that has none.
//! - [`unix_front`]: a unix socket in front of one.
//! - [`bao_proxy`]: the real server's own proxy, which adds a token.
//!
//! Browsers, for logins that ask for one:
//!
//! - [`browser`]: follows redirects and answers forms; quick, and without scripts.
//! - [`chromium`]: the real one, without a window.
//!
//! Material:
//!
//! - [`certs`]: a CA, good and bad certificates; [`odd_certs`]: those that are refused for what is in them.
//! - [`jwt`]: tokens of Kubernetes service accounts, and JWTs of a key made here.
//! - [`http`]: a request to a server, of which any status is an answer.
//! - [`random`]: random numbers that their seed brings back.
//!
//! Benchmarks: [`measure`].
//!
//! A run of the tests: [`scratch`], [`unique`] and [`tally`]; [`missing`] and [`unshare`] say what this machine cannot do.

#![allow(clippy::missing_panics_doc, reason = "whatever goes wrong here ends the test with a panic")]

pub mod bao_proxy;
pub mod browser;
pub mod certs;
pub mod chaos;
pub mod chromium;
pub mod dns;
pub mod embedded;
pub mod http;
pub mod jwt;
pub mod measure;
pub mod odd_certs;
pub mod openbao;
pub mod openid;
pub mod random;
pub mod raw;
pub mod sample;
pub mod server;
pub mod tally;
pub mod tap;
pub mod tls_front;
pub mod unix_front;
pub mod unshare;

mod clock;
mod folders;
mod loopback;
mod parts;
mod token_review;

pub use clock::eventually;
pub use folders::{root, scratch, tools, unique};
pub use parts::{kernel_lacks, missing};

/// Makes two tests of each scenario, a function that takes a server: `name::embedded` and `name::openbao`.
#[macro_export]
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use $crate::server::{Kind, on};

            #[test]
            fn embedded() {
                on(Kind::Embedded, stringify!($scenario), super::$scenario);
            }

            #[test]
            fn openbao() {
                on(Kind::OpenBao, stringify!($scenario), super::$scenario);
            }
        }
    )+};
}
