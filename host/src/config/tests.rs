//! Configurations, good and bad, as an operator writes them.

use super::*;
use crate::model::flow::FlowRule;
use crate::model::name::ProcessorName;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = environment.iter().map(own).collect();
    Config::load_with(dir.path(), Sources { environment, ..Sources::default() })
}

/// What is wrong, without the folder's name.
fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
    let text = load(text, environment).unwrap_err().to_string();
    let lines = text.lines().map(|line| line.find(FILE_NAME).map_or(line, |at| &line[at..]));
    lines.collect::<Vec<_>>().join("\n")
}

fn from<'a>(entries: &'a [Entry], key: &str) -> (&'a str, &'a str) {
    let entry = entries.iter().find(|entry| entry.key == key).unwrap();
    (&entry.value, &entry.from)
}

#[test]
fn an_empty_folder_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::load(dir.path()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7077");
    assert_eq!(config.data_dir, dir.path().join(".baton"));
    assert_eq!(config.settings, Settings::default());
}

#[test]
fn settings_are_read() {
    let text = "listen = '127.0.0.1:0'\n[journal]\ndurability = 'os'\nsegment_bytes_max = '2MiB'\n\
                [processor.inventory.config]\nlevel = '5'\n";
    let config = load(text, &[]).unwrap();
    assert_eq!(config.settings.journal.durability, Durability::Os);
    assert_eq!(config.settings.journal.segment_bytes_max, Size::mib(2));
    let name = ProcessorName::new("inventory").unwrap();
    assert_eq!(config.settings.processor[&name].config["level"], "5");
}

#[test]
fn each_mistake_is_told_with_its_place_and_what_to_do() {
    let text = "lissten = '127.0.0.1:0'\n[journal]\n  durabilty = 'os'\nsegment_bytes_max = 'much'\n\
                [limits]\nhops_max = 'many'\nthreads_max = -1\n[color]\nred = 1\n";
    let lines = refusal(text, &[]);
    let expected = [
        "baton.toml:1:1: there is no key 'lissten'; did you mean 'listen'?",
        "baton.toml:3:3: there is no key 'journal.durabilty'; did you mean 'durability'?",
        "baton.toml:4:21: 'journal.segment_bytes_max' cannot be this: 'much' is not a size",
        "baton.toml:6:12: 'limits.hops_max' cannot be this: invalid type: string \"many\"",
        "baton.toml:7:15: 'limits.threads_max' cannot be this",
        "baton.toml:8:2: there is no key 'color'; at the top there are: ",
    ];
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn what_is_no_toml_and_what_is_no_section_is_told() {
    assert!(refusal("[journal\nlisten = 5", &[]).starts_with("baton.toml:1:"), "a syntax error");
    let lines = refusal("journal = 5", &[]);
    assert_eq!(
        lines,
        "baton.toml:1:11: 'journal' is a section, not a value; write [journal] and its keys below it"
    );
    assert!(refusal("[processor.Mail]", &[]).contains("is not a processor name"));
}

#[test]
fn a_value_with_which_nothing_works_is_refused_by_its_key() {
    for text in ["[limits]\nhops_max = 0", "[limits]\nworkers = 0", "[journal]\nundurable_bytes_max = 0"] {
        let error = refusal(text, &[]);
        let key = text.split(['\n', ' ']).nth(1).unwrap();
        assert!(error.contains(key) && error.contains("choose at least"), "{error}");
        assert!(error.starts_with("baton.toml:2:"), "{error}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE_NAME), "[limits]\nhops_max = 2\nworkers = 3\n").unwrap();
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let environment = [
        ("BATON_LIMITS__HOPS_MAX", "7"),
        ("BATON_LISTEN", "127.0.0.1:1"),
        ("BATON_JOURNAL__DURABILITY", "os"),
        ("BATON_PROCESSOR__ORDER_PLACEMENT__CONFIG__API_KEY", "42"),
        ("BATON_SERVER", "http://elsewhere"),
        ("HOME", "/root"),
    ];
    let sources = Sources { environment: environment.map(own).to_vec(), ..Sources::default() };
    let sources =
        sources.flag("--listen", "listen", Some("127.0.0.1:2")).flag("--data", "data", None::<String>);
    let config = Config::load_with(dir.path(), sources).unwrap();
    assert_eq!(config.listen.port(), 2);
    let name = ProcessorName::new("order-placement").unwrap();
    assert_eq!(config.settings.processor[&name].config["api_key"], "42");
    let entries = config.entries();
    assert_eq!(from(&entries, "listen"), ("\"127.0.0.1:2\"", "--listen"));
    assert_eq!(from(&entries, "limits.hops_max"), ("7", "BATON_LIMITS__HOPS_MAX"));
    assert_eq!(from(&entries, "limits.workers"), ("3", "baton.toml:3:11"));
    assert_eq!(from(&entries, "journal.durability").0, "\"os\"");
    assert_eq!(from(&entries, "limits.threads_max"), ("64", "default"));
    let private: Vec<_> = entries.iter().filter(|entry| entry.private).map(|entry| &entry.key).collect();
    assert_eq!(private, ["processor.order-placement.config.api_key"]);
}

#[test]
fn a_variable_that_sets_nothing_is_refused_by_its_name() {
    let cases = [
        (
            "BATON_JOURNAL_DURABILITY",
            "BATON_JOURNAL_DURABILITY sets nothing; did you mean BATON_JOURNAL__DURABILITY?",
        ),
        ("BATON_COLOUR", "BATON_COLOUR sets nothing; a variable is BATON_ and the key"),
        ("BATON_JOURNAL", "BATON_JOURNAL sets nothing"),
        ("BATON_PROCESSOR__X__CONFIG__", "BATON_PROCESSOR__X__CONFIG__ sets nothing"),
        ("BATON_listen", "BATON_listen sets nothing; did you mean BATON_LISTEN?"),
        ("BATON_LIMITS__WORKERS", "BATON_LIMITS__WORKERS: 'limits.workers' cannot be this: invalid type"),
    ];
    for (name, expected) in cases {
        let found = refusal("", &[(name, "x")]);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn what_differs_is_told_by_key() {
    let one = load("[processor.a.config]\nx = '1'\ny = '2'\n", &[]).unwrap();
    let other = load("listen = '127.0.0.1:0'\n[processor.a.config]\nx = '2'\n", &[]).unwrap();
    assert_eq!(one.differences(&other), ["listen", "processor.a.config.x", "processor.a.config.y"]);
    assert!(one.differences(&one).is_empty());
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = " ".repeat(FILE_BYTES_MAX as usize + 1);
    assert!(refusal(&text, &[]).contains("more than 1048576"));
}

#[test]
fn mistakes_are_drawn_with_their_lines() {
    let Err(ConfigError::Invalid(mistakes)) = load("[journal]\ndurable = true\n", &[("BATON_X", "1")]) else {
        panic!("it is wrong")
    };
    let drawn = mistakes.draw(false, 80);
    for part in ["2 | durable = true", "^^^^^^^", "did you mean 'durability'?", "BATON_X sets nothing"] {
        assert!(drawn.contains(part), "{drawn}");
    }
}

#[test]
fn every_key_has_a_default_a_description_and_a_refusal_of_others() {
    let schema = schema();
    let sections = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let sections: Vec<_> = sections.filter(|section| section["properties"].is_object()).collect();
    assert!(sections.len() >= 4);
    for section in sections {
        assert_eq!(section["additionalProperties"], false, "{section}");
        assert!(section.get("required").is_none(), "{section}");
        for (key, property) in section["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{key} says nothing of itself");
            assert!(property.get("default").is_some(), "{key} has no default");
        }
    }
}

#[test]
fn flows_are_asked_of_by_the_channel_that_they_begin_on() {
    let text = "[flow.place-order]\nends = ['order-shipped', 'payment-denied']\ndeadline = '2d'\ntell = true\n\
                [flow.ticks]\n";
    let rules = load(text, &[]).unwrap().settings.flow_rules();
    let ends = vec!["order-shipped".to_owned(), "payment-denied".to_owned()];
    let expected = FlowRule { ends, deadline_ms: Some(2 * 24 * 60 * 60 * 1000), tell: true };
    assert_eq!(rules["place-order"], expected);
    assert_eq!(rules["ticks"], FlowRule::default());
}

#[test]
fn a_wrong_deadline_and_a_channel_of_the_host_are_refused() {
    let error = refusal("[flow.place-order]\ndeadline = 'soon'\n", &[]);
    assert!(error.starts_with("baton.toml:2:12:") && error.contains("write it like"), "{error}");
    let error = refusal("[flow.\"baton.flows\"]\ntell = true\n", &[]);
    assert!(error.starts_with("baton.toml:2:8:") && error.contains("host's own"), "{error}");
}

#[test]
fn the_example_in_the_readme_is_right_and_not_open_to_more() {
    let readme = include_str!("../../../README.md");
    let example = readme.split("## baton.toml").nth(1).unwrap().split("```toml").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    load(example, &[]).unwrap();
    assert!(load(&format!("colour = 1\n{example}"), &[]).is_err());
}
