//! A token that a client gives in place of the one that it connected with.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CommandError, invalid, is_object};
use crate::{ErrorCode, Secret, limits};

#[derive(Deserialize)]
struct RawToken<'a> {
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
}

/// The parser's words are left out: they quote what it was given.
pub(super) fn token(payload: Option<&RawValue>) -> Result<Secret, CommandError> {
    let payload = payload.filter(|payload| is_object(payload.get()));
    let raw: Option<RawToken<'_>> = payload.and_then(|payload| serde_json::from_str(payload.get()).ok());
    let token = raw.and_then(|raw| raw.token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| invalid("payload.token must be a token, as text"))?;
    if token.len() > limits::TOKEN_BYTES {
        let message = format!("payload.token has {} bytes, at most {} are allowed", token.len(), limits::TOKEN_BYTES);
        return Err(CommandError::new(ErrorCode::TooLarge, message));
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;

    #[test]
    fn a_token_is_read_and_no_error_quotes_it() {
        let token = |payload: &str| Command::parse(&format!(r#"{{"type":"token","payload":{payload}}}"#));
        assert_eq!(token(r#"{"token":"a.b.c"}"#), Ok(Command::Token(Secret::new("a.b.c"))));
        for bad in [r#""a.b.c""#, r#"["a.b.c"]"#, r#"{"token":["a.b.c"]}"#, r#"{"token":""}"#, "{}", "null"] {
            let error = token(bad).expect_err(bad);
            assert_eq!(
                (error.code, error.message.as_str()),
                (ErrorCode::InvalidField, "payload.token must be a token, as text")
            );
        }
        let long = token(&format!(r#"{{"token":"{}"}}"#, "x".repeat(limits::TOKEN_BYTES + 1)));
        assert_eq!(long.expect_err("too long").code, ErrorCode::TooLarge);
    }
}
