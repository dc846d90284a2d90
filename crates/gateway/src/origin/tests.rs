//! Lists of origins against what browsers send.

use super::*;

fn check(list: &str, origin: Option<&str>, host: &str, expected: bool) {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host.parse().expect("legal value"));
    if let Some(origin) = origin {
        headers.insert(ORIGIN, origin.parse().expect("legal value"));
    }
    let rule = AllowedOrigins::parse(list).expect(list);
    assert_eq!(rule.allow(&headers), expected, "{list:?} {origin:?} {host}");
}

#[test]
fn an_empty_list_means_the_same_host_and_port() {
    check("", None, "a.example:8000", true);
    check("", Some("http://a.example:8000"), "a.example:8000", true);
    check("", Some("https://A.example"), "a.example", true);
    check("", Some("https://a.example"), "a.example:443", true);
    check("", Some("http://a.example:8001"), "a.example:8000", false);
    check("", Some("http://a.example"), "a.example:443", false);
    check("", Some("https://evil.example"), "a.example", false);
    check("", Some("https://a.example.evil"), "a.example", false);
    check("", Some("null"), "a.example", false);
}

#[test]
fn a_list_is_exact_and_a_star_is_everybody() {
    let list = "https://app.example.com, http://localhost:5173";
    check(list, Some("https://app.example.com"), "x", true);
    check(list, Some("https://APP.example.com:443"), "x", true);
    check(list, Some("http://localhost:5173"), "x", true);
    check(list, Some("http://app.example.com"), "x", false);
    check(list, Some("https://app.example.com.evil"), "x", false);
    check(list, Some("null"), "x", false);
    check(list, None, "x", true);
    check("*", Some("null"), "x", true);
}

#[test]
fn subdomains_of_any_depth_are_meant_by_a_star_and_the_host_itself_is_not() {
    let list = "https://*.example.com,http://*.localhost:3000";
    check(list, Some("https://a.example.com"), "x", true);
    check(list, Some("https://b.a.example.com"), "x", true);
    check(list, Some("https://A.Example.com:443"), "x", true);
    check(list, Some("http://desk.localhost:3000"), "x", true);
    for other in [
        "https://example.com",
        "http://a.example.com",
        "https://a.example.com:8443",
        "https://aexample.com",
        "https://.example.com",
        "https://a.example.com.evil",
        "https://evil.org/.example.com",
        "https://evil.org#.example.com",
        "http://desk.localhost",
        "null",
    ] {
        check(list, Some(other), "x", false);
    }
    check("https://*.example.com:8443", Some("https://a.example.com:8443"), "x", true);
}

#[test]
fn origins_of_apps_and_of_sandboxed_pages_can_be_listed() {
    for app in [
        "capacitor://localhost",
        "tauri://localhost",
        "ionic://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0a1b2c3d-0000-4000-8000-000000000000",
        "http://tauri.localhost",
        "file://",
        "null",
    ] {
        check(app, Some(app), "x", true);
        check("https://app.example.com", Some(app), "x", false);
        check(app, Some("https://app.example.com"), "x", false);
    }
    check("Capacitor://Localhost/", Some("capacitor://localhost"), "x", true);
}

#[test]
fn an_entry_that_nothing_can_match_is_refused() {
    for (bad, why) in [
        ("app.example.com", "scheme and :// are missing"),
        ("localhost:5173", "scheme and :// are missing"),
        ("https://a.example/path", "all that an origin has"),
        ("https://a.example?x", "all that an origin has"),
        ("https://a.example#x", "all that an origin has"),
        ("https://u@a.example", "all that an origin has"),
        ("https://:p@a.example", "all that an origin has"),
        ("https://", "no URL"),
        ("wss://a.example", "pages come from http"),
        ("https://a*.example.com", "a star stands for whole labels"),
        ("https://a.*.com", "a star stands for whole labels"),
        ("http://localhost:*", "a star stands for whole labels"),
        ("https://*.*.example.com", "a star stands for whole labels"),
        ("https://*", "a star stands for whole labels"),
        ("https://*.com", "at least two labels"),
        ("http://*.0.0.1", "at least two labels"),
        ("capacitor://", "all that an origin has"),
        ("tauri://localhost/path", "all that an origin has"),
        ("chrome-extension://*", "all that an origin has"),
    ] {
        let error = AllowedOrigins::parse(bad).expect_err(bad).to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_refusal_names_both_sides_and_what_would_allow_it() {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, "desk.example".parse().expect("legal value"));
    headers.insert(ORIGIN, "https://desk.example:8443".parse().expect("legal value"));
    let refused = |list: &str| AllowedOrigins::parse(list).expect(list).refusal(&headers, "WS_ALLOWED_ORIGINS");
    let by_host = refused("");
    assert_eq!((by_host.origin.as_str(), by_host.wanted.as_str()), ("https://desk.example:8443", "desk.example"));
    assert!(by_host.remedy().starts_with("WS_ALLOWED_ORIGINS=https://desk.example:8443 would allow it"));
    let told = by_host.to_string();
    assert!(told.contains("https://desk.example:8443 is not the host desk.example"), "{told}");
    let listed = refused("https://app.example");
    assert_eq!(listed.to_string(), "the page's origin https://desk.example:8443 is not in WS_ALLOWED_ORIGINS");
    assert_eq!(listed.remedy(), "https://desk.example:8443 added to WS_ALLOWED_ORIGINS would allow it");
    headers.insert(ORIGIN, format!("https://{}.example", "x".repeat(5_000)).parse().expect("legal value"));
    assert!(AllowedOrigins::SameHost.refusal(&headers, "S").origin.len() <= 200);
}
