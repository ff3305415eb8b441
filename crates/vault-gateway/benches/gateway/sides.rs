//! The sides, loaded by turns.

use vault_testkit::bao_proxy::BaoProxy;
use vault_testkit::http::Call;
use vault_testkit::measure::{Process, Spread, mebibytes};

use crate::corner::{Corner, PATH};
use crate::gateway::Gateway;
use crate::load::{Load, Rate};

pub(crate) const COLUMNS: [&str; 5] =
    ["requests a second", "× OpenBao directly", "p99, ms", "CPU of it for a request, µs", "peak memory"];

/// One of them, with what was measured of it.
pub(crate) struct Side {
    name: &'static str,
    load: Load,
    /// What is loaded, where what it takes counts.
    process: Option<Process>,
    pub(crate) rates: Vec<Rate>,
    /// Microseconds of processor time for a request, without what those behind it take.
    cpu: Vec<f64>,
    pub(crate) peak_kib: Option<u64>,
}

/// All of them.
pub(crate) struct Sides {
    /// OpenBao reads the secret for its own token.
    pub(crate) direct: Side,
    /// The proxy of OpenBao answers with a token that it has made once: it keeps what has a lease, which no secret of KV
    /// has.
    pub(crate) proxy: Side,
    /// The gateway has the secret, and verifies the JWT each time.
    pub(crate) verified: Side,
    /// The gateway has the secret, and remembers the JWT.
    pub(crate) remembered: Side,
    /// The gateway reads the secret from OpenBao each time.
    pub(crate) uncached: Side,
}

impl Sides {
    pub(crate) fn measure(corner: &Corner, rounds: usize) -> Self {
        let proxy = BaoProxy::start_caching(&corner.url(), &corner.token).expect("OpenBao is installed");
        assert!(keeps_tokens(&proxy), "the proxy makes a token for each request: its cache does not work");
        let gateways = [
            corner.gateway("verified", "ttl = \"1h\"", "remember_tokens = \"0s\""),
            corner.gateway("remembered", "ttl = \"1h\"", ""),
            corner.gateway("uncached", "ttl = \"0s\"", ""),
        ];
        let [verified, remembered, uncached] = &gateways;
        let direct = Load::new(
            "GET",
            format!("{}/v1/{}/data/{PATH}", corner.url(), corner.name),
            ("X-Vault-Token", &corner.token),
        );
        let made = Load::new("POST", format!("{}/v1/auth/token/create", proxy.url()), ("Accept", "application/json"));
        let bearer = format!("Bearer {}", corner.jwt);
        let through = |name, gateway: &Gateway| {
            let load = Load::new("GET", format!("{}/vault/secrets/{PATH}", gateway.url()), ("Authorization", &bearer));
            Side::new(name, load, Some(gateway.process()))
        };
        let mut sides = Self {
            direct: Side::new("OpenBao directly, a read", direct, None),
            proxy: Side::new("`bao proxy`, a token from its cache", made, Some(proxy.process())),
            verified: through("gateway, a cached read, RS256 verified each time", verified),
            remembered: through("gateway, a cached read, the token remembered", remembered),
            uncached: through("gateway, a read without its cache", uncached),
        };
        // The first round fills caches and counts for nothing.
        for round in 0..=rounds {
            for side in sides.all_mut() {
                side.run(round > 0);
            }
        }
        for side in sides.all_mut() {
            side.peak_kib = side.process.map(Process::peak_kib);
        }
        sides
    }

    fn all_mut(&mut self) -> [&mut Side; 5] {
        let Self { direct, proxy, verified, remembered, uncached } = self;
        [direct, proxy, verified, remembered, uncached]
    }

    /// A row for each.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let Self { direct, proxy, verified, remembered, uncached } = self;
        [direct, proxy, verified, remembered, uncached].map(|side| side.row(direct)).to_vec()
    }
}

impl Side {
    fn new(name: &'static str, load: Load, process: Option<Process>) -> Self {
        Self { name, load, process, rates: Vec::new(), cpu: Vec::new(), peak_kib: None }
    }

    /// Loads it once.
    fn run(&mut self, counts: bool) {
        let before = self.process.map(Process::cpu);
        let rate = self.load.run();
        let cpu = self.process.map(Process::cpu).zip(before).map(|(after, before)| after - before);
        if counts {
            self.rates.push(rate);
            self.cpu.extend(cpu.map(|milliseconds| milliseconds * 1000.0 / rate.requests));
        }
    }

    /// How many times as many requests as `other`, round by round.
    pub(crate) fn times(&self, other: &Self) -> Spread {
        Spread::of(self.rates.iter().zip(&other.rates).map(|(ours, other)| ours.a_second / other.a_second))
    }

    pub(crate) fn rate(&self) -> Spread {
        Spread::of(self.rates.iter().map(|it| it.a_second))
    }

    pub(crate) fn p99(&self) -> Spread {
        Spread::of(self.rates.iter().map(|it| it.p99))
    }

    fn row(&self, direct: &Self) -> Vec<String> {
        vec![
            self.name.to_owned(),
            format!("{:.0}", self.rate()),
            format!("{:.2}", self.times(direct)),
            format!("{:.2}", self.p99()),
            if self.cpu.is_empty() { "–".to_owned() } else { format!("{:.1}", Spread::of(self.cpu.iter().copied())) },
            self.peak_kib.map_or_else(|| "–".to_owned(), mebibytes),
        ]
    }
}

/// Whether two askers get the same token.
fn keeps_tokens(proxy: &BaoProxy) -> bool {
    let make = || {
        let call = Call { body: Some("{}".to_owned()), ..Call::new("POST", "auth/token/create") };
        let answer = call.send(&proxy.url());
        assert_eq!(answer.status, 200, "the proxy makes no token: {}", answer.json());
        answer.json()["auth"]["client_token"].as_str().expect("a token").to_owned()
    };
    let first = make();
    first == make()
}
