//! Minting tokens: for development and tests, in the contract's claims.

use std::time::Duration;

use anyhow::{Context as _, bail};
use hookswitch::protocol::{Secret, TenantId, UserId};
use hookswitch::runtime::Clock;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use crate::cli::TokenArgs;
use crate::config::Environment;
use crate::dev::DevDir;

/// What `hookswitch dev` and `hookswitch token` sign.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) user: UserId,
    pub(crate) tenant: &'a TenantId,
    pub(crate) role: &'a str,
    pub(crate) time_to_live: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    user_id: &'a UserId,
    tenant_id: &'a TenantId,
    email: String,
    role: &'a str,
    token_type: &'static str,
    iat: i64,
    exp: i64,
}

impl Grant<'_> {
    /// Signs with HS256.
    pub(crate) fn sign(&self, secret: &Secret, clock: &Clock) -> anyhow::Result<String> {
        let now = clock.now().as_millis() / 1_000;
        let claims = Claims {
            user_id: &self.user,
            tenant_id: self.tenant,
            email: format!("{}@{}.example", self.user, self.tenant),
            role: self.role,
            token_type: "access",
            iat: now,
            exp: now.saturating_add(self.time_to_live.as_secs() as i64),
        };
        let key = EncodingKey::from_secret(secret.reveal().as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).context("the token cannot be signed")
    }
}

/// `hookswitch token`: the token alone on standard output.
#[expect(clippy::print_stdout, reason = "the token is what was asked for")]
pub(crate) fn run(args: TokenArgs, environment: &Environment) -> anyhow::Result<()> {
    let secret = find_secret(environment)?;
    let user = match args.user {
        Some(user) => user,
        None if args.role == "agent" => UserId::from(101),
        None => UserId::parse(&args.role)?,
    };
    let grant = Grant { user, tenant: &args.tenant, role: &args.role, time_to_live: args.ttl };
    println!("{}", grant.sign(&secret, &Clock::system())?);
    Ok(())
}

fn find_secret(environment: &Environment) -> anyhow::Result<Secret> {
    if let Ok(Some(secret)) = environment.text("JWT_SECRET") {
        return Ok(Secret::new(secret));
    }
    match DevDir::here().read_secret()? {
        Some(secret) => Ok(secret),
        None => bail!(
            "there is no secret to sign with: set JWT_SECRET, or run this beside the {} that `hookswitch dev` makes",
            DevDir::here()
        ),
    }
}

#[cfg(test)]
mod tests {
    use hookswitch::gateway::{Authenticator as _, Credential, JwtAuthenticator, JwtConfig, Role, TokenPlace};

    use super::*;

    #[tokio::test]
    async fn the_gateway_accepts_what_we_sign() {
        let secret = Secret::new("a secret of thirty-two bytes, yes");
        let tenant = TenantId::parse("demo").expect("legal");
        let grant =
            Grant { user: UserId::from(7), tenant: &tenant, role: "service", time_to_live: Duration::from_mins(1) };
        let token = grant.sign(&secret, &Clock::system()).expect("signs");
        let config = JwtConfig { secret: Some(secret), ..JwtConfig::default() };
        let gateway = JwtAuthenticator::new(&config, Clock::system()).expect("a secret is enough");
        let credential = Credential { token: &token, place: TokenPlace::Header };
        let principal = gateway.authenticate(credential).await.expect("accepted");
        assert_eq!((&principal.tenant, &principal.user, principal.role), (&tenant, &UserId::from(7), Role::Service));
    }
}
