//! Plays one scenario: sets up the bench that it asks for, takes its steps, stops at the first that is not as expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::report::Accepted;
use crate::model::time::{between, parse_duration};
use crate::testkit::{Emitted, Given, HeldEvent, TestError, Topology, TopologyBuilder, components, given};

use super::compare;
use super::format::{self, Expect, ExpectedState, GivenEvent, Placed, Scenario, Step};
use super::report::{Difference, ScenarioReport};

/// Where processors are looked up that a scenario names.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Folders with component files.
    pub folders: Vec<PathBuf>,
}

/// Plays a scenario file. Whatever goes wrong is in the report.
pub fn play(file: &Path, places: &Places) -> ScenarioReport {
    let mut report = ScenarioReport {
        file: file.display().to_string(),
        name: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        passed: false,
        steps: 0,
        events: 0,
        failed_step: None,
        step_name: None,
        differences: Vec::new(),
        error: None,
    };
    let scenario = match format::read(file) {
        Ok(scenario) => scenario,
        Err(error) => return ScenarioReport { error: Some(error.to_string()), ..report },
    };
    report.name.clone_from(&scenario.name);
    match take_steps(file, &scenario, places, &mut report) {
        Ok(()) => report.passed = report.failed_step.is_none(),
        Err(error) => report.error = Some(error.to_string()),
    }
    report
}

fn take_steps(
    file: &Path,
    scenario: &Scenario,
    places: &Places,
    report: &mut ScenarioReport,
) -> Result<(), TestError> {
    let mut stage =
        Stage { topology: bench(file, scenario, places)?, seen: BTreeMap::new(), held: Vec::new() };
    for (number, step) in (1..).zip(&scenario.steps) {
        let (events, differences) = stage.take(step)?;
        report.events += events;
        if !differences.is_empty() {
            report.failed_step = Some(number);
            report.step_name.clone_from(&step.name);
            report.differences = differences;
            return Ok(());
        }
        report.steps = number;
    }
    Ok(())
}

fn bench(file: &Path, scenario: &Scenario, places: &Places) -> Result<Topology, TestError> {
    let mut builder = Topology::new();
    for (processor, settings) in &scenario.config {
        for (name, value) in settings {
            builder = builder.config(processor, name, value);
        }
    }
    if let Some(clock) = &scenario.clock {
        let wrong = || TestError::Name {
            why: format!("clock: '{clock}' is no RFC 3339 time such as 2026-01-31T12:00:00Z"),
        };
        let since = between("1970-01-01T00:00:00Z", clock).ok_or_else(wrong)?;
        builder = builder.begins_at(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    }
    processors(builder, file, scenario, places)?.build()
}

fn processors(
    mut builder: TopologyBuilder,
    file: &Path,
    scenario: &Scenario,
    places: &Places,
) -> Result<TopologyBuilder, TestError> {
    if scenario.processors.is_empty() && places.folders.is_empty() {
        let why =
            "it names no processors; write `processors:` with files, folders or names, or give --wasm DIR";
        return Err(TestError::Name { why: why.to_owned() });
    }
    if scenario.processors.is_empty() {
        return Ok(places.folders.iter().fold(builder, TopologyBuilder::wasm_in));
    }
    let here = file.parent().unwrap_or(Path::new(""));
    for text in &scenario.processors {
        let path = here.join(text);
        builder = match path {
            path if path.is_dir() => builder.wasm_in(path),
            path if path.is_file() => builder.wasm(path),
            path if text.ends_with(".wasm") => builder.wasm(path),
            _ => builder.wasm(find(text, places)?),
        };
    }
    Ok(builder)
}

/// The component that calls itself so. A file of that name is looked at first, as cargo or the host's folder names it.
fn find(name: &str, places: &Places) -> Result<PathBuf, TestError> {
    let is_it = |file: &PathBuf| components::name_of(file).as_deref() == Some(name);
    let likely = [format!("{name}.wasm"), format!("{}.wasm", name.replace('-', "_"))];
    let likely = places.folders.iter().flat_map(|folder| likely.iter().map(|file| folder.join(file)));
    if let Some(found) = likely.into_iter().find(is_it) {
        return Ok(found);
    }
    let mut known = Vec::new();
    for folder in &places.folders {
        for file in components::in_folder(folder)? {
            match components::name_of(&file) {
                Some(found) if found == name => return Ok(file),
                found => known.extend(found),
            }
        }
    }
    Err(TestError::UnknownProcessor { name: name.to_owned(), known })
}

/// The bench, and what was seen of it in earlier steps.
struct Stage {
    topology: Topology,
    /// How many events of each channel.
    seen: BTreeMap<String, usize>,
    held: Vec<HeldEvent>,
}

impl Stage {
    /// Takes a step, and says how many events were published and what is not as expected.
    fn take(&mut self, step: &Step) -> Result<(usize, Vec<Difference>), TestError> {
        if let Some(advance) = &step.advance {
            self.topology.advance(duration(advance)?);
        }
        let mut published = None;
        for given in &step.given {
            published = Some(self.topology.publish(event(given)?)?);
        }
        self.topology.run_until_quiet()?;
        let (emitted, faults) = (self.emitted()?, self.faults());
        let differences = match &step.expect {
            None => faults.iter().map(compare::fault).collect(),
            Some(expect) => self.differences(expect, &emitted, &faults, published.as_ref())?,
        };
        Ok((emitted.len(), differences))
    }

    fn differences(
        &self,
        expect: &Placed<Expect>,
        emitted: &[Emitted],
        faults: &[HeldEvent],
        published: Option<&Accepted>,
    ) -> Result<Vec<Difference>, TestError> {
        // What failed explains most of what is not there.
        let mut differences = compare::faults(&expect.what, faults);
        differences.extend(compare::emits(&expect.what, emitted));
        for state in &expect.what.state {
            differences.extend(self.state(state)?);
        }
        differences.extend(self.reply(&expect.what, published)?);
        Ok(differences)
    }

    /// What came since the last step, in the order of the journal.
    fn emitted(&mut self) -> Result<Vec<Emitted>, TestError> {
        let mut new = Vec::new();
        for channel in self.topology.channels() {
            let emitted = self.topology.emitted(&channel)?;
            let seen = self.seen.insert(channel, emitted.len()).unwrap_or_default();
            new.extend(emitted.into_iter().skip(seen));
        }
        new.sort_by_key(|emitted| emitted.position);
        Ok(new)
    }

    fn faults(&mut self) -> Vec<HeldEvent> {
        let all = self.topology.faults();
        let before = std::mem::replace(&mut self.held, all.clone());
        all.into_iter().filter(|fault| !before.contains(fault)).collect()
    }

    fn state(&self, expected: &Placed<ExpectedState>) -> Result<Option<Difference>, TestError> {
        let ExpectedState { processor, key, name, value, absent } = &expected.what;
        let found = self.topology.state(processor, key, name)?;
        let what = format!("state '{name}' of key '{key}' of {processor}");
        let details = match (absent, &found) {
            (true, None) => Vec::new(),
            (true, Some(found)) => vec![format!("expected nothing, found {found}")],
            (false, None) => vec![format!("expected {value}, found nothing; {}", self.keys(processor)?)],
            (false, Some(_)) => compare::value_details("value", value, found.as_ref()),
        };
        Ok((!details.is_empty()).then(|| Difference::at(expected.line, what, details)))
    }

    /// What there is instead, for the one who wrote the wrong key.
    fn keys(&self, processor: &str) -> Result<String, TestError> {
        const SHOWN_MAX: usize = 10;
        let states = self.topology.states(processor, None)?;
        let shown: Vec<_> =
            states.iter().take(SHOWN_MAX).map(|(key, name, _)| format!("{key}/{name}")).collect();
        Ok(match shown.is_empty() {
            true => "it keeps no state".to_owned(),
            false => format!("it keeps {}", shown.join(", ")),
        })
    }

    fn reply(&self, expect: &Expect, published: Option<&Accepted>) -> Result<Option<Difference>, TestError> {
        let Some(expected) = &expect.reply else { return Ok(None) };
        let Some(published) = published else {
            let what = "a reply is expected, and the step gives no event that could have one";
            return Ok(Some(Difference::at(expected.line, what, Vec::new())));
        };
        let found = self.topology.reply(published)?;
        let details = compare::value_details("reply", &expected.what, found.as_ref());
        let what = format!("the reply to event '{}'", published.id);
        Ok((!details.is_empty()).then(|| Difference::at(expected.line, what, details)))
    }
}

fn duration(text: &Placed<String>) -> Result<Duration, TestError> {
    parse_duration(&text.what)
        .map_err(|error| TestError::Name { why: format!("line {}: advance: {error}", text.line) })
}

fn event(placed: &Placed<GivenEvent>) -> Result<Given, TestError> {
    let GivenEvent { channel, id, source, ty, subject, extensions, data, text } = &placed.what;
    let mut event = given(channel);
    let set: [(&Option<String>, fn(Given, &str) -> Given); 4] =
        [(id, Given::id), (source, Given::source), (ty, Given::ty), (subject, Given::subject)];
    for (value, set) in set {
        event = value.iter().fold(event, |event, value| set(event, value));
    }
    event = extensions.iter().fold(event, |event, (name, value)| event.extension(name, value));
    match (data, text) {
        (Some(_), Some(_)) => {
            let why = format!("line {}: an event has `data` or `text`, not both", placed.line);
            Err(TestError::Name { why })
        }
        (Some(data), None) => event.json(data),
        (None, Some(text)) => Ok(event.bytes("text/plain", text.as_bytes())),
        (None, None) => Ok(event),
    }
}
