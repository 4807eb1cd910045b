//! Models of the rules that Strongroom counts by, checked in every state that they can reach.
//!
//! A model is a small copy of some rules: a container, its clients, a network that may do anything,
//! and nothing else. The checker (the crate stateright) carries out every possible action in every
//! reachable state and looks at each state. So a model says nothing about code, cryptography or
//! speed, and all the more about the rules: whether, followed to the letter, they keep their
//! promises whatever is lost, repeated, late, crashed or restarted.
//!
//! How to read one: `mod.rs` of a model lists what can happen ([`stateright::Model::actions`]) and
//! the promises (`invariants.rs`); the other files are the parties, each with its rules as plain
//! functions. `bugs.rs` names rules that can be taken out, one at a time, with the promise that
//! breaks then: a rule that could be left out without anything breaking would not be needed.
//!
//! Three habits keep the models small. Time goes in ticks, and what is stored is how long something
//! has been going on, never a date, so that states which differ in nothing else are one. What was
//! sent stays: it may arrive at any later time, more than once, or never, so that loss, delay and
//! repetition need no actions of their own. And how often something may be tried is limited by the
//! scene that is played.

#![forbid(unsafe_code)]

pub mod check;
pub mod clock;
pub mod moves;
pub mod seats;
pub mod units;
