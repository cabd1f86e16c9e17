//! `baton backup`: has a running host write everything that it needs to start again into a folder.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Shared;
use super::client::Ask;
use super::failure::Failure;
use super::output::{Style, Tone, counted};
use super::progress;
use crate::model::retention::size_for_people;
use crate::model::upkeep::BackupReport;

/// How long a backup may take.
const BACKUP_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// `baton backup`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton backup /backups/monday
  cp -r /backups/monday shop-copy && baton serve shop-copy

The host writes the folder, on its own machine, while it goes on. The folder must be empty or not there yet. The
first start from it checks every file; one that was not finished is refused.")]
pub struct BackupArgs {
    /// The folder to write.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Asks for a backup.
pub fn run(args: BackupArgs, shared: &Shared) -> Result<(), Failure> {
    let dir = std::path::absolute(&args.dir)
        .map_err(|error| Failure::failed(format!("cannot tell where {} is: {error}", args.dir.display())))?;
    let ask = Ask {
        method: "POST",
        content_type: "application/json",
        body: json!({ "dir": dir }).to_string().into_bytes(),
        wait: BACKUP_TIME_MAX,
        ..Ask::get("/v1/backup")
    };
    let reply = progress::during(format!("writing {}", dir.display()), || shared.client().ask(ask))?;
    shared.out().show(&reply.read::<BackupReport>()?, render)
}

fn render(report: &BackupReport, style: Style) -> String {
    let dir = style.paint(Tone::Name, &report.dir);
    let files = counted(report.files, "file");
    let size = size_for_people(report.bytes);
    format!(
        "{dir} holds everything before position {}: {files}, {size}.\nStart from a copy of it: baton serve COPY\n",
        report.position
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_says_what_it_holds_and_how_to_start_from_it() {
        let report = BackupReport { dir: "/b".into(), position: 7, files: 1, bytes: 2048 };
        let text = render(&report, Style::default());
        assert_eq!(
            text,
            "/b holds everything before position 7: 1 file, 2.0 KiB.\nStart from a copy of it: baton serve COPY\n"
        );
    }
}
