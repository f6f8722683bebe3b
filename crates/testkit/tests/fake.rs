//! The fake host: its own promises, and whether it behaves as the kernel at hand does.

#[path = "fake/dice.rs"]
mod dice;
#[path = "fake/kernel.rs"]
mod kernel;
#[path = "fake/promises.rs"]
mod promises;
#[path = "fake/things.rs"]
mod things;
