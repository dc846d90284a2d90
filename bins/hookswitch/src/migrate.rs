//! `hookswitch migrate`: the schema, step by step.

use anyhow::Context as _;
use hookswitch::store::migrations::{self, Database, Step};

use crate::cli::{MigrateAction, MigrateArgs};
use crate::config::{Config, Environment};

/// Does what was asked for and tells each step.
pub(crate) fn run(args: MigrateArgs, environment: &Environment) -> anyhow::Result<()> {
    let database = Config::load_database(environment, args.config.config, args.database_url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(act(args.action, &database))
}

#[expect(clippy::print_stdout, reason = "the steps are what was asked for")]
async fn act(action: MigrateAction, database: &Database) -> anyhow::Result<()> {
    match action {
        MigrateAction::Status => {
            for step in migrations::status(database).await? {
                println!("{} {}", state(&step), step.name);
            }
        }
        MigrateAction::Up => {
            let taken = migrations::up(database).await?;
            for name in &taken {
                println!("taken {name}");
            }
            if taken.is_empty() {
                println!("the schema is up to date");
            }
        }
        MigrateAction::Down => match migrations::down(database).await? {
            Some(name) => println!("taken back {name}"),
            None => println!("there is no step to take back"),
        },
    }
    Ok(())
}

fn state(step: &Step) -> &'static str {
    match (step.is_applied, step.is_known) {
        (true, true) => "applied",
        (true, false) => "newer  ",
        (false, _) => "pending",
    }
}
