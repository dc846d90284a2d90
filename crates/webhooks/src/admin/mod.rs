//! The facade's side for administrators: registrations, what was sent, and sending it again.

mod attempts;
mod event_deliveries;
mod registrations;
mod resend;
mod test_delivery;

pub use event_deliveries::DeliveryHistory;
pub use resend::{Enabled, Resent};
pub use test_delivery::TestReport;
