//! The startup probe of a sidecar.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::container::Begun;
use super::{known, list, text};

/// How often is asked; the kubelet asks once in `periodSeconds`.
const OFTEN: Duration = Duration::from_millis(20);

/// Waits until the probe of a sidecar succeeds; `false` where it ends before, by itself or because it is too late.
pub(super) fn has_started(sidecar: &Value, container: &mut Begun) -> bool {
    let probe = &sidecar["startupProbe"];
    known(probe, "probe", &["failureThreshold", "httpGet", "periodSeconds"]);
    let ask = &probe["httpGet"];
    known(ask, "request", &["path", "port"]);
    let (path, port) = (text(&ask["path"]), port(sidecar, text(&ask["port"])));
    let number = |field: &str| probe[field].as_u64().expect("a number");
    let end = Instant::now() + Duration::from_secs(number("periodSeconds") * number("failureThreshold"));
    while !is_good(port, path) {
        if container.has_ended() {
            return false;
        }
        if Instant::now() > end {
            container.signal(nix::sys::signal::Signal::SIGTERM);
            return false;
        }
        sleep(OFTEN);
    }
    true
}

/// The number of a port that the container names.
fn port(container: &Value, name: &str) -> u16 {
    let named = list(&container["ports"]).iter().find(|it| it["name"] == name).expect("a port of that name");
    known(named, "port", &["containerPort", "name"]);
    named["containerPort"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
}

/// Whether the answer is from 200 to 399. The pods here have the network of this machine.
fn is_good(port: u16, path: &str) -> bool {
    let status = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse::<u16>().ok()
    };
    status().is_some_and(|status| (200..400).contains(&status))
}
