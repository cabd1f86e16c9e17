//! Makes components out of a few lines of text: the frame and the helpers in `tests/guests/zoo`, and what one animal does.

use super::Error;

const FRAME: &str = include_str!("../../../../tests/guests/zoo/frame.wat");
const ANSWER: &str = include_str!("../../../../tests/guests/zoo/answer.wat");
/// A processor that behaves.
pub const COPY: &str = include_str!("../../../../tests/guests/zoo/copy.wat");

/// Bounds that are soon met.
const LIMITS: &str = r#""memory_bytes_max":4194304,"event_time_ms_max":100"#;

/// The text of one component.
#[derive(Clone, Debug)]
pub struct Text {
    descriptor: String,
    frame: String,
    main: String,
}

impl Text {
    /// A processor that reads the channel of its own name.
    pub fn new(name: &str, main: &str) -> Self {
        let descriptor = format!(
            r#"{{"contract":"baton:processor@0.1.0","name":"{name}","version":"1.0.0",
                "subscriptions":[{{"channel":"{name}"}}],"publishes":["zoo-out","tocks"],"limits":{{{LIMITS}}}}}"#
        );
        Self { descriptor, frame: FRAME.to_owned(), main: main.to_owned() }
    }

    /// A processor with `data` at 1024, whose handler does what `body` says and leaves the place of its outcomes.
    pub fn handler(name: &str, data: &str, body: &str) -> Self {
        let main = format!(
            "(data (i32.const 1024) \"{data}\") (func (export \"handle\") (param $arena i32) (param i32 i32) \
             (param $count i32) (param i32 i32) (result i32) {body})"
        );
        Self::new(name, &main)
    }

    /// The same with something else in its descriptor.
    pub fn described(mut self, from: &str, to: &str) -> Self {
        self.descriptor = self.descriptor.replacen(from, to, 1);
        self
    }

    /// The same with something else in its frame.
    pub fn framed(mut self, from: &str, to: &str) -> Self {
        self.frame = self.frame.replacen(from, to, 1);
        self
    }

    /// The same with something more in the component.
    pub fn with(self, more: &str) -> Self {
        self.framed("  ;; imports\n", &format!("{more}\n"))
    }

    /// Its bytes.
    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        let descriptor = self.descriptor.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let text = self.frame.replace("    ;; main\n", &format!("{ANSWER}{}\n", self.main));
        binary(&text.replace("DESCRIPTOR", &descriptor))
    }
}

/// The bytes of any text.
pub fn binary(text: &str) -> Result<Vec<u8>, Error> {
    wat::parse_str(text).map_err(|error| Error::Text { why: error.to_string() })
}
