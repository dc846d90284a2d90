//! Certificates for a server that speaks TLS, made by the real `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const AUTHORITY: &str = "ca.crt";
pub(super) const CERTIFICATE: &str = "server.crt";
pub(super) const KEY: &str = "server.key";

/// All extensions are named here, because those of the machine's own configuration would be added otherwise.
const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[server]
basicConstraints = critical,CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1
";

/// Makes an authority and a certificate by it for this machine; returns the authority's certificate.
pub(super) fn make_certificates(dir: &Path) -> PathBuf {
    std::fs::write(dir.join("openssl.cnf"), CONFIG).expect("a temporary directory can be written");
    request(dir, &["-extensions", "authority", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", AUTHORITY]);
    let by = ["-CA", AUTHORITY, "-CAkey", "ca.key", "-extensions", "server", "-subj", "/CN=localhost"];
    request(dir, &[&by[..], &["-keyout", KEY, "-out", CERTIFICATE]].concat());
    dir.join(AUTHORITY)
}

fn request(dir: &Path, args: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(dir).args(["req", "-x509", "-config", "openssl.cnf", "-days", "2", "-nodes"]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]).args(args);
    let output = command.output().unwrap_or_else(|e| panic!("{}", super::cli::missing("openssl", &e)));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl makes no certificate (version 3 is needed): {complaint}");
}
