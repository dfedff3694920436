//! Where orders come from: each front end translates and decides nothing.

pub mod local;
#[cfg(feature = "cards")]
pub mod media;
pub mod native;
#[cfg(feature = "plan")]
pub mod plan;

pub use local::LocalSource;
#[cfg(feature = "cards")]
pub use media::MediaSource;
pub use native::NativeSource;
#[cfg(feature = "plan")]
pub use plan::PlanSource;
