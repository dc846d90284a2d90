//! A token that a connected client gives in place of its older one: the connection lasts as long as it does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hookswitch_hub::{Clearance, Subject};
use hookswitch_protocol::{CommandError, ErrorCode, Secret, TenantId, Timestamp};

use crate::auth::{Credential, Principal, TokenPlace};
use crate::transports::tcp::SocketContext;

/// Whom a connection was opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Subject,
    pub(crate) clearance: Clearance,
}

/// The token that is being checked; nothing is read meanwhile, so that commands keep their order.
#[derive(Default)]
pub(super) struct Renewal(Option<Check>);

type Check = Pin<Box<dyn Future<Output = Result<Timestamp, CommandError>>>>;

impl Renewal {
    pub(super) const fn is_running(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn start(&mut self, context: Arc<SocketContext>, holder: Holder, token: Secret) {
        self.0 = Some(Box::pin(check(context, holder, token)));
    }

    /// Pending while a token is checked; then when it ends, or why it is refused. `None` when there was none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Timestamp, CommandError>>> {
        let Some(check) = &mut self.0 else { return Poll::Ready(None) };
        let outcome = std::task::ready!(check.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(outcome))
    }
}

async fn check(context: Arc<SocketContext>, holder: Holder, token: Secret) -> Result<Timestamp, CommandError> {
    let credential = Credential { token: token.reveal(), place: TokenPlace::Message };
    match context.authenticator.0.authenticate(credential).await {
        Ok(principal) => {
            is_same(&holder, &principal).map_err(|message| CommandError::new(ErrorCode::Forbidden, message))?;
            Ok(principal.expires_at)
        }
        Err(error) => {
            context.metrics.refused_tokens.inc(error.reason());
            let Holder { tenant, subject, .. } = &holder;
            tracing::warn!(
                target: "hookswitch::security", reason = error.reason(), %tenant, ?subject, "token refused on an open connection"
            );
            Err(CommandError::new(error.code(), error.to_string()))
        }
    }
}

/// A connection's events were chosen for its user and role: another one's need a connection of their own.
fn is_same(holder: &Holder, principal: &Principal) -> Result<(), &'static str> {
    if holder.tenant != principal.tenant || holder.subject != Subject::User(principal.user.clone()) {
        return Err("this is another user's token: connect anew with it");
    }
    if holder.clearance != principal.clearance() {
        return Err("this token's role may see other events: connect anew with it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::UserId;

    use super::*;
    use crate::auth::Role;

    #[test]
    fn a_token_of_somebody_else_or_for_other_events_is_refused() {
        let principal = |tenant: &str, user: i64, role| Principal {
            tenant: TenantId::parse(tenant).expect("legal"),
            user: UserId::from(user),
            role,
            expires_at: Timestamp::from_millis(0),
        };
        let holder = Holder {
            tenant: TenantId::parse("t").expect("legal"),
            subject: Subject::User(UserId::from(7)),
            clearance: Clearance::Standard,
        };
        assert_eq!(is_same(&holder, &principal("t", 7, Role::Supervisor)), Ok(()));
        for other in [principal("u", 7, Role::Agent), principal("t", 8, Role::Agent), principal("t", 7, Role::Admin)] {
            assert!(is_same(&holder, &other).is_err(), "{other:?}");
        }
    }
}
