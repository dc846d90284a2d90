//! Keys that seal what nobody should read in the database: signing secrets and custom header values. See
//! `docs/decisions/0014-sealed-secrets-and-the-once-shown-one.md`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// What a key has to be, in bytes.
const KEY_BYTES: usize = 32;

/// How many bytes of a key's digest name it.
const NAME_BYTES: usize = 4;

/// Keys for AES-256-GCM: the first seals, all of them open, so that keys can be changed one after the
/// other. Without any, nothing is sealed. Clones share them; they never print.
#[derive(Clone, Default)]
pub struct SecretKeys(Arc<[Key]>);

struct Key {
    name: String,
    key: RandomizedNonceKey,
}

/// Why a text holds no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key number {number} is not 32 bytes in base64 or hex")]
pub struct BadSecretKey {
    /// Which, counted from 1.
    pub number: usize,
}

/// Why a sealed text cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum BadSeal {
    #[error("it is sealed with a key that is not known here")]
    UnknownKey,
    #[error("it was changed, or belongs to another row or column")]
    Forged,
}

impl SecretKeys {
    /// Reads keys, each 32 bytes in base64 or hex, separated by commas; an empty text is no keys.
    /// `openssl rand -base64 32` makes one.
    ///
    /// # Errors
    /// [`BadSecretKey`], which does not quote it.
    pub fn parse(text: &str) -> Result<Self, BadSecretKey> {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        let keys = texts.enumerate().map(|(at, text)| read(text).ok_or(BadSecretKey { number: at + 1 }));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Seals a text for one place; `None` without keys.
    pub(crate) fn seal(&self, place: &str, text: &str) -> Option<String> {
        let Key { name, key } = self.0.first()?;
        let mut sealed = text.as_bytes().to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .expect("a short text can always be sealed");
        let whole = [nonce.as_ref().as_slice(), &sealed].concat();
        Some(format!("v1:{name}:{}", STANDARD.encode(whole)))
    }

    /// Opens what was sealed for this place.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<String, BadSeal> {
        let (name, body) = sealed.strip_prefix("v1:").and_then(|rest| rest.split_once(':')).ok_or(BadSeal::Forged)?;
        let Key { key, .. } = self.0.iter().find(|key| key.name == name).ok_or(BadSeal::UnknownKey)?;
        let mut whole = STANDARD.decode(body).map_err(|_| BadSeal::Forged)?;
        let (nonce, body) = whole.split_at_mut_checked(NONCE_LEN).ok_or(BadSeal::Forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| BadSeal::Forged)?;
        let opened = key.open_in_place(nonce, Aad::from(place.as_bytes()), body).map_err(|_| BadSeal::Forged)?;
        String::from_utf8(opened.to_vec()).map_err(|_| BadSeal::Forged)
    }
}

fn read(text: &str) -> Option<Key> {
    let bytes = if text.len() == 2 * KEY_BYTES {
        hex::decode(text).ok()
    } else {
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(text).ok())
    };
    let bytes = bytes.filter(|bytes| bytes.len() == KEY_BYTES)?;
    let name = hex::encode(&digest(&SHA256, &bytes).as_ref()[..NAME_BYTES]);
    Some(Key { name, key: RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()? })
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "***" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

    fn keys(text: &str) -> SecretKeys {
        SecretKeys::parse(text).expect("good")
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_at_the_same_place_only() {
        let sealed = keys(ONE).seal("a/secret", "hunter2-ä").expect("there is a key");
        assert!(sealed.starts_with("v1:") && !sealed.contains("hunter2"), "{sealed}");
        assert_ne!(keys(ONE).seal("a/secret", "hunter2-ä"), Some(sealed.clone()), "never the same twice");
        assert_eq!(keys(ONE).open("a/secret", &sealed).as_deref(), Ok("hunter2-ä"));
        assert_eq!(keys(ONE).open("b/secret", &sealed), Err(BadSeal::Forged));
        assert_eq!(keys(TWO).open("a/secret", &sealed), Err(BadSeal::UnknownKey));
        assert_eq!(SecretKeys::default().open("a/secret", &sealed), Err(BadSeal::UnknownKey));
        for forged in ["", "v1:", "v1:00:AA", "hunter2", &sealed.replace("v1:", "v2:"), &sealed[..sealed.len() - 8]] {
            assert!(keys(ONE).open("a/secret", forged).is_err(), "{forged}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = keys(ONE).seal("a", "x").expect("sealed");
        let both = keys(&format!("{TWO}, {ONE}"));
        assert_eq!(both.open("a", &old).as_deref(), Ok("x"));
        let new = both.seal("a", "x").expect("sealed");
        assert_eq!((keys(TWO).open("a", &new).is_ok(), keys(ONE).open("a", &new).is_ok()), (true, false));
        assert_eq!(SecretKeys::default().seal("a", "x"), None);
    }

    #[test]
    fn bad_keys_are_numbered_and_nothing_prints_a_key() {
        assert_eq!(SecretKeys::parse(&format!("{ONE},short")).expect_err("bad"), BadSecretKey { number: 2 });
        assert!(SecretKeys::parse("").expect("none").is_empty());
        assert_eq!(format!("{:?} {:?}", keys(ONE), SecretKeys::default()), "*** none");
    }
}
