//! Processes in namespaces of their own, for what needs a machine to itself: being process 1, and another DNS server.
//! Where that is not permitted, a test says so and is skipped; with `CI` set it fails.

use nix::unistd::Pid;
use vault_testkit::dns::Dns;
use vault_testkit::unshare::permitted;

use super::scenario::{PROGRAM, Scenario};

/// The scenario with the program as process 1; `None` where that is not permitted.
pub(crate) fn as_process_1<'a>(test: &str, scenario: Scenario<'a>) -> Option<Scenario<'a>> {
    let options = ["--pid", "--fork"];
    let scenario = permitted(test, &options).then(|| scenario.program("/usr/bin/unshare"))?;
    Some(scenario.options(options).options(["--", PROGRAM]))
}

/// The one process that `parent` has started.
pub(crate) fn child_of(parent: Pid) -> Pid {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |number: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // After the name, which is in brackets: state and parent.
        let parent_of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        parent_of == Some(parent.as_raw())
    };
    Pid::from_raw(numbers.find(is_child).expect("a child"))
}

/// The scenario with a DNS server as its only one; `None` where that is not permitted. Each test has a
/// `number` of its own.
pub(crate) fn with_dns<'a>(test: &str, number: u8, scenario: Scenario<'a>) -> Option<(Dns, Scenario<'a>)> {
    let options = ["--mount"];
    if !permitted(test, &options) {
        return None;
    }
    let (dns, settings) = Dns::listen(number);
    std::fs::write(scenario.file("resolv.conf"), settings).expect("a file is written");
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let scenario = scenario.program("/usr/bin/unshare").options(options);
    Some((dns, scenario.options(["/bin/sh", "-c", script, "{folder}/resolv.conf", PROGRAM])))
}
