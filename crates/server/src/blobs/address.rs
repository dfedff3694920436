//! Where packages are kept.

use std::path::PathBuf;
use std::str::FromStr;

/// Where packages are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the data folder.
    #[default]
    Own,
    /// In a folder that several servers see.
    Folder(PathBuf),
    /// In a bucket.
    Bucket(Bucket),
}

/// A part of a bucket, and how to get at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The bucket's name.
    pub(crate) name: String,
    /// What the names of all packages there begin with.
    pub(crate) prefix: String,
    /// How to get at it.
    pub(crate) access: Access,
}

/// How to get at a bucket. What is not said is taken from the environment, as other
/// programs that use such stores do.
#[derive(Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Access {
    /// Address of the S3-compatible store, where it is not AWS; https, or http on this
    /// machine
    #[arg(id = "artifacts-endpoint", long = "artifacts-endpoint", env = "AWS_ENDPOINT_URL")]
    pub(crate) endpoint: Option<String>,
    /// Region of the bucket
    #[arg(id = "artifacts-region", long = "artifacts-region", env = "AWS_REGION")]
    pub(crate) region: Option<String>,
    /// Id of the key to the bucket
    #[arg(id = "artifacts-key-id", long = "artifacts-key-id", env = "AWS_ACCESS_KEY_ID")]
    pub(crate) key_id: Option<String>,
    /// Key to the bucket
    #[arg(
        id = "artifacts-key",
        long = "artifacts-key",
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true
    )]
    pub(crate) key: Option<String>,
}

/// The key is nobody's business.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A text that is no place for packages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packages are kept in a folder or at s3://BUCKET/PREFIX")]
pub(crate) struct PlaceError;

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let Some(rest) = text.strip_prefix("s3://") else {
            let folder = !text.is_empty() && !text.contains("://");
            return if folder { Ok(Self::Folder(text.into())) } else { Err(PlaceError) };
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(PlaceError);
        }
        let (name, prefix) = (name.to_owned(), prefix.trim_matches('/').to_owned());
        Ok(Self::Bucket(Bucket { name, prefix, access: Access::default() }))
    }
}

impl Place {
    /// The place with what else is known of how to get at it.
    pub(crate) fn with(self, access: &Access) -> Self {
        match self {
            Self::Bucket(bucket) => Self::Bucket(Bucket { access: access.clone(), ..bucket }),
            folder => folder,
        }
    }

    /// A part of the place, for other things than packages.
    pub(super) fn below(&self, name: &str) -> Self {
        match self {
            Self::Own => Self::Own,
            Self::Folder(folder) => Self::Folder(folder.join(name)),
            Self::Bucket(bucket) => {
                let prefix = format!("{}/{name}", bucket.prefix);
                let prefix = prefix.trim_start_matches('/').to_owned();
                Self::Bucket(Bucket { prefix, ..bucket.clone() })
            }
        }
    }

    /// The bucket, if it is one.
    #[cfg(feature = "s3")]
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        match self {
            Self::Bucket(bucket) => Some(bucket),
            Self::Own | Self::Folder(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&Place>) {
        assert_eq!(text.parse::<Place>().ok().as_ref(), expected, "{text}");
    }

    fn bucket(name: &str, prefix: &str) -> Place {
        let (name, prefix) = (name.to_owned(), prefix.to_owned());
        Place::Bucket(Bucket { name, prefix, access: Access::default() })
    }

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        check("/srv/packages", Some(&Place::Folder("/srv/packages".into())));
        check("s3://updates", Some(&bucket("updates", "")));
        check("s3://updates/router/2/", Some(&bucket("updates", "router/2")));
        for bad in ["", "s3://", "s3:///prefix", "gs://bucket", "https://bucket"] {
            check(bad, None);
        }
    }

    #[test]
    fn there_is_room_beside_the_packages() {
        let below = |text: &str| text.parse::<Place>().unwrap().below("deltas");
        assert_eq!(below("/srv/packages"), Place::Folder("/srv/packages/deltas".into()));
        assert_eq!(below("s3://updates"), bucket("updates", "deltas"));
        assert_eq!(below("s3://updates/router"), bucket("updates", "router/deltas"));
        assert_eq!(Place::Own.below("deltas"), Place::Own);
    }

    #[test]
    fn a_key_is_not_shown() {
        let access = Access { key: Some("secret".into()), ..Access::default() };
        assert!(!format!("{access:?}").contains("secret"));
    }
}
