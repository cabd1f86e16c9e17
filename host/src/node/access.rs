//! Tokens for HTTP, and what operators did with them.

use crate::access::AccessError;
use crate::model::access::{Act, NewToken, Role};
use crate::model::name::TokenName;
use crate::model::time::rfc3339;

use super::Node;

impl Node {
    /// Makes a token for HTTP. Its secret is in the answer and nowhere else.
    pub fn create_token(&self, name: &TokenName, roles: &[Role]) -> Result<NewToken, AccessError> {
        self.0.access.create(name, roles, self.now_ms())
    }

    /// Records what an operator did. It is on the disk when this returns.
    pub fn audit(&self, by: &TokenName, method: &str, path: &str, status: u16) -> std::io::Result<()> {
        let (time, by) = (rfc3339(self.now_ms()), by.to_string());
        let act = Act { time, by, method: method.to_owned(), path: path.to_owned(), status };
        tracing::info!(by = act.by, method, path, status, "an operator's act");
        self.0.access.audit().record(act)
    }
}
