//! A DNS server that gives one answer to everything, or none.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A DNS server for one name server address, and what it does with a question.
pub struct Dns {
    socket: UdpSocket,
}

/// What a DNS server says.
#[derive(Clone, Copy)]
pub enum Says {
    /// There is no such name.
    NoSuchName,
    /// The name is 127.0.0.1, and has no IPv6 address.
    Localhost,
    /// It is these two addresses, first and second.
    Two(Ipv4Addr, Ipv4Addr),
}

impl Dns {
    /// A server with the `resolv.conf` that leads to it.
    pub fn listen(number: u8) -> (Self, String) {
        // Another run of the tests may be under way on this machine.
        let address = format!("127.53.{}.{number}", std::process::id() % 256);
        let socket = UdpSocket::bind((address.as_str(), 53)).expect("whoever may unshare may bind port 53");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        (Self { socket }, format!("nameserver {address}\noptions attempts:1 timeout:30\n"))
    }

    /// Waits for a question, which stays without an answer.
    pub fn await_question(&self) {
        self.socket.recv(&mut [0; 512]).expect("a question");
    }

    /// Answers from now on; what was asked is in the list.
    pub fn answer(self, says: Says) -> Arc<Mutex<Vec<String>>> {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let list = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, client)) = self.socket.recv_from(&mut packet) {
                let (answer, name) = reply(&packet[..length], says);
                list.lock().expect("no panic").push(name);
                let _ = self.socket.send_to(&answer, client);
            }
        });
        asked
    }
}

/// The answer to `question`, and the name and type that it asks for; [RFC 1035, 4.1](https://www.rfc-editor.org/rfc/rfc1035#section-4.1).
fn reply(question: &[u8], says: Says) -> (Vec<u8>, String) {
    const HEADER: usize = 12;
    let labels = &question[HEADER..];
    let end = labels.iter().position(|byte| *byte == 0).expect("a name");
    let (kind, question_end) = (labels[end + 2], HEADER + end + 5);
    let name: String =
        labels[1..end].iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
    // Identifier, "answer, recursion available", code, one question.
    let code = if matches!(says, Says::NoSuchName) { 3 } else { 0 };
    let mut answer = question[..question_end].to_vec();
    answer[2..HEADER].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
    let is_ipv4 = kind == 1;
    let addresses = match says {
        Says::Localhost => vec![Ipv4Addr::LOCALHOST],
        Says::Two(first, second) => vec![first, second],
        Says::NoSuchName => vec![],
    };
    for address in addresses.iter().filter(|_| is_ipv4) {
        answer[7] += 1;
        // The name of the question, type A, class IN, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    (answer, format!("{name} {}", if is_ipv4 { "A" } else { "AAAA" }))
}
