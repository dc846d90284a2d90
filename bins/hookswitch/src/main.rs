//! The Hookswitch server: parse, check, build, run, code.

mod asterisk;
mod cli;
mod config;
mod dev;
mod exit;
mod logging;
mod migrate;
mod node;
mod open_files;
mod process_name;
mod receiver;
mod signals;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::config::{Config, Environment, Raw};
use crate::node::Node;

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit::code_of(&run(cli.command, &Environment::of_process()))
}

#[expect(clippy::print_stdout, reason = "settings and verdicts are what was asked for")]
fn run(command: Command, environment: &Environment) -> anyhow::Result<()> {
    match command {
        Command::Dev(args) => dev::run(&args, environment),
        Command::Serve(args) => {
            let config = Config::load(environment, args.config.config)?.migrating(args.migrate);
            node::run(&config, async { Node::start(&config).await?.until_stopped().await })
        }
        Command::Receiver(args) => receiver::run(&args),
        Command::Migrate(args) => migrate::run(args, environment),
        Command::Asterisk(args) => asterisk::run(args, environment),
        Command::Token(args) => token::run(args, environment),
        Command::CheckConfig(args) => {
            let config = Config::load(environment, args.config)?;
            config.warnings.iter().for_each(|warning| println!("warning: {warning}"));
            println!("the configuration is good");
            Ok(())
        }
        Command::PrintConfig(args) => {
            Config::load(environment, args.config.clone())?;
            print!("{}", config::print(&Raw::collect(environment, args.config)));
            Ok(())
        }
    }
}
