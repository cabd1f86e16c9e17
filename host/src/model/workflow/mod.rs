//! Workflows: what a mediator runs. A definition is a named part of the CNCF Serverless Workflow DSL 1.0. It owns the form of definitions, what
//! may stand in them and what follows in a run; it never evaluates an expression, reads a clock or sends anything.
//!
//! `definition` is the workflow, `task` a step of it, `expression` what is evaluated while it runs, `failure` what errors look like and when a
//! step is tried again, `schema` what data must look like; `read` makes all this
//! of a text, and `graph` draws it. `run` is one execution; `step` takes it on by what happened (`command`) and says what
//! others are to do; `post` and `timer` are how that reaches them, and comes back.

pub mod command;
pub mod definition;
pub mod expression;
pub mod failure;
pub mod graph;
pub mod post;
pub mod read;
pub mod report;
pub mod run;
pub mod schema;
pub mod step;
pub mod task;
pub mod timer;
