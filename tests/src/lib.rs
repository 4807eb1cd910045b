//! System tests: journeys, attacks, vectors, machine tests.
#![forbid(unsafe_code)]
