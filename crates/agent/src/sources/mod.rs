//! Where orders come from: each front end translates and decides nothing.

pub mod local;
pub mod native;

pub use local::LocalSource;
pub use native::NativeSource;
