//! What a rotation of the secret may ask for.

use std::time::Duration;

use hookswitch_protocol::Secret;

use super::fields::{check_number, check_secret};
use super::invalid::InvalidWebhook;
use crate::sign;

/// A day: time enough to bring the new secret to every receiver.
const DEFAULT_OVERLAP_SECS: i64 = 86_400;
/// A week.
const MAX_OVERLAP_SECS: u32 = 604_800;

/// A request to replace the secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The new secret; without one we make it.
    pub secret: Option<Secret>,
    /// How many seconds the former secret stays valid beside it, 0 to 604,800; a day by default.
    pub overlap_seconds: Option<i64>,
}

/// The secret to rotate to, and how long the one before stays valid.
pub(crate) fn check_rotation(rotation: Rotation) -> Result<(Secret, Duration), InvalidWebhook> {
    let overlap = rotation.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECS);
    let overlap = check_number("overlap_seconds", overlap, 0, MAX_OVERLAP_SECS, "")?;
    let secret = match rotation.secret {
        Some(secret) => check_secret(secret)?,
        None => sign::generate_secret(),
    };
    Ok((secret, Duration::from_secs(u64::from(overlap))))
}
