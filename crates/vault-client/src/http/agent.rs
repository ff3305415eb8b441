//! What is under a lane: the HTTP client, its connections, and what leads to the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};

use super::lane::{Lane, Slot};
use super::tls::{self, client};
use super::{inline, resolver, transport, unix};
use crate::fault::Way;
use crate::options::Options;

/// Longer headers are refused.
const MAX_HEADER: usize = 16 << 10;

/// A lane over the network, directly or through the proxy of `config`.
pub(super) fn lane(
    config: &Config,
    tls: client::Client,
    names: &Arc<resolver::Names>,
    connect_to: Option<&str>,
) -> Lane {
    let slot = Slot::empty();
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(transport::TcpConnector { slot: slot.clone(), names: Arc::clone(names) })
            .chain(tls::TlsConnector { client: Arc::new(tls), slot: slot.clone() });
    let connect_to = connect_to.map(str::to_owned);
    let resolver = resolver::Lookup { slot: slot.clone(), names: Arc::clone(names), connect_to };
    Lane { agent: Agent::with_parts(config.clone(), connector, resolver), slot }
}

/// The same to the unix socket at `path`: without a name, a proxy or TLS.
pub(super) fn socket_lane(config: &Config, path: &Path) -> Lane {
    let slot = Slot::empty();
    let connector = ().chain(unix::SocketConnector { slot: slot.clone(), path: path.to_owned() });
    Lane { agent: Agent::with_parts(config.clone(), connector, resolver::Nowhere), slot }
}

/// What leads to the server.
pub(super) fn way(options: &Options) -> Way {
    match options.proxy {
        _ if options.address.socket().is_some() => Way::Socket,
        Some(_) => Way::Proxy,
        None => Way::Network,
    }
}

/// The one place where the HTTP client is set up; what is a default of `ureq` is written out all the same, because a
/// default may change and none of these may.
pub(super) fn config(options: &Options) -> Config {
    Agent::config_builder()
        // Headers and the body of an error are needed, and an unread body costs the connection.
        .http_status_as_error(false)
        // ureq sends X-Vault-Token on to another host.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .save_redirect_history(false)
        // Never from the environment.
        .proxy(options.proxy.as_ref().filter(|_| way(options) == Way::Proxy).map(|proxy| proxy.0.clone()))
        .https_only(false)
        .no_delay(true)
        .user_agent(&options.user_agent)
        .accept("application/json")
        .accept_encoding("identity")
        .allow_non_standard_methods(false)
        .max_response_header_size(MAX_HEADER)
        // One byte more: a full buffer without a whole header looks like the end of the connection to ureq.
        .input_buffer_size(MAX_HEADER + 1)
        // Each header has to fit into it as a whole, a JWT that comes along too.
        .output_buffer_size(inline::LONGEST + (8 << 10))
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(Duration::from_secs(15))
        // The call's deadline holds for every phase; ureq's own limits would be counted per phase beside it.
        .timeout_global(None)
        .timeout_await_100(None)
        .build()
}
