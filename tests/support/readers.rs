//! The programs and libraries that read env files, each started as its users start it.
//!
//! `tests/install-tools` puts those that are not part of a system into `target/tools`.

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;
use vault_exec::sink::format::Format;
use vault_testkit::{missing, tools};

/// What a reader found in a file, or what it said against it.
pub(crate) type Found = Result<BTreeMap<String, String>, String>;

/// Prints the variables whose names are its arguments after the file, names and values by turns.
/// It has no variable of its own that a file could overwrite.
const SHELL: &str = r#". "$1"; shift; while [ $# -gt 0 ]; do eval "printf '%s\0%s\0' $1 \"\$$1\""; shift; done"#;

/// The same for mksh, whose `printf` is a program, which takes no long argument.
const MKSH: &str = r#". "$1"; shift; while [ $# -gt 0 ]; do
    eval "print -rn -- $1; print -n '\\0'; print -rn -- \"\$$1\"; print -n '\\0'"; shift; done"#;

const NODE: &str = "process.stdout.write(JSON.stringify(process.env))";

const NPM_DOTENV: &str = "const { parse } = require('dotenv'); \
    process.stdout.write(JSON.stringify(parse(require('fs').readFileSync(process.argv[1]))))";

const PYTHON_DOTENV: &str =
    "import dotenv, json, sys; json.dump(dotenv.dotenv_values(sys.argv[1], encoding='utf-8'), sys.stdout)";

const PYTHON_JSON: &str = "import json, sys; json.dump(json.load(open(sys.argv[1], encoding='utf-8')), sys.stdout)";

/// A program that reads env files of one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Dash,
    Bash,
    BashPosix,
    Busybox,
    Ksh,
    Mksh,
    Zsh,
    Yash,
    Kubelet,
    Docker,
    Compose,
    Systemd,
    Node,
    NpmDotenv,
    PythonDotenv,
    PythonJson,
}

impl Reader {
    pub(crate) const ALL: [Self; 16] = [
        Self::Dash,
        Self::Bash,
        Self::BashPosix,
        Self::Busybox,
        Self::Ksh,
        Self::Mksh,
        Self::Zsh,
        Self::Yash,
        Self::Kubelet,
        Self::Docker,
        Self::Compose,
        Self::Systemd,
        Self::Node,
        Self::NpmDotenv,
        Self::PythonDotenv,
        Self::PythonJson,
    ];

    /// The readers of a format that are installed. Where one is missing, CI fails, and elsewhere that is said.
    pub(crate) fn of(format: Format) -> Vec<Self> {
        let readers = Self::ALL.into_iter();
        readers.filter(|reader| reader.format() == format && reader.is_installed()).collect()
    }

    pub(crate) fn format(self) -> Format {
        match self {
            Self::Dash
            | Self::Bash
            | Self::BashPosix
            | Self::Busybox
            | Self::Ksh
            | Self::Mksh
            | Self::Zsh
            | Self::Yash => Format::Sh,
            Self::Kubelet => Format::Kubernetes,
            Self::Docker => Format::Docker,
            Self::Compose => Format::Compose,
            Self::Systemd => Format::Systemd,
            Self::Node | Self::NpmDotenv | Self::PythonDotenv => Format::Dotenv,
            Self::PythonJson => Format::Json,
        }
    }

    /// Has the file read, and those of its variables looked at that have these names.
    pub(crate) fn read(self, content: &[u8], names: &[String]) -> Found {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();

        let mut command = self.command(file.path());
        if matches!(self.format(), Format::Sh | Format::Kubernetes) {
            command.args(names);
        }
        let output = command.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() || !said.is_empty() {
            return Err(format!("{} {said}", output.status));
        }
        let mut found = if self.format() == Format::Sh { pairs(&output.stdout)? } else { object(&output.stdout)? };
        found.retain(|name, _| names.contains(name));
        Ok(found)
    }

    fn command(self, file: &Path) -> Command {
        let program = match self {
            Self::Dash => "dash".into(),
            Self::Bash | Self::BashPosix => "bash".into(),
            Self::Busybox => "busybox".into(),
            Self::Ksh => "ksh93".into(),
            Self::Mksh => "mksh".into(),
            Self::Zsh => "zsh".into(),
            Self::Yash => "yash".into(),
            Self::Kubelet | Self::Docker | Self::Compose => tools().join("bin/readers"),
            Self::Systemd | Self::PythonJson => "python3".into(),
            Self::Node | Self::NpmDotenv => "node".into(),
            Self::PythonDotenv => tools().join("bin/python3"),
        };
        let mut command = Command::new(program);
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        match self {
            Self::Dash | Self::Bash | Self::Ksh | Self::Zsh => command.args(["-c", SHELL, "sh"]).arg(file),
            Self::Mksh => command.args(["-c", MKSH, "sh"]).arg(file),
            Self::BashPosix => command.args(["--posix", "-c", SHELL, "sh"]).arg(file),
            // The only one that decodes what it reads.
            Self::Yash => command.env("LC_ALL", "C.UTF-8").args(["-c", SHELL, "sh"]).arg(file),
            Self::Busybox => command.args(["sh", "-c", SHELL, "sh"]).arg(file),
            Self::Kubelet => command.arg("kubernetes").arg(file),
            Self::Docker => command.arg("docker").arg(file),
            Self::Compose => command.arg("compose").arg(file),
            Self::Systemd => command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/systemd.py")).arg(file),
            Self::Node => command.arg(format!("--env-file={}", file.display())).args(["-e", NODE]),
            Self::NpmDotenv => {
                command.env("NODE_PATH", tools().join("node_modules")).args(["-e", NPM_DOTENV]).arg(file)
            }
            Self::PythonDotenv => command.args(["-c", PYTHON_DOTENV]).arg(file),
            Self::PythonJson => command.args(["-c", PYTHON_JSON]).arg(file),
        };
        command
    }

    fn is_installed(self) -> bool {
        let nothing = if self.format() == Format::Json { "{}" } else { "" };
        self.read(nothing.as_bytes(), &[]) == Ok(BTreeMap::new())
            || missing(&format!("the reader {self:?} (see tests/install-tools)"))
    }
}

fn object(json: &[u8]) -> Found {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

fn pairs(output: &[u8]) -> Found {
    let output = str::from_utf8(output).map_err(|error| error.to_string())?;
    let fields: Vec<_> = output.split_terminator('\0').collect();
    Ok(fields.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect())
}
