//! Names that stand for raw flash: `mtd:system-a`, `ubi0:system-b`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A name that stands for flash: the class in which it is looked for, how the device's
/// own name begins, and its name.
pub(in crate::platform) fn named(path: &Path) -> Option<(&'static str, String, &str)> {
    let (kind, name) = path.to_str()?.split_once(':')?;
    match kind.strip_prefix("ubi") {
        _ if kind == "mtd" => Some(("mtd", "mtd".into(), name)),
        Some("") => Some(("ubi", "ubi".into(), name)),
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(("ubi", format!("ubi{number}_"), name))
        }
        _ => None,
    }
}

/// The devices in `classes` that such a name stands for.
pub(in crate::platform) fn devices(
    classes: &Path,
    (class, prefix, name): (&str, String, &str),
) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(classes.join(class))? {
        let entry = entry?;
        let device = entry.file_name();
        let text = device.to_string_lossy();
        // `mtd0ro` is the same partition again, and `ubi0` has no name.
        let is_one = text.starts_with(&prefix) && !text.ends_with("ro");
        let own = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if is_one && own.trim_end() == name {
            found.push(Path::new("/dev").join(&device));
        }
    }
    Ok(found)
}
