//! Broadcasts from within a Rust service, without a door: webhooks are informed, and so are listeners
//! in the process.
//!
//! ```sh
//! cargo run -p hookswitch --example broadcast_only --no-default-features
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use hookswitch::payloads::{Alert, Call};
use hookswitch::webhooks::WebhookInput;
use hookswitch::{EventType, Payload, Secret, Switch, TenantId, Topic, TopicEvent, UserId};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Everything is kept in memory; `.sqlite(StoreConfig::new("calls.db"))` keeps it over restarts.
    let switch = Switch::builder().start().await?;
    let broadcaster = switch.broadcaster();
    let tenant = TenantId::parse("tenant-123")?;

    // From here on every call event is delivered to this address, signed, and tried again until it
    // is taken. Only public HTTPS addresses are allowed unless `.addresses(…)` says otherwise.
    let crm = WebhookInput {
        name: Some("CRM".into()),
        url: Some("https://crm.example.com/calls".into()),
        events: Some(vec!["call.*".into()]),
        secret: Some(Secret::new("shared with the CRM")),
        ..WebhookInput::default()
    };
    let webhook = switch.webhooks().create(&tenant, crm).await?;
    println!("webhook {} is registered", webhook.id);

    let ringing = Call { caller_id: "+4930123".into(), destination: "100".into(), ..Call::new("1729866000.17") };
    let id = broadcaster.call_incoming(&tenant, ringing.clone()).await?;
    println!("call.incoming is accepted as {id}");
    let answered = Call { agent_id: Some(UserId::from(456)), agent_name: "anna".into(), ..ringing };
    broadcaster.call_answered(&tenant, answered).await?;
    broadcaster.send_alert(&tenant, Alert::new("Trunk down", "No calls come in")).await?;

    // A topic of one's own, heard within the process.
    let wall = Topic::parse("wall:1")?;
    let mut listener = broadcaster.subscribe_to_topic(&tenant, &wall);
    let payload = Payload::parse(r#"{"score":9}"#)?;
    broadcaster.publish_to_topic(&tenant, wall, EventType::parse("survey.completed")?, payload).await?;
    if let TopicEvent::Event(event) = listener.next().await {
        println!("{}", String::from_utf8_lossy(&event.encode()));
    }

    switch.shut_down(Duration::from_secs(5)).await;
    Ok(())
}
