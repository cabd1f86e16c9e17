//! `baton config`: what an operator may set, what is set and by whom, and whether it is right. It works on a folder, as
//! `serve` does.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;
use super::client::Ask;
use super::deployment::render_receipt;
use super::failure::Failure;
use super::inspect::read_component;
use super::output::{Style, Tone};
use super::table::{table, text, toned};
use crate::config::{self, Config, ConfigError, Entry, Mistakes, Sources};
use crate::model::report::ReloadReport;

/// The most components that a check looks into.
const COMPONENTS_MAX: usize = 1000;

/// `baton config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with baton.toml and the environment, or that all is fine.
    Check(FolderArgs),
    /// Show every key, its value, and who set it.
    Show(ShowArgs),
    /// Have the running host read baton.toml again; it does so by itself when the file is saved.
    Reload,
    /// Print the JSON Schema of baton.toml, for editors and checks.
    Schema,
}

/// A folder that is served.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton config check
  BATON_JOURNAL__DURABILITY=os baton config check shop

Exit code 0: a host would start with it; 1: it would not.")]
pub struct FolderArgs {
    /// The folder with baton.toml.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// `baton config show`
#[derive(Args)]
#[command(after_long_help = "\
A key comes from the first of: a flag, the environment, baton.toml, the default.
A variable is BATON_ and the key in capitals, two underscores between levels:
  BATON_LISTEN, BATON_JOURNAL__DURABILITY, BATON_LIMITS__HOPS_MAX
In the name of a processor or channel `_` stands for `-`:
  BATON_PROCESSOR__ORDER_PLACEMENT__CONFIG__SHOP")]
pub struct ShowArgs {
    /// The folder with baton.toml.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Show what processors are given too; it may be secret.
    #[arg(long)]
    secrets: bool,
}

/// Carries a command out.
pub fn run(command: ConfigCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(&args.dir, shared),
        ConfigCommand::Show(args) => show(&args, shared),
        ConfigCommand::Reload => reload(shared),
        ConfigCommand::Schema => shared.out().show(&config::schema(), |schema, _| format!("{schema:#}")),
    }
}

/// What a check found.
#[derive(Serialize)]
struct Checked {
    fine: bool,
    mistakes: Vec<Value>,
    warnings: Vec<String>,
}

fn check(dir: &Path, shared: &Shared) -> Result<(), Failure> {
    match Config::load_with(dir, Sources::of_process()) {
        Ok(config) => {
            let checked = Checked { fine: true, mistakes: Vec::new(), warnings: warnings(&config) };
            shared.out().show(&checked, |checked, style| render_fine(&config, checked, style))
        }
        Err(ConfigError::Invalid(mistakes)) if shared.json => {
            let all = mistakes.all.iter().map(|one| mistake(&mistakes, one)).collect();
            let checked = Checked { fine: false, mistakes: all, warnings: Vec::new() };
            shared.out().show(&checked, |_, _| String::new())?;
            Err(Failure::config(&ConfigError::Invalid(mistakes)))
        }
        Err(error) => Err(Failure::config(&error)),
    }
}

fn mistake(mistakes: &Mistakes, one: &config::Mistake) -> Value {
    json!({"place": mistakes.place(&one.place), "message": one.message, "help": one.help})
}

/// Settings for processors that are not in the folder.
fn warnings(config: &Config) -> Vec<String> {
    let known = names_in(&config.processors_dir());
    let unknown =
        config.settings.processor.keys().filter(|name| !known.iter().any(|one| one == name.as_str()));
    let folder = config.processors_dir();
    let warn = |name| {
        format!("[processor.{name}] waits for a processor of that name; {} has none", folder.display())
    };
    unknown.map(warn).collect()
}

/// What the components of a folder call themselves.
fn names_in(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().take(COMPONENTS_MAX);
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let components = files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    components.filter_map(|file| Some(read_component(&file).ok()?.1.descriptor.name.to_string())).collect()
}

fn render_fine(config: &Config, checked: &Checked, style: Style) -> String {
    let set = config.entries().iter().filter(|entry| entry.from != config::DEFAULT).count();
    let what = match config.file().is_file() {
        true => config.file().display().to_string(),
        false => format!("no {} in {}, so defaults and environment", config::FILE_NAME, config.dir.display()),
    };
    let head = style.paint(Tone::Good, &format!("fine: {what}, {set} keys set"));
    let warn = |warning: &String| format!("\n{} {warning}", style.paint(Tone::Note, "warning:"));
    format!("{head}{}", checked.warnings.iter().map(warn).collect::<String>())
}

fn reload(shared: &Shared) -> Result<(), Failure> {
    let ask = Ask { method: "POST", ..Ask::get("/v1/config/reload") };
    let report: ReloadReport = shared.client().ask(ask)?.read()?;
    shared.out().show(&report, render_reload)?;
    match report.failures.is_empty() {
        true => Ok(()),
        false => Err(Failure::failed("not all of it is in force")),
    }
}

fn render_reload(report: &ReloadReport, style: Style) -> String {
    if report.changed.is_empty() && report.restart.is_empty() && report.deployments.is_empty() {
        return "Nothing changed.".to_owned();
    }
    let deployed = report.deployments.iter().map(|receipt| render_receipt(receipt, style));
    let failures = report.failures.iter().map(|why| format!("{} {why}\n", style.paint(Tone::Bad, "FAILED")));
    let restart = match report.restart.as_slice() {
        [] => String::new(),
        keys => format!("{} {}\n", style.paint(Tone::Note, "after a restart:"), keys.join(", ")),
    };
    deployed.chain(failures).chain([restart]).collect()
}

fn show(args: &ShowArgs, shared: &Shared) -> Result<(), Failure> {
    let config = Config::load_with(&args.dir, Sources::of_process());
    let config = config.map_err(|error| Failure::config(&error))?;
    let entries: Vec<Entry> = config.entries().into_iter().map(|entry| shown(entry, args.secrets)).collect();
    shared.out().show(&json!({"settings": entries}), |_, style| render_entries(&entries, style))
}

fn shown(entry: Entry, secrets: bool) -> Entry {
    match entry.private && !secrets {
        true => Entry { value: "(hidden)".to_owned(), ..entry },
        false => entry,
    }
}

fn render_entries(entries: &[Entry], style: Style) -> String {
    let row = |entry: &Entry| {
        let tone = if entry.from == config::DEFAULT { Tone::Quiet } else { Tone::Name };
        [text(&entry.key), text(&entry.value), toned(entry.from.as_str(), tone)]
    };
    table(["KEY", "VALUE", "FROM"], entries.iter().map(row).collect(), style)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(key: &str, from: &str, private: bool) -> Entry {
        Entry { key: key.into(), value: "\"x\"".into(), from: from.into(), private }
    }

    #[test]
    fn what_a_guest_is_given_is_hidden_unless_asked_for() {
        let entries = [
            shown(entry("listen", "default", false), false),
            shown(entry("processor.a.config.key", "baton.toml:2:7", true), false),
            shown(entry("processor.a.config.key", "baton.toml:2:7", true), true),
        ];
        let expected = "KEY                     VALUE     FROM\n\
                        listen                  \"x\"       default\n\
                        processor.a.config.key  (hidden)  baton.toml:2:7\n\
                        processor.a.config.key  \"x\"       baton.toml:2:7\n";
        assert_eq!(render_entries(&entries, Style::default()), expected);
    }

    #[test]
    fn settings_for_nobody_are_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(config::FILE_NAME), "[processor.ghost.config]\na = '1'\n").unwrap();
        let config = Config::load(dir.path()).unwrap();
        let checked = Checked { fine: true, mistakes: Vec::new(), warnings: warnings(&config) };
        let text = render_fine(&config, &checked, Style::default());
        assert!(text.starts_with("fine: ") && text.contains("1 keys set"), "{text}");
        assert!(text.contains("[processor.ghost] waits for"), "{text}");
    }
}
