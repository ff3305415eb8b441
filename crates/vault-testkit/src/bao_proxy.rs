//! The proxy of the real server's package, which adds a token of its own to what it hands on.
//! [Auto-auth token](https://openbao.org/docs/agent-and-proxy/proxy/apiproxy/)

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::clock::eventually;
use crate::folders::{scratch, unique};
use crate::measure::Process;
use crate::openbao::{free_ports, program, spawn_bound};

/// An address of its own, so that nobody takes a port that was found free.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 77, 4, 1);

/// A running proxy; dropping it kills it.
pub struct BaoProxy {
    process: Child,
    port: u16,
}

impl BaoProxy {
    /// One in front of the server at `url` that adds `token`, which is renewable; `None` where the package is not installed.
    pub fn start(url: &str, token: &str) -> Option<Self> {
        Self::start_with(url, token, "")
    }

    /// The same with its cache, which keeps tokens that are made through it, and secrets that have a lease.
    /// [Caching](https://openbao.org/docs/agent-and-proxy/proxy/caching/)
    pub fn start_caching(url: &str, token: &str) -> Option<Self> {
        Self::start_with(url, token, "cache {}\n")
    }

    fn start_with(url: &str, token: &str, more: &str) -> Option<Self> {
        let program = program()?;
        let folder = scratch(&format!("proxy-{}", unique()));
        let port = free_ports(HOST, 1)[0];
        fs::write(folder.join("token"), token).expect("the token is written");
        let configuration = format!(
            "vault {{ address = \"{url}\" }}\n\
             auto_auth {{ method {{ type = \"token_file\", config = {{ token_file_path = \"{}/token\" }} }} }}\n\
             api_proxy {{ use_auto_auth_token = true }}\n\
             listener \"tcp\" {{ address = \"{HOST}:{port}\", tls_disable = true }}\n{more}",
            folder.display()
        );
        fs::write(folder.join("proxy.hcl"), configuration.replace(", ", "\n")).expect("the configuration is written");
        let log = File::create(folder.join("log")).expect("the log is created");
        let mut command = Command::new(program);
        command.arg("proxy").arg(format!("-config={}", folder.join("proxy.hcl").display())).env_clear();
        command.env("HOME", &folder).current_dir(&folder).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log is shared")).stderr(log);
        let proxy = Self { process: spawn_bound(command), port };
        eventually("the proxy listens", || TcpStream::connect((HOST, port)).is_ok());
        let said = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        // The last thing that it asks for by itself.
        eventually("the proxy has its token", || said().contains("renewed auth token"));
        Some(proxy)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}", self.port)
    }

    /// What it takes.
    pub fn process(&self) -> Process {
        Process::of(&self.process)
    }
}

impl Drop for BaoProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
