//! What this machine's files say, without a name server.

use super::*;

fn name(text: &str) -> Name {
    Name::from_str_relaxed(text).expect(text)
}

#[test]
fn the_file_of_hosts_comes_before_every_name_server() {
    let mut hosts = Hosts::default();
    let file = "# ours\n10.1.2.3 crm.internal CRM\nfd00::3 crm.internal # both\n127.0.0.9 pinned.example\n";
    hosts.read_hosts_conf(file.as_bytes()).expect("text");
    for (asked, wanted) in [
        ("crm.internal", Some(&["fd00::3", "10.1.2.3"][..])),
        ("crm", Some(&["10.1.2.3"])),
        ("pinned.example.", Some(&["127.0.0.9"])),
        ("localhost", Some(&["::1", "127.0.0.1"])),
        ("hook.localhost.", Some(&["::1", "127.0.0.1"])),
        ("notlocalhost", None),
        ("other.example", None),
    ] {
        let found = of_this_machine(&hosts, asked, &name(asked)).map(|answer| answer.addresses);
        let wanted = wanted.map(|texts| texts.iter().map(|text| text.parse().expect(text)).collect());
        assert_eq!(found, wanted, "{asked}");
    }
}

#[tokio::test]
async fn the_search_list_is_used_as_resolv_conf_says() {
    let chosen = [SocketAddr::from(([127, 0, 0, 1], 53))];
    let mut servers = NameServers::of(&chosen).expect("it needs nothing");
    servers.search = vec![name("a.internal"), name("b.internal.")];
    for (ndots, asked, wanted) in [
        (1, "crm.example", ["crm.example.", "crm.example.a.internal.", "crm.example.b.internal."]),
        (1, "crm", ["crm.a.internal.", "crm.b.internal.", "crm."]),
        (5, "crm.example", ["crm.example.a.internal.", "crm.example.b.internal.", "crm.example."]),
    ] {
        servers.ndots = ndots;
        let candidates: Vec<String> = servers.candidates(name(asked)).iter().map(Name::to_ascii).collect();
        assert_eq!(candidates, wanted, "{asked} with ndots:{ndots}");
    }
    assert_eq!(servers.candidates(name("crm.example.")), [name("crm.example.")]);
}

#[tokio::test]
async fn names_that_cannot_be_are_no_failure_of_a_server() {
    let resolver = SystemResolver::asking(vec![SocketAddr::from(([127, 0, 0, 1], 1))]);
    let long = format!("{}.example", "x".repeat(64));
    assert_eq!(resolver.resolve(&long).await, Err(LookUpError::NoAddress));
}
