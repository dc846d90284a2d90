//! `[jwt]`: keys with which tokens can be verified.

use std::str::FromStr as _;

use hookswitch::gateway::{InvalidJwtConfig, JwtAlgorithm, JwtAuthenticator, JwtConfig};
use hookswitch::protocol::Secret;
use hookswitch::runtime::Clock;

use super::super::raw::Raw;
use super::super::settings::{self, Setting};
use super::super::values;
use super::Checker;

/// Shorter secrets are found by trying.
const SECRET_MIN_BYTES: usize = 8;
/// What HS256 is meant to be used with (RFC 7518, section 3.2).
const SECRET_GOOD_BYTES: usize = 32;

/// Why a setting that was given changes nothing; `None` for one that counts.
pub(in crate::config) fn without_effect(raw: &Raw, setting: &Setting) -> Option<String> {
    raw.get(setting)?;
    let allowed = raw.get(&settings::JWT_ALGORITHMS)?;
    let allowed: Vec<_> = values::list(&allowed.text).map(JwtAlgorithm::from_str).collect::<Result<_, _>>().ok()?;
    let is_shared = |algorithm: &JwtAlgorithm| *algorithm == JwtAlgorithm::Hs256;
    let is_in_vain = match setting.key {
        key if key == settings::JWT_SECRET.key => !allowed.iter().any(is_shared),
        key if key == settings::JWT_PUBLIC_KEY_FILE.key => allowed.iter().all(is_shared),
        _ => false,
    };
    (is_in_vain && !allowed.is_empty())
        .then(|| format!("has no effect: {} allows no algorithm for it", raw.place(&settings::JWT_ALGORITHMS)))
}

impl Checker<'_> {
    pub(super) fn tokens(&mut self) -> JwtConfig {
        let raw = self.raw;
        self.warnings.extend([&settings::JWT_SECRET, &settings::JWT_PUBLIC_KEY_FILE].into_iter().filter_map(
            |setting| without_effect(raw, setting).map(|reason| format!("{} {reason}", raw.place(setting))),
        ));
        let secret = self.raw.get(&settings::JWT_SECRET).map(|given| Secret::new(given.text.as_str()));
        let public_key_pem = self.public_key();
        let has_public_key = self.raw.get(&settings::JWT_PUBLIC_KEY_FILE).is_some();
        match &secret {
            // What an unreadable file says of keys, nobody knows.
            None if !has_public_key && !self.raw.file_is_unreadable => self.refuse(
                &settings::JWT_SECRET,
                "is not set, so no token could be verified",
                "set it to your identity provider's HS256 secret, or set JWT_PUBLIC_KEY_FILE",
            ),
            // As the text of a shared secret it would be one that everybody may know.
            Some(secret) if secret.reveal().contains("-----BEGIN") => self.refuse(
                &settings::JWT_SECRET,
                "holds a key in PEM form, and is no shared secret",
                "name the file with the public key by JWT_PUBLIC_KEY_FILE",
            ),
            Some(secret) if secret.reveal().len() < SECRET_MIN_BYTES => self.refuse(
                &settings::JWT_SECRET,
                &format!("is shorter than {SECRET_MIN_BYTES} bytes"),
                "use 32 random bytes or more, e.g. from `openssl rand -hex 32`",
            ),
            Some(secret) if secret.reveal().len() < SECRET_GOOD_BYTES => self.warnings.push(format!(
                "{} is shorter than {SECRET_GOOD_BYTES} bytes: it can be guessed from one token; use a longer one",
                self.raw.place(&settings::JWT_SECRET)
            )),
            _ => {}
        }
        let algorithm = |text: &str| JwtAlgorithm::from_str(text).map_err(|error| error.to_string());
        let algorithms = self.list(&settings::JWT_ALGORITHMS, algorithm, "separate them by commas");
        let config = JwtConfig { secret, public_key_pem, algorithms, ..JwtConfig::default() };
        self.try_keys(&config, has_public_key);
        config
    }

    /// Asks the verifier itself whether it could work with these keys.
    fn try_keys(&mut self, config: &JwtConfig, has_public_key: bool) {
        let unreadable = has_public_key && config.public_key_pem.is_none();
        match JwtAuthenticator::new(config, Clock::system()) {
            Err(InvalidJwtConfig::BadKey) => {
                let remedy = "use an RSA, P-256 or Ed25519 public key (-----BEGIN PUBLIC KEY-----)";
                self.refuse(&settings::JWT_PUBLIC_KEY_FILE, "holds no public key of a kind we know", remedy);
            }
            Err(error @ InvalidJwtConfig::UselessKey { .. }) => {
                let remedy = "use an RSA key of 2048 to 8192 bits, a P-256 or an Ed25519 public key";
                self.refuse(&settings::JWT_PUBLIC_KEY_FILE, &error.to_string(), remedy);
            }
            Err(error @ InvalidJwtConfig::NoKeyFor { .. }) if !unreadable && !self.raw.file_is_unreadable => {
                let remedy = "set JWT_SECRET for HS256, JWT_PUBLIC_KEY_FILE for the others";
                self.refuse(&settings::JWT_ALGORITHMS, &error.to_string(), remedy);
            }
            // No key at all, or an unreadable one, has been reported by its own name.
            _ => {}
        }
    }

    fn public_key(&mut self) -> Option<String> {
        let path = self.raw.get(&settings::JWT_PUBLIC_KEY_FILE)?.text.clone();
        let (wrong, remedy) = match std::fs::read_to_string(&path) {
            Ok(pem) if pem.contains("PRIVATE KEY") => {
                ("holds a private key".to_owned(), "name the public key; the private one belongs to the signer alone")
            }
            Ok(pem) if pem.matches("-----BEGIN").count() > 1 => {
                ("holds more than one key, and only the first would count".to_owned(), "leave one of them in it")
            }
            Ok(pem) => return Some(pem),
            Err(error) => (format!("{path:?} cannot be read: {error}"), "name a readable PEM file"),
        };
        self.refuse(&settings::JWT_PUBLIC_KEY_FILE, &wrong, remedy);
        None
    }
}
