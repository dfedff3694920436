//! Where orders come from: each front end translates and decides nothing.

pub mod local;
pub mod media;
pub mod native;
pub mod plan;

pub use local::LocalSource;
pub use media::MediaSource;
pub use native::NativeSource;
pub use plan::PlanSource;
