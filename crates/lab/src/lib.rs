//! The real world: real programs, real images, real files. What the demo, the
//! end-to-end tests, the power cuts and the benches are made of.
//!
//! Deliberately absent: any part of the updater. What is shown here is done by the
//! programs that ship.

pub mod bench;
pub mod board;
pub mod boot;
pub mod bucket;
pub mod chance;
pub mod clock;
pub mod corpus;
pub mod cuts;
pub mod deltas;
pub mod demo;
pub mod emmc;
pub mod entry;
pub mod faults;
pub mod flash;
pub mod foreign;
mod guest;
pub mod idle;
pub mod image;
pub mod maker;
pub mod network;
pub mod operator;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod terminal;
pub mod web;
