//! Where Vault is and how to talk to it: address, TLS material, proxy, namespace.

pub mod address;
mod socket;
pub mod tls;

pub use address::Address;
pub use tls::{Leaf, Tls};

/// Where Vault is and how to talk to it.
pub struct Options {
    /// Its base URL.
    pub address: Address,
    /// Sent with everything that is about secrets; none is the root namespace.
    pub namespace: Option<String>,
    /// Sent with the login and what is about its token; none is the root namespace.
    pub auth_namespace: Option<String>,
    /// Trust and identity.
    pub tls: Tls,
    /// The HTTP proxy to go through. None leads to a unix socket: with such an address it is not used, and neither is `tls`.
    pub proxy: Option<Proxy>,
    /// The client's name and version, as the server's log has it.
    pub user_agent: String,
    /// How many connections there are at most; one is used by one thread at a time.
    pub lanes: usize,
}

impl Options {
    /// The server at `address`, with defaults for the rest: the root namespace, the system's trust, no proxy, one lane, and
    /// this library's name and version.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            namespace: None,
            auth_namespace: None,
            tls: Tls::default(),
            proxy: None,
            user_agent: concat!("vault-client/", env!("CARGO_PKG_VERSION")).into(),
            lanes: 1,
        }
    }
}

/// A checked proxy URL; it can hold a password and has no `Debug`.
#[derive(Clone)]
pub struct Proxy(pub(crate) ureq::Proxy);

impl Proxy {
    /// Checks `url`: http or https, with or without user and password.
    ///
    /// # Errors
    ///
    /// What to write instead, where it is no URL, or one of a proxy that does not speak HTTP. The text is not repeated: it can
    /// hold a password.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_client::Proxy;
    ///
    /// assert!(Proxy::parse("http://shop:password@proxy.example:3128").is_ok());
    /// assert_eq!(Proxy::parse("socks5://proxy.example").err(), Some("not an HTTP proxy; write http://[user:password@]host:port"));
    /// ```
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let proxy = ureq::Proxy::new(url).map_err(|_| "not a URL; write http://[user:password@]host:port")?;
        if matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https) {
            Ok(Self(proxy))
        } else {
            Err("not an HTTP proxy; write http://[user:password@]host:port")
        }
    }
}
