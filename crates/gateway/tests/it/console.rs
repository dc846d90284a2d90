//! The console's pages, as a browser gets them.

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_served_where_it_is_switched_on_and_may_load_nothing_from_elsewhere() {
    let rig = Rig::with(|config, _| config.console = true).await;
    for path in ["/", "/console", "/console/"] {
        let page = rig.api().get(path).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
        assert_eq!((page.header("x-content-type-options"), page.header("cache-control")), ("nosniff", "no-cache"));
    }
    let script = rig.api().get("/console/client/index.js").await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.text().contains("export const connect"));
    for nothing in ["/console/nothing.js", "/console/..%2Fsecret", "/index.html"] {
        rig.api().get(nothing).await.expect_error(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_there_where_it_is_off() {
    let rig = Rig::open().await;
    for path in ["/", "/console", "/console/app.js"] {
        rig.api().get(path).await.expect_error(404, "not_found");
    }
}
