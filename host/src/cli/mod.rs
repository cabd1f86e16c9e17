//! The command line: `serve` starts a host, all other commands ask one over HTTP or work on files. It reads
//! arguments, prints and gives exit codes; what is true it takes from the reports.

mod approve;
mod audit;
mod backup;
mod bench;
mod build;
mod channel;
mod client;
mod components;
mod config;
mod credential;
mod dead;
mod demo;
mod deploy;
mod deployment;
mod dev;
mod documents;
mod failure;
mod flow;
mod flow_list;
mod flow_live;
mod folders;
mod inspect;
mod journal;
mod lint;
mod logs;
mod messages;
mod new;
mod operate;
mod output;
mod processor;
mod progress;
mod prove;
mod prove_all;
mod prove_crash;
mod prove_mediator;
mod prove_relay;
mod prove_swap;
mod publish;
mod replay;
mod run;
mod serve;
mod status;
mod subscription;
mod table;
mod tail;
mod test;
mod token;
mod trim;
mod why;
mod workflow;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use client::Client;
use failure::Failure;
use output::Out;

use crate::runtime::{COMPILE_COMMAND, compile_child};

/// A host for event processors: WebAssembly components on durable channels.
#[derive(Parser)]
#[command(name = "baton", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no host answers,
4 not found, 5 not in time.
Results go to stdout, everything else to stderr. `baton help COMMAND` has examples.";

const SERVER_DEFAULT: &str = "http://127.0.0.1:7077";
const SHARED: &str = "For all commands";

/// What all commands take.
#[derive(Args)]
struct Shared {
    /// The host to ask.
    #[arg(long, global = true, value_name = "URL", env = "BATON_SERVER", default_value = SERVER_DEFAULT)]
    #[arg(help_heading = SHARED)]
    server: String,
    /// Print JSON: one document, or one line per item for streams.
    #[arg(long, global = true, help_heading = SHARED)]
    json: bool,
}

impl Shared {
    fn client(&self) -> Client {
        Client::new(&self.server, credential::token())
    }

    fn out(&self) -> Out {
        Out::new(self.json)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Show what Baton does: a bookshop's orders, from the build to a processor dropped in while it runs.
    Demo(demo::DemoArgs),
    /// Run a host on a folder until SIGTERM or Ctrl-C.
    Serve(serve::ServeArgs),
    /// Serve, and build and deploy a crate whenever its source is saved.
    Dev(dev::DevArgs),
    /// Write the crate of a new processor.
    New(new::NewArgs),
    /// Build the processors of a crate or workspace into components.
    Build(build::BuildArgs),
    /// Play scenarios on components in memory, and compare what comes of them with what is expected.
    Test(test::TestArgs),
    /// Show what a component says of itself, without running it.
    Inspect(inspect::InspectArgs),
    /// Put a component into the running host, and wait until it runs.
    Deploy(deploy::DeployArgs),
    /// Take a processor out of the running host; its positions and state are kept.
    Undeploy(deploy::UndeployArgs),
    /// Let in a version that waits because it asks for more than the one that runs.
    Approve(approve::ApproveArgs),
    /// Go back to the version before, or take away the one that waits for approval.
    Rollback(approve::RollbackArgs),
    /// Publish one event on a channel.
    Publish(publish::PublishArgs),
    /// Show the events of a channel.
    Tail(tail::TailArgs),
    /// Show what a processor wrote to its log.
    Logs(logs::LogsArgs),
    /// Show what is wrong now, and how everything else is.
    Status,
    /// List processors, look into one, or try again what it holds.
    #[command(subcommand, visible_alias = "processors")]
    Processor(processor::ProcessorCommand),
    /// List channels, or look into one.
    #[command(subcommand, visible_alias = "channels")]
    Channel(channel::ChannelCommand),
    /// List where processors stand in their channels, or take one to another place.
    #[command(subcommand, visible_alias = "subscriptions")]
    Subscription(subscription::SubscriptionCommand),
    /// Show what one event caused and what is still to do, or list the flows that are not done.
    #[command(subcommand)]
    Flow(flow::FlowCommand),
    /// List events that processors gave up on, have them handled again, or discard them.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Have a processor handle events of the past once more, into state of its own or into nothing.
    Replay(replay::ReplayArgs),
    /// Say why a processor did or did not get an event.
    Why(why::WhyArgs),
    /// List the receipts of all deployments.
    #[command(subcommand, visible_alias = "deployments")]
    Deployment(deployment::DeploymentCommand),
    /// Look for what is wrong in a topology: of the running host, or of a folder of components.
    Lint(lint::LintArgs),
    /// List runs of workflows, look into one, or say how it goes on.
    #[command(subcommand, visible_alias = "runs")]
    Run(run::RunCommand),
    /// List, deploy or remove workflows; check definitions, or show the steps of one.
    #[command(subcommand, visible_alias = "workflows")]
    Workflow(workflow::WorkflowCommand),
    /// Print the HTTP interface as an OpenAPI document.
    Openapi,
    /// Print the topology as an AsyncAPI document.
    Asyncapi(documents::AsyncapiArgs),
    /// Check what is set, show it, or print the schema of baton.toml.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Show or trim the journal of a running host, or check that of one that does not run.
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Have a running host write everything that it needs to start again into a folder.
    Backup(backup::BackupArgs),
    /// Make, list or revoke the tokens by which others may ask a host.
    #[command(subcommand, visible_alias = "tokens")]
    Token(token::TokenCommand),
    /// Show what operators did, and by which token.
    Audit(audit::AuditArgs),
    /// Measure the host on this machine beside its budgets.
    Bench(bench::BenchArgs),
    /// Show on this machine that the host keeps what it promises.
    #[command(subcommand)]
    Prove(prove::ProveCommand),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    // A host starts its own program like this; people have no use for it.
    if args.next().as_deref() == Some(COMPILE_COMMAND) {
        return compile_child(args);
    }
    let cli = Cli::parse();
    match run(cli.command, &cli.shared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command, shared: &Shared) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(args, shared),
        Command::Serve(args) => serve::run(args, shared),
        Command::Dev(args) => dev::run(args, shared),
        Command::New(args) => new::run(args, shared),
        Command::Build(args) => build::run(args, shared),
        Command::Test(args) => test::run(args, shared),
        Command::Inspect(args) => inspect::run(args, shared),
        Command::Deploy(args) => deploy::deploy(args, shared),
        Command::Undeploy(args) => deploy::undeploy(args, shared),
        Command::Approve(args) => approve::approve(&args, shared),
        Command::Rollback(args) => approve::rollback(&args, shared),
        Command::Publish(args) => publish::run(args, shared),
        Command::Tail(args) => tail::run(args, shared),
        Command::Logs(args) => logs::run(args, shared),
        Command::Status => status::run(shared),
        Command::Processor(command) => processor::run(command, shared),
        Command::Channel(command) => channel::run(command, shared),
        Command::Subscription(command) => subscription::run(command, shared),
        Command::Flow(command) => flow::run(command, shared),
        Command::Dead(command) => dead::run(command, shared),
        Command::Replay(args) => replay::run(&args, shared),
        Command::Why(args) => why::run(args, shared),
        Command::Deployment(command) => deployment::run(command, shared),
        Command::Lint(args) => lint::run(args, shared),
        Command::Run(command) => run::run(command, shared),
        Command::Workflow(command) => workflow::run(command, shared),
        Command::Openapi => documents::openapi(),
        Command::Asyncapi(args) => documents::asyncapi_document(args, shared),
        Command::Config(command) => config::run(command, shared),
        Command::Journal(command) => journal::run(command, shared),
        Command::Backup(args) => backup::run(args, shared),
        Command::Token(command) => token::run(command, shared),
        Command::Audit(args) => audit::run(&args, shared),
        Command::Bench(args) => bench::run(args, shared),
        Command::Prove(command) => prove::run(command, shared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed_and_each_has_its_help() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
        }
    }

    #[test]
    fn the_help_documents_exit_codes() {
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("3 no host answers") && help.contains("5 not in time"), "{help}");
    }
}
