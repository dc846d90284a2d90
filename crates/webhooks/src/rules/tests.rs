//! Each mistake is named with its limit.

use std::collections::BTreeMap;

use hookswitch_egress::AddressPolicy;
use hookswitch_protocol::{ErrorCode, EventType};

use super::*;
use crate::options::OrderedBy;

fn strict() -> AddressGuard {
    AddressGuard::new(AddressPolicy::strict())
}

fn good() -> WebhookInput {
    WebhookInput {
        name: Some("CRM".to_owned()),
        url: Some("https://93.184.216.34/hook".to_owned()),
        events: Some(vec!["call.incoming".to_owned(), "queue.*".to_owned(), "*".to_owned()]),
        ..WebhookInput::default()
    }
}

async fn refused(input: WebhookInput) -> InvalidWebhook {
    check_new(input, &strict()).await.expect_err("must be refused")
}

#[tokio::test]
async fn a_good_one_gets_the_defaults() {
    let made = check_new(good(), &strict()).await.expect("good");
    assert_eq!((made.retry_count, made.timeout_secs, made.secret), (3, 30, None));
    let none = check_change(WebhookInput::default(), &WebhookOptions::default(), &strict()).await;
    assert_eq!(none, Ok(WebhookChange::default()), "an empty update changes nothing");
}

#[tokio::test]
async fn each_mistake_is_named_with_its_limit() {
    let text = |n: usize| Some("x".repeat(n));
    let secret = |text: &str| Some(Secret::new(text));
    let cases = [
        (WebhookInput { name: None, ..good() }, "name is required"),
        (WebhookInput { name: text(0), ..good() }, "name must not be empty"),
        (WebhookInput { name: Some("  ".into()), ..good() }, "name must not be blank"),
        (WebhookInput { name: text(256), ..good() }, "name has 256 characters, at most 255 are allowed"),
        (WebhookInput { url: None, ..good() }, "url is required"),
        (WebhookInput { url: text(501), ..good() }, "url has 501 characters, at most 500 are allowed"),
        (WebhookInput { url: Some("http://example.com".into()), ..good() }, "url must start with https://"),
        (WebhookInput { events: None, ..good() }, "events is required"),
        (WebhookInput { events: Some(vec![]), ..good() }, "events must name at least one event type"),
        (WebhookInput { events: Some(vec!["a".into(); 257]), ..good() }, "events has 257 entries, at most 256"),
        (WebhookInput { events: Some(vec!["a".into(), "Ab".into()]), ..good() }, "events entry 1 holds 'A'"),
        (WebhookInput { events: Some(vec!["ca*l".into()]), ..good() }, "events entry 0 holds '*'"),
        (WebhookInput { secret: secret(""), ..good() }, "secret must not be empty"),
        (WebhookInput { secret: secret(&"x".repeat(256)), ..good() }, "secret has 256 characters"),
        (WebhookInput { events: Some(vec!["ping".into()]), ..good() }, "events entry 0 is ping, a control message"),
        (WebhookInput { secret: secret("whsec_%"), ..good() }, "secret starts with whsec_ but"),
        (WebhookInput { secret: secret("whsec_"), ..good() }, "secret starts with whsec_ but the rest is empty"),
        (WebhookInput { retry_count: Some(21), ..good() }, "retry_count is 21, must be 0 to 20"),
        (WebhookInput { retry_count: Some(-1), ..good() }, "retry_count is -1"),
        (WebhookInput { timeout: Some(0), ..good() }, "timeout is 0, must be 1 to 120 seconds"),
        (WebhookInput { timeout: Some(i64::MAX), ..good() }, "timeout is 9223372036854775807"),
        (WebhookInput { is_active: Some(false), ..good() }, "is_active can be set by an update only"),
    ];
    for (input, wanted) in cases {
        let shown = format!("{input:?}");
        let error = refused(input).await;
        assert!(error.to_string().starts_with(wanted), "{shown}: {error}");
        assert_eq!(error.code, ErrorCode::InvalidField, "{error}");
    }
}

fn with(options: OptionsInput) -> WebhookInput {
    WebhookInput { options, ..good() }
}

fn headers(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
}

fn expiry(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs.iter().map(|(name, secs)| ((*name).to_owned(), *secs)).collect()
}

#[tokio::test]
async fn each_mistake_in_an_option_is_named_with_its_limit() {
    let none = OptionsInput::default;
    let many: Vec<(String, i64)> = (0..65).map(|i| (format!("a.{i}"), 1)).collect();
    let cases = [
        (
            OptionsInput { retry_profile: Some("fast".into()), ..none() },
            "retry_profile is \"fast\", must be \"standard\"",
        ),
        (
            OptionsInput { retry_statuses: Some(vec![429, 404]), ..none() },
            "retry_statuses holds 404, only 408, 425 and 429",
        ),
        (OptionsInput { retry_statuses: Some(vec![-1]), ..none() }, "retry_statuses holds -1"),
        (OptionsInput { max_in_flight: Some(101), ..none() }, "max_in_flight is 101, must be 0 to 100"),
        (OptionsInput { max_in_flight: Some(-1), ..none() }, "max_in_flight is -1"),
        (OptionsInput { rate_limit: Some(10_001), ..none() }, "rate_limit is 10001, must be 0 to 10000 per second"),
        (
            OptionsInput { ordered_by: Some("tenant".into()), ..none() },
            "ordered_by is \"tenant\", must be \"call\" or \"none\"",
        ),
        (OptionsInput { expiry: Some(expiry(&[("Call", 1)])), ..none() }, "expiry entry \"Call\" holds 'C'"),
        (
            OptionsInput { expiry: Some(expiry(&[("ping", 1)])), ..none() },
            "expiry entry \"ping\" is ping, a control message",
        ),
        (
            OptionsInput { expiry: Some(expiry(&[("call.*", 604_801)])), ..none() },
            "expiry entry \"call.*\" is 604801, must be 0 to 604800 seconds",
        ),
        (OptionsInput { expiry: Some(expiry(&[("call.*", -1)])), ..none() }, "expiry entry \"call.*\" is -1"),
        (OptionsInput { expiry: Some(many.into_iter().collect()), ..none() }, "expiry has 65 entries, at most 64"),
    ];
    refused_with(cases).await;
}

#[tokio::test]
async fn each_mistake_in_a_header_is_named_with_its_limit() {
    let none = OptionsInput::default;
    let long = "v".repeat(1_025);
    let cases = [
        (OptionsInput { headers: Some(headers(&[("", "v")])), ..none() }, "headers hold an empty name"),
        (OptionsInput { headers: Some(headers(&[("X Y", "v")])), ..none() }, "headers name \"X Y\" holds ' '"),
        (OptionsInput { headers: Some(headers(&[("X-Ü", "v")])), ..none() }, "headers name \"X-Ü\" holds 'Ü'"),
        (
            OptionsInput { headers: Some(headers(&[(&"x".repeat(101), "v")])), ..none() },
            "headers name of 101 bytes is too long, at most 100",
        ),
        (OptionsInput { headers: Some(headers(&[("X-A", "")])), ..none() }, "headers entry \"X-A\" must not be empty"),
        (
            OptionsInput { headers: Some(headers(&[("X-A", &long)])), ..none() },
            "headers entry \"X-A\" has 1025 bytes, at most 1024",
        ),
        (
            OptionsInput { headers: Some(headers(&[("X-A", "a\r\nHost: b")])), ..none() },
            "headers entry \"X-A\" holds characters other",
        ),
        (
            OptionsInput { headers: Some(headers(&[("X-A", "grün")])), ..none() },
            "headers entry \"X-A\" holds characters other",
        ),
        (
            OptionsInput { headers: Some(headers(&[("X-A", " a")])), ..none() },
            "headers entry \"X-A\" must not begin or end",
        ),
        (
            OptionsInput { headers: Some(headers(&[("X-A", "a"), ("x-a", "b")])), ..none() },
            "headers name \"x-a\" stands there twice",
        ),
        (
            OptionsInput { headers: Some(headers(&[("X-A", "***")])), ..none() },
            "headers entry \"X-A\" is \"***\", which keeps a value",
        ),
    ];
    refused_with(cases).await;
}

async fn refused_with<const N: usize>(cases: [(OptionsInput, &str); N]) {
    for (options, wanted) in cases {
        let shown = format!("{options:?}");
        let error = refused(with(options)).await;
        assert!(error.to_string().starts_with(wanted), "{shown}: {error}");
        assert_eq!(error.code, ErrorCode::InvalidField, "{error}");
    }
}

#[tokio::test]
async fn reserved_headers_are_refused_in_any_case() {
    for name in [
        "Host",
        "content-length",
        "Content-Type",
        "Transfer-Encoding",
        "Connection",
        "User-Agent",
        "TE",
        "Trailer",
        "Upgrade",
        "Accept-Encoding",
        "content-encoding",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "X-Webhook-ID",
        "x-webhook-else",
        "Webhook-Signature",
    ] {
        let error =
            refused(with(OptionsInput { headers: Some(headers(&[(name, "v")])), ..OptionsInput::default() })).await;
        assert_eq!(error.problem, format!("name {name:?} is reserved for the request itself"));
    }
}

#[tokio::test]
async fn headers_have_a_number_and_a_size_together() {
    let all = |n: usize, length: usize| {
        let headers = (0..n).map(|i| (format!("X-{i:02}"), Secret::new("v".repeat(length)))).collect();
        with(OptionsInput { headers: Some(headers), ..OptionsInput::default() })
    };
    assert!(check_new(all(20, 405), &strict()).await.is_ok());
    assert_eq!(refused(all(21, 1)).await.problem, "has 21 entries, at most 20 are allowed");
    let problem = refused(all(20, 406)).await.problem;
    assert_eq!(problem, "have 8200 bytes of names and values, at most 8192 are allowed");
}

#[tokio::test]
async fn options_are_read_and_defaults_take_them_back() {
    let given = OptionsInput {
        retry_profile: Some("durable".into()),
        retry_statuses: Some(vec![429, 408, 429]),
        max_in_flight: Some(1),
        rate_limit: Some(10_000),
        expiry: Some(expiry(&[("queue.*", 30), ("*", 0)])),
        ordered_by: Some("call".into()),
        headers: Some(headers(&[("Authorization", "Bearer a b")])),
    };
    let made = check_new(with(given), &strict()).await.expect("good");
    assert_eq!(made.retry_count, 10, "durable is meant to last");
    let options = made.options;
    assert_eq!((options.retry_profile, &*options.retry_statuses), (RetryProfile::Durable, &[408, 429][..]));
    assert_eq!((options.max_in_flight, options.rate_limit), (Some(1), Some(10_000)));
    assert_eq!((options.expiry.len(), options.ordered_by.map(OrderedBy::label)), (2, Some("call")));
    assert_eq!(options.header("authorization").map(Secret::reveal), Some("Bearer a b"));
    let back = OptionsInput {
        retry_profile: Some("standard".into()),
        retry_statuses: Some(vec![]),
        max_in_flight: Some(0),
        rate_limit: Some(0),
        expiry: Some(expiry(&[])),
        ordered_by: Some("none".into()),
        headers: Some(headers(&[])),
    };
    let change = WebhookInput { options: back, ..WebhookInput::default() };
    let change = check_change(change, &options, &strict()).await.expect("good");
    let mut changed = options;
    changed.apply(change.options);
    assert_eq!(changed, WebhookOptions::default());
    let explicit = WebhookInput {
        retry_count: Some(2),
        ..with(OptionsInput { retry_profile: Some("durable".into()), ..OptionsInput::default() })
    };
    assert_eq!(check_new(explicit, &strict()).await.expect("good").retry_count, 2);
}

#[tokio::test]
async fn a_masked_header_keeps_its_value_and_counts_with_its_size() {
    let made =
        with(OptionsInput { headers: Some(headers(&[("X-Key", &"k".repeat(1_024))])), ..OptionsInput::default() });
    let present = check_new(made, &strict()).await.expect("good").options;
    let masked = |pairs: &[(&str, &str)]| WebhookInput {
        options: OptionsInput { headers: Some(headers(pairs)), ..OptionsInput::default() },
        ..WebhookInput::default()
    };
    let change = check_change(masked(&[("x-key", "***"), ("X-New", "n")]), &present, &strict()).await.expect("good");
    let mut changed = present.clone();
    changed.apply(change.options);
    assert_eq!(changed.header("X-Key"), present.header("X-Key"));
    assert_eq!(changed.header("X-New").map(Secret::reveal), Some("n"));
    let many: Vec<(String, String)> = (0..7).map(|i| (format!("X-{i}"), "v".repeat(1_024))).collect();
    let mut pairs: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    pairs.push(("X-Key", "***"));
    let error = check_change(masked(&pairs), &present, &strict()).await.expect_err("too large");
    assert!(error.problem.starts_with("have 8218 bytes"), "{error}");
}

#[tokio::test]
async fn a_secret_is_given_or_made_and_not_both() {
    let both = WebhookInput { secret: Some(Secret::new("s")), generate_secret: Some(true), ..good() };
    assert_eq!(refused(both).await.to_string(), "generate_secret cannot be true beside a secret");
    let asked = WebhookInput { generate_secret: Some(true), ..good() };
    let made = check_new(asked, &strict()).await.expect("good").secret.expect("made");
    assert!(made.reveal().starts_with("whsec_") && made.reveal().len() == 50, "32 bytes in base64");
    let not_asked = WebhookInput { generate_secret: Some(false), ..good() };
    assert_eq!(check_new(not_asked, &strict()).await.expect("good").secret, None);
}

#[test]
fn a_rotation_brings_a_new_secret_and_a_bounded_overlap() {
    let check = |secret: Option<&str>, overlap_seconds| {
        check_rotation(Rotation { secret: secret.map(Secret::new), overlap_seconds })
    };
    let (made, overlap) = check(None, None).expect("good");
    assert!(made.reveal().starts_with("whsec_"));
    assert_eq!(overlap.as_secs(), 86_400);
    let (given, overlap) = check(Some("next"), Some(0)).expect("good");
    assert_eq!((given.reveal(), overlap.as_secs()), ("next", 0));
    for (secret, overlap, wanted) in [
        (None, Some(604_801), "overlap_seconds is 604801, must be 0 to 604800"),
        (None, Some(-1), "overlap_seconds is -1"),
        (Some(""), None, "secret must not be empty"),
        (Some("whsec_%"), None, "secret starts with whsec_ but"),
    ] {
        let error = check(secret, overlap).expect_err(wanted).to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn control_words_are_refused_and_only_they() {
    for word in [EventType::PING, EventType::PONG, EventType::ERROR, EventType::SUBSCRIBE, EventType::UNSUBSCRIBE] {
        assert!(event_name(word.as_str()).is_err(), "{word}");
    }
    for fine in ["ping.*", "pings", "error.log", "webhook.test", "presence.changed", "*"] {
        assert!(event_name(fine).is_ok(), "{fine}");
    }
}

#[tokio::test]
async fn blanks_around_a_url_and_line_breaks_in_it_are_not_swallowed() {
    let fine = "https://93.184.216.34/hook";
    for url in [format!(" {fine}"), format!("{fine} "), format!("{fine}\n"), fine.replace("hook", "ho\tok")] {
        let error = refused(WebhookInput { url: Some(url.clone()), ..good() }).await;
        assert_eq!((error.field, error.code), ("url", ErrorCode::InvalidField), "{url:?}");
        assert!(error.problem.contains("blank"), "{error}");
    }
}

#[tokio::test]
async fn a_blocked_address_has_its_own_code_and_is_not_repeated() {
    for url in ["https://169.254.169.254/", "https://[::ffff:10.0.0.1]/", "https://localhost/"] {
        let error = refused(WebhookInput { url: Some(url.to_owned()), ..good() }).await;
        assert_eq!((error.field, error.code), ("url", ErrorCode::AddressBlocked), "{url}");
        assert!(!error.problem.contains("10.0") && !error.problem.contains("169"), "{error}");
    }
}
