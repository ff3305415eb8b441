//! Which file COMMAND is, found out before anything else happens, with the faults that `execve` would report later.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use super::Refused;
use vault_client::text;

/// Searched where PATH is unset, as [confstr(3)](https://man7.org/linux/man-pages/man3/confstr.3.html) and the shells do.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Why a command cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    /// No such file.
    #[error("not found; check the name and that the image holds it")]
    Missing,
    /// No such file in PATH.
    #[error("not found in PATH ({0}); check the name, or give the full path")]
    NotInPath(String),
    /// The file is there, what it names in `#!` or as its dynamic loader is not.
    #[error("its interpreter {0} is not found; install it in the image, or correct the first line of the file")]
    Interpreter(String),
    /// No execute permission on the file or on the way to it.
    #[error("no permission to execute it; check the file's mode, its owner and `noexec` mounts")]
    Permission,
    /// A directory, a socket, a device.
    #[error("not a regular file; name the program itself")]
    NotAFile,
    /// Neither a binary of this machine nor a script with `#!`.
    #[error("not a program that the kernel can execute; a script needs `#!` in its first line")]
    Format,
    /// A binary of another machine.
    #[error("built for {0}, and this machine is {here}; use an image of this machine's architecture", here = std::env::consts::ARCH)]
    Architecture(String),
    /// Somebody is writing to the file.
    #[error("the file is being written to; start it when that has ended")]
    Busy,
    /// Arguments and environment together are too long.
    #[error("arguments and environment are too long for the kernel; select fewer keys with VAULT_KEYS")]
    TooLong,
    /// The mode allows it, and the kernel does not: see EPERM in
    /// [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html).
    #[error(
        "not permitted; the file has capabilities that this container drops, or its seccomp profile forbids execve"
    )]
    NotPermitted,
    /// There is no such system call here.
    #[error("{0}; {remedy}", remedy = super::REFUSED_REMEDY)]
    NoCall(Refused),
    /// Anything else.
    #[error("{}; the kernel refuses to execute it", .0.desc())]
    Other(Errno),
}

impl From<Errno> for CommandFault {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => Self::Missing,
            Errno::EACCES => Self::Permission,
            Errno::EPERM => Self::NotPermitted,
            Errno::ENOSYS => Self::NoCall(Refused { call: "execve", errno }),
            Errno::EISDIR => Self::NotAFile,
            Errno::ENOEXEC | Errno::ELIBBAD => Self::Format,
            Errno::ETXTBSY => Self::Busy,
            Errno::E2BIG => Self::TooLong,
            errno => Self::Other(errno),
        }
    }
}

impl From<io::Error> for CommandFault {
    fn from(error: io::Error) -> Self {
        error.raw_os_error().map_or(Self::Missing, |errno| Errno::from_raw(errno).into())
    }
}

/// Finds the file that `command` names, as `execvp` would: with a `/` as given, else the first in `path` that can be
/// executed. Links are not resolved. Refuses what the kernel would refuse, as far as that shows beforehand.
pub fn resolve(command: &OsStr, path: Option<&[u8]>) -> Result<CString, CommandFault> {
    if command.as_bytes().contains(&b'/') {
        return check(Path::new(command));
    }
    let path = path.unwrap_or(DEFAULT_PATH);
    let mut fault = CommandFault::NotInPath(match path {
        [] => "it is empty".to_owned(),
        path => text::os(OsStr::from_bytes(path)),
    });
    if command.is_empty() {
        return Err(CommandFault::Missing);
    }
    for directory in path.split(|b| *b == b':') {
        // An empty element is the current directory (POSIX, XBD 8.3).
        let directory = if directory.is_empty() { b"." } else { directory };
        match check(&Path::new(OsStr::from_bytes(directory)).join(command)) {
            Ok(program) => return Ok(program),
            Err(CommandFault::Missing) => {}
            Err(found @ CommandFault::Interpreter(_)) => return Err(found),
            Err(found) => fault = found,
        }
    }
    Err(fault)
}

fn check(program: &Path) -> Result<CString, CommandFault> {
    if !fs::metadata(program)?.is_file() {
        return Err(CommandFault::NotAFile);
    }
    match faccessat(nix::fcntl::AT_FDCWD, program, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        // Older seccomp profiles refuse the question, not the program; execve will tell.
        Ok(()) | Err(Errno::EPERM | Errno::ENOSYS) => {}
        Err(errno) => return Err(errno.into()),
    }
    // A file that may be executed but not read keeps its secret until execve.
    if let Ok(file) = File::open(program) {
        check_format(&file)?;
    }
    CString::new(program.as_os_str().as_bytes()).map_err(|_| CommandFault::Missing)
}

/// Looks at the head of the file as the kernel's binary formats do, [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html).
fn check_format(file: &File) -> Result<(), CommandFault> {
    let mut head = [0; 256];
    let length = file.read_at(&mut head, 0)?;
    let head = &head[..length];
    let interpreter = if let Some(line) = head.strip_prefix(b"#!") {
        let blank = |b: &u8| *b == b' ' || *b == b'\t';
        let line = &line[line.iter().position(|b| !blank(b)).unwrap_or(line.len())..];
        let end = line.iter().position(|b| blank(b) || *b == b'\n' || *b == 0);
        Some(line[..end.unwrap_or(line.len())].to_vec()).filter(|name| !name.is_empty())
    } else if head.starts_with(b"\x7fELF") {
        check_machine(head)?;
        elf_interpreter(file, head)
    } else if head.contains(&0) {
        // A binary that some handler may be registered for.
        return Ok(());
    } else {
        return Err(CommandFault::Format);
    };
    match interpreter {
        None if head.starts_with(b"#!") => Err(CommandFault::Format),
        Some(name) if fs::metadata(OsStr::from_bytes(&name)).is_err() => {
            Err(CommandFault::Interpreter(text::os(OsStr::from_bytes(&name))))
        }
        _ => Ok(()),
    }
}

/// Refuses a damaged header and a binary of another architecture, unless a handler for such may be registered
/// ([binfmt_misc](https://docs.kernel.org/admin-guide/binfmt-misc.html)). Numbers from
/// [elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html), `e_machine`.
fn check_machine(head: &[u8]) -> Result<(), CommandFault> {
    const MACHINES: [(u16, &str); 9] = [
        (3, "x86"),
        (20, "powerpc"),
        (21, "powerpc64"),
        (22, "s390x"),
        (40, "arm"),
        (62, "x86_64"),
        (183, "aarch64"),
        (243, "riscv64"),
        (258, "loongarch64"),
    ];
    let here = std::env::consts::ARCH;
    let (Some(order), Some(machine)) = (head.get(5), head.get(18..20)) else { return Err(CommandFault::Format) };
    let machine = if *order == 2 { [machine[1], machine[0]] } else { [machine[0], machine[1]] };
    let machine = u16::from_le_bytes(machine);
    let name = MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    // The kernels of these run the 32-bit programs of their family as well.
    let related = matches!((name, here), (Some("x86"), "x86_64") | (Some("arm"), "aarch64"));
    // Two files are always there.
    let handled = || fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|files| files.count() > 2);
    if name == Some(here) || related || !MACHINES.iter().any(|(_, name)| *name == here) || handled() {
        return Ok(());
    }
    Err(CommandFault::Architecture(name.map_or_else(|| format!("machine {machine}"), str::to_owned)))
}

/// The dynamic loader that a 64-bit little-endian ELF file names, if it names one; see
/// [elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html), `PT_INTERP`. Files of other shapes are left to `execve`.
fn elf_interpreter(file: &File, head: &[u8]) -> Option<Vec<u8>> {
    const ELF64_LITTLE_ENDIAN: [u8; 2] = [2, 1];
    const PT_INTERP: u32 = 3;
    let u16_at = |bytes: &[u8], at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u64_at = |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if head.get(4..6)? != ELF64_LITTLE_ENDIAN {
        return None;
    }
    let (table, size, count) = (u64_at(head, 32)?, u16_at(head, 54)?, u16_at(head, 56)?);
    for n in 0..u64::from(count) {
        let mut entry = [0; 56];
        file.read_exact_at(&mut entry, table.checked_add(n * u64::from(size))?).ok()?;
        if entry[..4] == PT_INTERP.to_le_bytes() {
            let mut name = vec![0; usize::try_from(u64_at(&entry, 32)?).ok().filter(|n| *n <= 4096)?];
            file.read_exact_at(&mut name, u64_at(&entry, 8)?).ok()?;
            name.pop_if(|last| *last == 0);
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, content, mode) in files {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        directory
    }

    #[test]
    fn each_fault_of_a_path_is_told_apart() {
        let directory = directory(&[
            ("script", "#!/bin/sh\n", 0o755),
            ("spaced", "#! \t/bin/sh -e\n", 0o755),
            ("windows", "#!/bin/sh\r\n", 0o755),
            ("bare", "echo hello\n", 0o755),
            ("hollow", "#!\n", 0o755),
            ("empty", "", 0o755),
            ("foreign", "\0asm", 0o755),
            ("plain", "#!/bin/sh\n", 0o644),
            ("stump", "\x7fELF", 0o755),
        ]);
        let at = |name: &str| directory.path().join(name);
        let fault = |name: &str| resolve(at(name).as_os_str(), None).err();
        for (name, expected) in [
            ("script", None),
            ("spaced", None),
            ("foreign", None),
            ("windows", Some(CommandFault::Interpreter("/bin/sh\\r".into()))),
            ("bare", Some(CommandFault::Format)),
            ("hollow", Some(CommandFault::Format)),
            ("empty", Some(CommandFault::Format)),
            ("plain", Some(CommandFault::Permission)),
            ("stump", Some(CommandFault::Format)),
            ("none", Some(CommandFault::Missing)),
            ("script/none", Some(CommandFault::Missing)),
            ("", Some(CommandFault::NotAFile)),
        ] {
            assert_eq!(fault(name), expected, "{name}");
        }
    }

    #[test]
    fn the_search_goes_past_what_cannot_be_executed_but_remembers_it() {
        let first = directory(&[("tool", "#!/bin/sh\n", 0o644), ("locked", "#!/bin/sh\n", 0o644)]);
        let second = directory(&[("tool", "#!/bin/sh\n", 0o755)]);
        let path = format!("/nowhere:{}:{}", first.path().display(), second.path().display());
        let find = |name: &str| resolve(OsStr::new(name), Some(path.as_bytes()));
        let tool = CString::new(second.path().join("tool").into_os_string().into_vec()).unwrap();
        assert_eq!(find("tool"), Ok(tool));
        assert_eq!(find("locked"), Err(CommandFault::Permission));
        assert_eq!(find("other"), Err(CommandFault::NotInPath(path.clone())));
        assert_eq!(find(""), Err(CommandFault::Missing));
        assert_eq!(resolve(OsStr::new("sh"), None), Ok(c"/usr/bin/sh".into()));
    }

    #[test]
    fn a_binary_of_another_machine_is_told_by_its_name() {
        let head = |machine: u8| [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 11], &[machine, 0], &[0; 44]].concat();
        let (here, other) = if cfg!(target_arch = "x86_64") { (62, 183) } else { (183, 62) };
        let name = if other == 183 { "aarch64" } else { "x86_64" };
        assert_eq!(check_machine(&head(here)), Ok(()));
        let handlers = fs::read_dir("/proc/sys/fs/binfmt_misc").map_or(0, Iterator::count);
        let expected = if handlers > 2 { Ok(()) } else { Err(CommandFault::Architecture(name.into())) };
        assert_eq!(check_machine(&head(other)), expected);
    }

    #[test]
    fn the_dynamic_loader_of_a_binary_is_found() {
        let shell = File::open("/bin/sh").unwrap();
        let mut head = [0; 256];
        shell.read_exact_at(&mut head, 0).unwrap();
        let loader = elf_interpreter(&shell, &head).unwrap();
        assert!(Path::new(OsStr::from_bytes(&loader)).exists());
    }
}
