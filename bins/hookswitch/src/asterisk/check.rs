//! `hookswitch asterisk check`: what a PBX lets itself be asked, and what happens there.

use anyhow::{Context as _, bail};
use hookswitch_asterisk::{Model, PbxFacts, SourceNotice};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::cli::{AsteriskAction, AsteriskArgs, AsteriskCheckArgs};
use crate::config::{self, Config, Environment};

/// Does what was asked for.
pub(crate) fn run(args: AsteriskArgs, environment: &Environment) -> anyhow::Result<()> {
    let AsteriskAction::Check(args) = args.action;
    let pbxs = Config::load_asterisk(environment, args.config.config.clone())?;
    if pbxs.is_empty() {
        bail!("no PBX is configured: set ASTERISK_ADDRESS, or write an [[asterisk]] table into the file");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(check(&pbxs, &args))
}

async fn check(pbxs: &[config::Asterisk], args: &AsteriskCheckArgs) -> anyhow::Result<()> {
    let ends = async {
        match args.within {
            Some(within) => tokio::time::sleep(within).await,
            None => drop(tokio::signal::ctrl_c().await),
        }
    };
    let looking = futures(pbxs);
    tokio::select! {
        found = looking => found,
        () = ends => Ok(()),
    }
}

/// Looks at one after the other; the last is watched on.
async fn futures(pbxs: &[config::Asterisk]) -> anyhow::Result<()> {
    for (at, source) in pbxs.iter().enumerate() {
        look(source, at + 1 == pbxs.len()).await?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what was found is what was asked for")]
async fn look(source: &config::Asterisk, stays: bool) -> anyhow::Result<()> {
    let settings = super::client(source);
    if let Some(path) = &source.agents_file {
        source.identity.table().replace(super::agents_file::read(path).context("the agents' file")?);
    }
    let mut model = Model::new(&source.address, source.identity.clone());
    let (notices, mut told) = mpsc::channel(64);
    let printing = async {
        while let Some(item) = told.recv().await {
            match item {
                SourceNotice::Connected(facts) => print_facts(&source.address, &facts),
                SourceNotice::Synced(sections, refused) => {
                    print_found(&sections, &refused);
                    if !stays {
                        return Ok(());
                    }
                    println!("what happens from now on:");
                }
                SourceNotice::Told(all) => {
                    for told in &all {
                        println!("{}", json!({ "type": told.event_type, "payload": told.payload }));
                    }
                }
                SourceNotice::Lost(error) => bail!("{}: {error}", source.address),
            }
        }
        Ok(())
    };
    tokio::select! {
        () = hookswitch_asterisk::follow(&settings, &mut model, super::now, &notices) => Ok(()),
        printed = printing => printed,
    }
}

#[expect(clippy::print_stdout, reason = "what was found is what was asked for")]
fn print_facts(address: &str, facts: &PbxFacts) {
    println!("{address}: {}", facts.banner);
    let version = if facts.version.is_empty() { "not told (the user lacks read=system)" } else { &facts.version };
    println!("  version: {version}");
    println!("  name in event ids: {}", facts.name);
    let filters = if facts.filtered {
        "in place: the PBX sends what is needed only"
    } else {
        "refused: everything of the user's classes comes and is left out here (give the user write=system)"
    };
    println!("  filters: {filters}");
}

#[expect(clippy::print_stdout, reason = "what was found is what was asked for")]
fn print_found(sections: &Map<String, Value>, refused: &[(String, String)]) {
    for (list, why) in refused {
        println!("  refused: {list} ({why}): what it would show is not known after a reconnect");
    }
    for (section, entries) in sections {
        let entries = entries.as_object().into_iter().flatten();
        let entries: Vec<_> = entries.collect();
        println!("  {section}: {}", entries.len());
        for (key, entry) in entries {
            let nobody = section == "members" && entry.get("user_id").is_none();
            let note = if nobody { "  (nobody's: neither the pattern nor the table knows it)" } else { "" };
            println!("    {key}{note}");
        }
    }
}
