//! What a log filter must be beyond what its library takes: that takes any word for a part of some program, and logs
//! nothing but that part.

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The parts of this program that log.
const PARTS: [&str; 10] = [
    "hookswitch",
    "hookswitch_egress",
    "hookswitch_gateway",
    "hookswitch_hub",
    "hookswitch_protocol",
    "hookswitch_redis",
    "hookswitch_runtime",
    "hookswitch_store",
    "hookswitch_switch",
    "hookswitch_webhooks",
];

/// What is wrong with a filter; `None` for one that logs what it says.
pub(super) fn wrong(filter: &str) -> Option<String> {
    if let Err(error) = EnvFilter::builder().parse(filter) {
        return Some(format!("{filter:?} is no filter: {error}"));
    }
    // Those with fields of spans have commas and equals signs of their own.
    if filter.contains(['[', '{']) {
        return None;
    }
    filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).find_map(wrong_directive)
}

fn wrong_directive(directive: &str) -> Option<String> {
    let (target, is_leveled) =
        directive.split_once('=').map_or((directive, false), |(target, _)| (target.trim(), true));
    if !is_leveled && is_level(target) {
        return None;
    }
    let part = target.split("::").next().unwrap_or(target);
    let is_ours = PARTS.iter().any(|known| if target == part { known.starts_with(part) } else { *known == part });
    // Of what is not ours nobody knows the parts; it is named with a level.
    if is_ours || (is_leveled && !part.starts_with("hookswitch")) {
        return None;
    }
    Some(format!("{directive:?} is no level and no part of this program, which would log nothing by it"))
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || matches!(word.as_bytes(), [b'0'..=b'5'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_log_nothing_is_wrong() {
        for good in [
            "info",
            "WARN",
            "off",
            "3",
            "info,hookswitch_webhooks=debug",
            "info,hookswitch=trace",
            "warn,hyper=debug",
            "hookswitch_hub",
            "hookswitch::security=warn,error",
            "hookswitch_gateway::server=debug",
            "info,[request{id=7}]=debug",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for bad in [
            "warning",
            "information",
            "err",
            "6",
            "info,verbose",
            "hookswitch-hub=debug",
            "info,hookswitch_webhook_s=debug",
            "hookswitch_hubs::x=debug",
            "=x=loud",
            "hookswitch_hub=warning",
        ] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }
}
