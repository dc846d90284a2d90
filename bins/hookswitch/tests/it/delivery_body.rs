//! The exact bytes of a delivery: compact, escaped as `JSON.stringify` does, numbers and order as they came.

use hookswitch_testkit::Receiver;

use crate::stage::Stage;

/// Publishes the payload as it stands and returns the `data` part of the body sent, as text.
async fn sent(payload: &str) -> String {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    let body = format!("{{ \"payload\" :\n{payload} , \"type\" : \"alert\"}}");
    let answer = stage.service().post_text("/api/v1/events", body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let body = receiver.wait_for(1).await[0].body.clone();
    let text = String::from_utf8(body.to_vec()).expect("UTF-8");
    let timestamp = text.strip_prefix(r#"{"event":"alert","timestamp":"#).expect("the contract's order");
    let (digits, data) = timestamp.split_once(r#","data":"#).expect("the contract's order");
    assert!(digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() == 10, "unix seconds: {digits}");
    data.strip_suffix('}').expect("the end").to_owned()
}

#[tokio::test]
async fn white_space_goes_and_order_and_numbers_stay() {
    let got =
        sent("{ \"z\" : 1 ,\r\n\t\"a\" : [ 2.50 , 1e3 , -0.0 , 9007199254740993 ] , \"b\" : { } , \"10\" : null }");
    assert_eq!(got.await, r#"{"z":1,"a":[2.50,1e3,-0.0,9007199254740993],"b":{},"10":null}"#);
}

#[tokio::test]
async fn strings_are_escaped_as_browsers_do() {
    let got = sent(
        r#"{"\u0061": "\u00e9 \/ \u0022 \u005C \u000a\u0008\u000C\u000d\u0009 \u001F \u007f \u2028 \ud83d\ude00 \uD800 < ' "}"#,
    );
    let wanted = "{\"a\":\"é / \\\" \\\\ \\n\\b\\f\\r\\t \\u001f \u{7f} \u{2028} 😀 \\ud800 < ' \"}";
    assert_eq!(got.await, wanted);
}

#[tokio::test]
async fn white_space_within_strings_stays() {
    assert_eq!(sent(r#"{"a b" : " c  d "}"#).await, r#"{"a b":" c  d "}"#);
}

#[tokio::test]
async fn an_empty_payload_is_an_empty_object() {
    assert_eq!(sent("{ }").await, "{}");
}
