//! A proxy in front of the real server to which things happen, as its plan has it. It remembers what it let through.

pub mod fault;
mod wire;

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::kill;
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

use self::fault::{End, Fault, Framing, Moment, Plan};
use self::wire::Answer;
use crate::server::{Listener, Server};

/// Longer than any request may take.
const FOR_EVER: Duration = Duration::from_secs(30);

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request's first line.
    pub request: String,
    /// The token that came with it.
    pub token: Option<String>,
    /// What happened to it.
    pub fault: Fault,
    /// What the server said, if it was asked.
    pub status: Option<u16>,
    /// The token in its answer.
    pub made: Option<String>,
    /// From the whole request to the whole answer, if that was sent.
    pub took: Option<Duration>,
    /// The planned signal was sent then.
    pub signalled: Option<(Moment, Instant)>,
}

/// A running proxy.
pub struct Chaos {
    address: SocketAddr,
    program: Arc<OnceLock<Pid>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Exchange>>,
}

impl Chaos {
    /// One in front of `server`.
    pub fn before(server: &'static Server, plan: Plan) -> Self {
        // An address of its own, so that nobody takes the port while nobody listens.
        let listener = TcpListener::bind((Ipv4Addr::new(127, 77, 1, 1), 0)).expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (program, ended): (Arc<OnceLock<Pid>>, Arc<AtomicBool>) = Default::default();
        let mut proxy = Proxy { server, plan, program: Arc::clone(&program), lift: None, journal: Vec::new() };
        let until = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            proxy.serve(listener, &until);
            proxy.lift.into_iter().for_each(|lift| lift.join().expect("the seal is lifted"));
            proxy.journal
        });
        Self { address, program, ended, thread }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says whom the signals are for; until then the first of them waits.
    pub fn watch(&self, program: Pid) {
        self.program.set(program).expect("said once");
    }

    /// Ends it when the last request is dealt with and the seal is lifted.
    pub fn end(self) -> Vec<Exchange> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("the proxy does not fail")
    }
}

struct Proxy {
    server: &'static Server,
    plan: Plan,
    program: Arc<OnceLock<Pid>>,
    /// Lifts the seal.
    lift: Option<JoinHandle<()>>,
    journal: Vec<Exchange>,
}

impl Proxy {
    /// One connection after the other, as the program opens them.
    fn serve(&mut self, mut listener: TcpListener, ended: &AtomicBool) {
        let address = listener.local_addr().expect("a bound listener has an address");
        loop {
            if !readable(&listener, Duration::from_millis(10)) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                continue;
            }
            let (client, _) = listener.accept().expect("a connection is accepted");
            if let Some(closed) = self.connection(client) {
                drop(listener);
                std::thread::sleep(closed);
                listener = TcpListener::bind(address).expect("the port is still free");
            }
        }
    }

    /// Returns for how long nobody listens afterwards.
    fn connection(&mut self, mut client: TcpStream) -> Option<Duration> {
        client.set_nodelay(true).expect("a socket");
        while let Some(request) = wire::request(&mut client) {
            let received = Instant::now();
            let (fault, framing) = self.plan.next();
            let text = String::from_utf8_lossy(&request);
            self.journal.push(Exchange {
                request: text.lines().next().unwrap_or_default().to_owned(),
                token: wire::header(&request, "x-vault-token"),
                fault,
                status: None,
                made: None,
                took: None,
                signalled: None,
            });
            self.signal(|moment| moment == Moment::Asked);
            let (bytes, end) = self.answer(&request, &client, framing);
            let whole = self.send(&mut client, &bytes);
            let exchange = self.journal.last_mut().expect("pushed above");
            exchange.took = whole.then(|| received.elapsed());
            let ends = end.or((framing == Framing::UntilClose).then_some(End::Close));
            if let Some(end) = ends {
                self.close(client, end);
                return if let Fault::Refused(closed) = fault { Some(closed) } else { None };
            }
        }
        None
    }

    /// What the client is sent, and whether the connection ends with that.
    fn answer(&mut self, request: &[u8], client: &TcpStream, framing: Framing) -> (Vec<u8>, Option<End>) {
        let exchange = self.journal.last().expect("pushed before");
        let share =
            |bytes: &[u8], percent: u64| bytes[..bytes.len() * usize::try_from(percent).unwrap_or(0) / 100].to_vec();
        match exchange.fault {
            Fault::RequestCut(percent, end) => {
                let arrives = share(request, percent.min(99));
                wire::begin(&authority(self.server), &arrives);
                return (Vec::new(), Some(end));
            }
            Fault::Refused(_) => return (Vec::new(), Some(End::Reset)),
            Fault::Busy(status, retry_after) => {
                let header = retry_after.map(|value| format!("Retry-After: {value}\r\n")).unwrap_or_default();
                return (Answer::foreign(status, &header, "{\"errors\":[]}").framed(framing), None);
            }
            Fault::Page(status) => {
                let page = Answer::foreign(status, "Content-Type: text/html\r\n", "<html>Please sign in</html>");
                return (page.framed(framing), None);
            }
            Fault::Sealed(before, after) => self.seal(before, after),
            _ => {}
        }
        let Some(mut answer) = wire::ask(&authority(self.server), request) else {
            return (Vec::new(), Some(End::Close));
        };
        let exchange = self.journal.last_mut().expect("pushed before");
        exchange.status = Some(answer.status);
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        exchange.made = said["auth"]["client_token"].as_str().map(str::to_owned);
        match exchange.fault {
            Fault::AnswerCut(percent, end) => (share(&answer.framed(framing), percent), Some(end)),
            Fault::Shortened(percent) => {
                answer.body = share(&answer.body, percent);
                (answer.framed(framing), None)
            }
            Fault::HungUp => (answer.framed(framing), Some(End::Close)),
            Fault::Late(pause) if hangs_up(client, pause) => (Vec::new(), Some(End::Close)),
            _ => (answer.framed(framing), None),
        }
    }

    /// Whether the client has taken all of it.
    fn send(&self, client: &mut TcpStream, bytes: &[u8]) -> bool {
        let Fault::Dripped(size, pause) = self.journal.last().expect("pushed before").fault else {
            return client.write_all(bytes).is_ok();
        };
        bytes.chunks(size).all(|piece| client.write_all(piece).is_ok() && !hangs_up(client, pause))
    }

    fn close(&mut self, client: TcpStream, end: End) {
        match end {
            End::Reset => {
                // Closing with this set discards what is on its way.
                let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(&client, sockopt::Linger, &linger).expect("a socket");
            }
            End::Close => client.shutdown(Shutdown::Write).unwrap_or_default(),
            End::Hang => drop(hangs_up(&client, FOR_EVER)),
        }
        drop(client);
        let exchange = self.journal.last().expect("pushed before");
        // After a revoke, whatever came of it, the program may be the application.
        if exchange.fault.spoils() && !exchange.is_revoke() {
            self.signal(|moment| moment != Moment::Asked);
        }
    }

    /// Sends the planned signal if this is its request and its moment.
    fn signal(&mut self, when: impl Fn(Moment) -> bool) {
        let number = self.journal.len() - 1;
        let Some((signal, _, moment)) = self.plan.signal.filter(|(_, at, moment)| *at == number && when(*moment))
        else {
            return;
        };
        if let Moment::After(pause) = moment {
            std::thread::sleep(pause);
        }
        // After its last try the program may have ended meanwhile.
        if kill(*self.program.wait(), signal).is_ok() {
            self.journal[number].signalled = Some((moment, Instant::now()));
        }
    }

    /// Throws the seal while the request is on its way, unless it is down already.
    fn seal(&mut self, before: Duration, after: Duration) {
        if self.lift.as_ref().is_some_and(|lift| !lift.is_finished()) {
            return;
        }
        let server = self.server;
        self.lift = Some(std::thread::spawn(move || {
            server.seal();
            std::thread::sleep(after);
            server.unseal();
        }));
        std::thread::sleep(before);
    }
}

impl Exchange {
    /// Whether the program asked to have its token revoked.
    pub fn is_revoke(&self) -> bool {
        self.request.contains("/revoke-self ")
    }

    /// What happened to it, in words.
    pub fn kinds(&self) -> impl Iterator<Item = String> {
        let fault = format!("{:?}", self.fault);
        let signal = self.signalled.map(|_| "Signalled".to_owned());
        fault.split('(').next().map(str::to_owned).into_iter().chain(signal)
    }
}

fn authority(server: &Server) -> String {
    server.addr(Listener::Plain).trim_start_matches("http://").to_owned()
}

/// Waits so long, or until the client hangs up.
fn hangs_up(client: &TcpStream, within: Duration) -> bool {
    readable(client, within) && !client.peek(&mut [0]).is_ok_and(|n| n > 0)
}

fn readable(socket: &impl AsFd, within: Duration) -> bool {
    let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut sockets, PollTimeout::try_from(within).expect("a short time")).is_ok_and(|ready| ready > 0)
}
