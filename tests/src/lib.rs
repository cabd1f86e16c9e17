//! What the end-to-end tests stand on. The tests themselves are in `tests/e2e`, one binary.
