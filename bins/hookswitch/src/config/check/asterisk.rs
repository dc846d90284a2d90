//! `[asterisk]` and `[[asterisk]]`: the PBXs to follow.

use std::path::PathBuf;

use hookswitch::protocol::{Secret, TenantId};
use hookswitch_asterisk::Identity;

use super::super::Asterisk;
use super::super::raw::Raw;
use super::super::settings::{self, Setting};
use super::Checker;

/// Why a setting that was given changes nothing; `None` for one that counts.
pub(in crate::config) fn without_effect(raw: &Raw, setting: &Setting) -> Option<String> {
    raw.get(setting)?;
    let is_detail = setting.key.starts_with("asterisk.") && setting.key != settings::ASTERISK_ADDRESS.key;
    let alone = is_detail && raw.get(&settings::ASTERISK_ADDRESS).is_none() && !raw.file_is_unreadable;
    alone.then(|| "has no effect without ASTERISK_ADDRESS".to_owned())
}

impl Checker<'_> {
    pub(super) fn asterisk(&mut self) -> Vec<Asterisk> {
        let mut found = Vec::new();
        if self.raw.get(&settings::ASTERISK_ADDRESS).is_some() {
            found.extend(self.one_pbx());
        }
        for raw in &self.raw.pbxs {
            let mut checker = Checker { raw, problems: Vec::new(), warnings: Vec::new() };
            found.extend(checker.one_pbx());
            checker.check_white_space();
            self.problems.append(&mut checker.problems);
            self.warnings.append(&mut checker.warnings);
        }
        found
    }

    fn one_pbx(&mut self) -> Option<Asterisk> {
        let address = self.text(&settings::ASTERISK_ADDRESS);
        let port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        if port.is_none_or(|(host, port)| host.is_empty() || port == 0) {
            self.refuse(&settings::ASTERISK_ADDRESS, &format!("{address:?} is not host:port"), "write it as pbx:5038");
        }
        let user = self.text(&settings::ASTERISK_USER);
        if user.is_empty() {
            self.refuse(&settings::ASTERISK_USER, "is missing", "name the user of manager.conf");
        }
        let secret = self.asterisk_secret();
        let identity = self.asterisk_identity();
        let tenant = self.asterisk_tenant();
        let name = Some(self.text(&settings::ASTERISK_NAME)).filter(|name| !name.is_empty());
        let agents_file = Some(self.text(&settings::ASTERISK_AGENTS_FILE)).filter(|path| !path.is_empty());
        Some(Asterisk {
            address,
            user,
            secret: secret?,
            tenant: tenant?,
            identity: identity?,
            agents_file: agents_file.map(PathBuf::from),
            tls: self.boolean(&settings::ASTERISK_TLS),
            alert: self.boolean(&settings::ASTERISK_ALERT),
            name,
        })
    }

    fn asterisk_tenant(&mut self) -> Option<TenantId> {
        let text = self.text(&settings::ASTERISK_TENANT);
        if text.is_empty() {
            self.refuse(&settings::ASTERISK_TENANT, "is missing", "name the tenant whose calls these are");
            return None;
        }
        TenantId::parse(&text)
            .map_err(|error| self.refuse(&settings::ASTERISK_TENANT, &error.to_string(), "name a tenant"))
            .ok()
    }

    fn asterisk_secret(&mut self) -> Option<Secret> {
        let secret = self.text(&settings::ASTERISK_SECRET);
        if !secret.is_empty() {
            return Some(Secret::new(secret));
        }
        let path = self.text(&settings::ASTERISK_SECRET_FILE);
        if path.is_empty() {
            let remedy = "set it, or ASTERISK_SECRET_FILE";
            self.refuse(&settings::ASTERISK_SECRET, "is missing", remedy);
            return None;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                let wrong = format!("{path:?} cannot be read: {error}");
                self.refuse(&settings::ASTERISK_SECRET_FILE, &wrong, "name a readable file");
                None
            }
        }
    }

    fn asterisk_identity(&mut self) -> Option<Identity> {
        let (agents, outside) = (self.text(&settings::ASTERISK_AGENTS), self.text(&settings::ASTERISK_OUTSIDE));
        Identity::new(&agents, &outside)
            .map_err(|error| {
                let remedy = "write a regular expression with one group, such as ^PJSIP/(\\d+)$";
                self.refuse(&settings::ASTERISK_AGENTS, &error.to_string(), remedy);
            })
            .ok()
    }
}
