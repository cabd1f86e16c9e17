//! The host's own log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The variable that filters the host's log, such as `baton=debug`.
pub const LOG_VARIABLE: &str = "BATON_LOG";

/// Starts the host's log on stderr, from `level` on unless the variable says otherwise. A second call changes
/// nothing.
pub fn start_log(level: &str) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr);
    // It fails only when there is a log already, as in tests.
    let _ = log.try_init();
}
