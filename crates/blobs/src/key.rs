use std::{fmt, str::FromStr};

use limekiln_jobs::{
    ArtifactKind, Digest, EditId, Epoch, FileId, ImageId, IntermediateId, TenantId,
};

use crate::{Error, Result};

/// The most bytes of a key: as base64, which the folder's side files are named by, it still is a file name.
const KEY_BYTES: usize = 160;

/// The segment that every tenant's keys start with.
pub(crate) const TENANTS: &str = "t";

/// The name of one blob: segments of `a-z A-Z 0-9 . _ -` between slashes, none of them made of dots alone.
/// So no key leads out of its store, whatever that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// A tenant's image, mask or other upload, by its content: `t/<tenant>/images/<digest>`.
    pub fn image(tenant: TenantId, digest: &Digest) -> Self {
        Self(format!("t/{tenant}/images/{digest}"))
    }

    /// The same content under a key that nothing had before, for when the other is being deleted:
    /// `t/<tenant>/images/<digest>-<the random end of an id>`.
    pub fn image_again(tenant: TenantId, digest: &Digest, id: ImageId) -> Self {
        let [.., a, b, c, d] = id.uuid().into_bytes();
        let end = u32::from_be_bytes([a, b, c, d]);
        Self(format!("t/{tenant}/images/{digest}-{end:08x}"))
    }

    /// What one claim of an edit makes: `t/<tenant>/edits/<edit>/<epoch>/<name>`, such as `result.png`.
    pub fn edit(tenant: TenantId, edit: EditId, epoch: Epoch, name: &str) -> Result<Self> {
        format!("t/{tenant}/edits/{edit}/{epoch}/{name}").parse()
    }

    /// An artifact of one claim of an edit: `t/<tenant>/edits/<edit>/<epoch>/result.png`.
    pub fn artifact(tenant: TenantId, edit: EditId, epoch: Epoch, kind: ArtifactKind) -> Self {
        Self(format!(
            "t/{tenant}/edits/{edit}/{epoch}/{}",
            kind.file_name()
        ))
    }

    /// The state of an edit after `step` steps: `t/<tenant>/edits/<edit>/<epoch>/checkpoint-<step>`.
    pub fn checkpoint(tenant: TenantId, edit: EditId, epoch: Epoch, step: u32) -> Self {
        Self(format!("t/{tenant}/edits/{edit}/{epoch}/checkpoint-{step}"))
    }

    /// Something that an edit computed of a picture, kept for others: `t/<tenant>/intermediates/<id>`. No two have one key, whatever
    /// their content.
    pub fn intermediate(tenant: TenantId, id: IntermediateId) -> Self {
        Self(format!("t/{tenant}/intermediates/{id}"))
    }

    /// A part of a file: `t/<tenant>/files/<file>/<number>`.
    pub fn file(tenant: TenantId, file: FileId, number: u32) -> Self {
        Self(format!("t/{tenant}/files/{file}/{number}"))
    }

    /// The key's text, without the handle's prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(key: &str) -> Result<Self> {
        segments_check(key)?;
        Ok(Self(key.to_owned()))
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(key: String) -> Result<Self> {
        segments_check(&key)?;
        Ok(Self(key))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The start of keys, on a segment's border.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Every blob.
    pub fn all() -> Self {
        Self(String::new())
    }

    /// Everything of every tenant: `t/`.
    pub fn tenants() -> Self {
        Self(format!("{TENANTS}/"))
    }

    /// Everything of one tenant.
    pub fn tenant(tenant: TenantId) -> Self {
        Self(format!("t/{tenant}/"))
    }

    /// Everything one edit made, in all its epochs.
    pub fn edit(tenant: TenantId, edit: EditId) -> Self {
        Self(format!("t/{tenant}/edits/{edit}/"))
    }

    /// Everything below a folder.
    pub fn folder(folder: &Key) -> Self {
        Self(format!("{folder}/"))
    }

    /// The prefix's text, without the handle's own.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn segments_check(key: &str) -> Result<()> {
    let refused = |reason| {
        Err(Error::Key {
            key: key.chars().take(80).collect(),
            reason,
        })
    };
    if key.is_empty() {
        return refused("it is empty");
    }
    if key.len() > KEY_BYTES {
        return refused("it is longer than 160 bytes");
    }
    for segment in key.split('/') {
        if segment.is_empty() {
            return refused("a segment is empty");
        }
        if segment.starts_with('.') {
            return refused("a segment starts with a dot");
        }
        if !segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        {
            return refused("only a-z, A-Z, 0-9, `.`, `_` and `-` may stand between slashes");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_make_what_parses() {
        let (tenant, edit) = (TenantId::new(), EditId::new());
        let digest = Digest::of(b"room");
        let epoch = Epoch::new(3);
        for key in [
            Key::image(tenant, &digest),
            Key::image_again(tenant, &digest, ImageId::new()),
            Key::intermediate(tenant, IntermediateId::new()),
            Key::file(tenant, FileId::new(), u32::MAX),
            Key::artifact(tenant, edit, Epoch::LAST, ArtifactKind::Attention),
            Key::checkpoint(tenant, edit, epoch, u32::MAX),
            Key::edit(tenant, edit, epoch, "roi.png").unwrap(),
        ] {
            assert_eq!(key.as_str().parse::<Key>().unwrap(), key);
            assert!(key.as_str().starts_with(Prefix::tenant(tenant).as_str()));
        }
        assert_eq!(
            Key::artifact(tenant, edit, epoch, ArtifactKind::Result).to_string(),
            format!("t/{tenant}/edits/{edit}/3/result.png")
        );
    }

    #[test]
    fn no_key_leads_elsewhere() {
        let long = "a/".repeat(80) + "a";
        for trick in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a/.b",
            "a\\b",
            "a b",
            "a%2e%2e",
            "a\0b",
            "a\nb",
            "a?b",
            "a#b",
            "ä",
            "C:a",
            long.as_str(),
        ] {
            let error = trick.parse::<Key>().unwrap_err();
            assert!(matches!(error, Error::Key { .. }), "{trick:?}");
            assert!(Key::try_from(trick.to_owned()).is_err(), "{trick:?}");
            assert!(
                Key::edit(TenantId::new(), EditId::new(), Epoch::new(1), trick).is_err(),
                "{trick:?}"
            );
        }
        assert!("models/sd-1.5/unet_v2.safetensors".parse::<Key>().is_ok());
        assert!("a".repeat(160).parse::<Key>().is_ok());
    }
}
