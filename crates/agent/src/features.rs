//! What this agent was built with, and what is said about what it was built without.

/// The features of this agent, in alphabetical order.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "bootloaders")]
    "bootloaders",
    #[cfg(feature = "cards")]
    "cards",
    #[cfg(feature = "components")]
    "components",
    #[cfg(feature = "dbus")]
    "dbus",
    #[cfg(feature = "doctor")]
    "doctor",
    #[cfg(feature = "page")]
    "page",
    #[cfg(feature = "plan")]
    "plan",
    #[cfg(feature = "recipes")]
    "recipes",
    #[cfg(feature = "rsa")]
    "rsa",
    #[cfg(feature = "tls12")]
    "tls12",
    #[cfg(feature = "upkeep")]
    "upkeep",
];

/// What is said of `what`, which needs `feature`.
pub fn left_out(what: &str, feature: &str) -> String {
    format!("this agent was built without {what}; it needs the feature `{feature}`")
}
