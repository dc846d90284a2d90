//! What a machine needs before the suite can run: looked for, installed where that is allowed, or told with a hint.
//!
//! Only Redis, MariaDB and a browser are installed, and only as Debian packages: the tests start servers of their own, so the
//! daemons that come with the packages must not start. Nothing is touched when all programs are there.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{answers, run, workspace_root};

/// A program the suite needs, and what to do when it is missing.
struct Program {
    name: &'static str,
    probe: &'static str,
    why: &'static str,
    hint: &'static str,
}

const COMPILER: Program = Program {
    name: "cc",
    probe: "--version",
    why: "SQLite and the TLS library are compiled from C",
    hint: "install a C compiler: `apt-get install gcc libc6-dev`, `dnf install gcc`, or Xcode's command line tools",
};

/// Debian's `mariadb-install-db` comes with `mariadbd`; it is not asked, for it has no harmless question.
const SERVERS: [Program; 7] = [
    redis("redis-server"),
    redis("redis-sentinel"),
    redis("redis-cli"),
    OPENSSL,
    mariadb("mariadbd"),
    mariadb("mariadb"),
    PLUGINS,
];

/// Debian has the plugins for logins in a package of their own, and this program beside them.
const PLUGINS: Program = Program {
    name: "aria_chk",
    probe: "--version",
    why: "tests log in to MariaDB by its plugins, which come with it",
    hint: "`apt-get install mariadb-server`, `dnf install mariadb-server` or `brew install mariadb`",
};

const OPENSSL: Program = Program {
    name: "openssl",
    probe: "version",
    why: "tests make certificates for a Redis server that speaks TLS",
    hint: "`apt-get install openssl`, `dnf install openssl` or `brew install openssl`",
};

const fn redis(name: &'static str) -> Program {
    let why = "tests start Redis servers of their own";
    let hint = "`apt-get install redis-server redis-sentinel redis-tools`, `dnf install redis` or `brew install redis`";
    Program { name, probe: "--version", why, hint }
}

const fn mariadb(name: &'static str) -> Program {
    let why = "tests start MariaDB servers of their own";
    let hint = "`apt-get install mariadb-server-core mariadb-client-core`, `dnf install mariadb-server` or \
                `brew install mariadb`";
    Program { name, probe: "--version", why, hint }
}

/// What pages are tried in, with Debian's package. The client's tests do without.
const BROWSER: (Program, &str) = (
    Program {
        name: "chromium",
        probe: "--version",
        why: "pages are tried in it",
        hint: "`apt-get install chromium`, or set CHROMIUM to such a browser",
    },
    "chromium:chromium",
);

/// What the long checks try a rolling restart behind, each with Debian's package. They do without.
const PROXIES: [(Program, &str); 2] = [(proxy("nginx"), "nginx:nginx-light"), (proxy("haproxy"), "haproxy:haproxy")];

const fn proxy(name: &'static str) -> Program {
    let why = "a rolling restart is tried behind it";
    let hint = "`apt-get install nginx-light haproxy`, `dnf install nginx haproxy` or `brew install nginx haproxy`";
    Program { name, probe: "-v", why, hint }
}

/// The installation, one script so that it is one call of `sudo`; it is given [`POLICY`].
const INSTALL: &str = "xtask/src/install-servers.sh";
/// Where Debian's package scripts ask whether a daemon may start.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// How the installation may be run on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    Root,
    Sudo,
    Nobody,
}

/// Makes sure that everything is there that tests need, or says what is missing and how to get it.
pub(crate) fn ready() -> Result<()> {
    let mut missing = missing(&[COMPILER]);
    if SERVERS.iter().any(|program| !program.is_there()) {
        install(Installer::find(), &[]);
        missing.extend(self::missing(&SERVERS));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("the machine lacks something\n  {}", missing.join("\n  "))
}

/// Installs the browser where that is allowed, or says what has to do without.
pub(crate) fn browser() {
    let (program, package) = BROWSER;
    if !program.is_there() {
        install(Installer::find(), &[package]);
        if !program.is_there() {
            println!("NOT TESTED: pages: `{}` is missing ({}): {}", program.name, program.why, program.hint);
        }
    }
}

/// Installs the proxies where that is allowed; says which the checks have to do without.
pub(crate) fn proxies() {
    if PROXIES.iter().any(|(program, _)| !program.is_there()) {
        install(Installer::find(), &PROXIES.each_ref().map(|(_, package)| *package));
        let missing = PROXIES.iter().filter(|(program, _)| !program.is_there());
        missing.for_each(|(p, _)| println!("`{}` is missing ({}; not tried now): {}", p.name, p.why, p.hint));
    }
}

impl Program {
    fn is_there(&self) -> bool {
        answers(Command::new(self.name).arg(self.probe))
    }
}

fn missing(programs: &[Program]) -> Vec<String> {
    let missing = programs.iter().filter(|program| !program.is_there());
    missing.map(|p| format!("`{}` is missing ({}): {}", p.name, p.why, p.hint)).collect()
}

/// Tries; whether it worked shows when the programs are looked for again.
fn install(installer: Installer, instead: &[&str]) {
    let Some(mut command) = installer.command() else { return };
    println!("a server is missing: installing Debian's packages, whose daemons are not started");
    if let Err(error) = run(command.current_dir(workspace_root()).args([INSTALL, POLICY]).args(instead)) {
        println!("{error:#}");
    }
}

impl Installer {
    fn find() -> Self {
        let apt = answers(Command::new("apt-get").arg("--version"));
        if !apt {
            Self::Nobody
        } else if nix::unistd::geteuid().is_root() {
            Self::Root
        } else if answers(Command::new("sudo").args(["-n", "true"])) {
            Self::Sudo
        } else {
            Self::Nobody
        }
    }

    /// A shell with the right to install; nothing if there is none.
    fn command(self) -> Option<Command> {
        match self {
            Self::Root => Some(Command::new("sh")),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", "sh"]);
                Some(command)
            }
            Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Output;

    /// Runs the script with an `apt-get` that notes how the policy answers while it installs; no program
    /// it looks for is on its path.
    fn install(dir: &Path, policy: &Path, instead: &[&str]) -> Output {
        let fake = "#!/bin/sh\n[ \"$1\" = update ] && exit 100\n\"$POLICY\"; echo \"$? $*\" >> \"$NOTES\"\n";
        executable(&dir.join("apt-get"), fake);
        for tool in ["rm", "chmod"] {
            let real = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
            let real = real.iter().find(|path| path.exists()).expect("a tool that every machine has");
            std::os::unix::fs::symlink(real, dir.join(tool)).or_else(already_there).unwrap();
        }
        executable(&dir.join("systemctl"), "#!/bin/sh\necho \"$*\" >> \"$NOTES\"\n");
        let mut command = Command::new("/bin/sh");
        command.current_dir(workspace_root()).arg(INSTALL).arg(policy).args(instead).env("POLICY", policy);
        command.env("NOTES", dir.join("notes")).env("PATH", dir);
        command.output().expect("there is a shell")
    }

    fn already_there(error: std::io::Error) -> std::io::Result<()> {
        if error.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
    }

    fn executable(path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn no_daemon_may_start_during_the_installation_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy");
        let output = install(dir.path(), &policy, &[]);
        assert!(output.status.success(), "{output:?}");
        let notes = std::fs::read_to_string(dir.path().join("notes")).unwrap();
        let lines: Vec<&str> = notes.lines().collect();
        assert!(lines[0].starts_with("101 install -y"), "{notes}");
        assert!(
            lines[0]
                .ends_with(" redis-server redis-sentinel redis-tools openssl mariadb-server-core mariadb-client-core mariadb-server"),
            "{notes}"
        );
        assert_eq!(lines[1..], ["disable redis-server", "disable redis-sentinel", "disable mariadb"]);
        assert!(!policy.exists());
    }

    #[test]
    fn the_proxies_are_installed_in_the_same_way() {
        let dir = tempfile::tempdir().unwrap();
        let instead = PROXIES.each_ref().map(|(_, package)| *package);
        let output = install(dir.path(), &dir.path().join("policy"), &instead);
        assert!(output.status.success(), "{output:?}");
        let notes = std::fs::read_to_string(dir.path().join("notes")).unwrap();
        let lines: Vec<&str> = notes.lines().collect();
        assert!(lines[0].starts_with("101 install -y") && lines[0].ends_with(" nginx-light haproxy"), "{notes}");
        assert_eq!(lines[1..], ["disable nginx", "disable haproxy"]);
    }

    #[test]
    fn a_policy_of_the_machine_is_kept_and_one_that_allows_daemons_stops_the_installation() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy");
        executable(&policy, "#!/bin/sh\nexit 101\n");
        assert!(install(dir.path(), &policy, &[]).status.success());
        assert!(policy.exists());
        executable(&policy, "#!/bin/sh\nexit 0\n");
        let refused = install(dir.path(), &policy, &[]);
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("would let a daemon start"));
    }

    #[test]
    fn what_is_missing_is_named_with_a_hint() {
        let nonsense = Program { name: "no-such-program", ..redis("redis-server") };
        let lines = missing(&[nonsense]);
        assert!(lines[0].starts_with("`no-such-program` is missing"), "{lines:?}");
        assert!(lines[0].contains("apt-get install redis-server redis-sentinel redis-tools"), "{lines:?}");
    }
}
