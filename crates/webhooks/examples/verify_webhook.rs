//! A receiver's check of a delivery: is it really from us?
//!
//! Read the raw body and the `X-Webhook-Signature` header, and compare before parsing anything:
//! `cargo run -p hookswitch-webhooks --example verify_webhook`.

use hookswitch_webhooks::verify_signature;

#[expect(clippy::print_stdout, reason = "an example speaks to its reader")]
fn main() {
    let secret = "the secret of the webhook";
    let body = br#"{"event":"call.incoming","timestamp":1729866000,"data":{"unique_id":"1761393600.42"}}"#;
    // Both come from the HTTP request in a real receiver.
    let header = "d36027ee1f1ca64868db91aa8da3c36f588d76cb356ff99df69ffe37475f0c8a";
    if verify_signature(body, header, secret) {
        println!("genuine: parse it, answer 2xx, and remember webhook-id, for a delivery may come twice");
    } else {
        println!("not from us, or changed on the way: answer 401 and do nothing");
    }
}
