//! From the names of blobs to those of files and back.
//!
//! Some file systems take `A` for `a`. A blob's name has no `+`, so a capital letter is written as `+` and its small one:
//! two blobs never share a file.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The path of a blob's file under its bucket.
pub(super) fn to_file(name: &str) -> String {
    let mut file = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            file.push('+');
        }
        file.push(c.to_ascii_lowercase());
    }
    file
}

/// The part of a blob's name that a file or directory of this name stands for; none for a file of somebody else.
pub(super) fn from_file(file: &str) -> Option<String> {
    let mut name = String::with_capacity(file.len());
    let mut chars = file.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '+' => chars
                .next()
                .filter(char::is_ascii_lowercase)?
                .to_ascii_uppercase(),
            c if c.is_ascii_uppercase() => return None,
            c => c,
        });
    }
    Some(name)
}

/// The name that s3s-fs gives a file beside a blob.
pub(super) fn side(bucket: &str, name: &str, end: &str) -> String {
    let (bucket, name) = (URL_SAFE_NO_PAD.encode(bucket), URL_SAFE_NO_PAD.encode(name));
    format!(".bucket-{bucket}.object-{name}.{end}")
}

/// What files being written begin with.
pub(super) const TEMPORARY: &str = ".tmp.";

/// Whether a put that was not finished left this: one of ours, or an upload in parts to the S3 server of before.
pub(super) fn is_leftover(file: &str) -> bool {
    file.starts_with(TEMPORARY)
        || file.starts_with(".upload")
        || (file.starts_with(".bucket-") && file.contains(".upload-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_blobs_share_a_file_where_case_is_ignored() {
        for name in ["t/x/images/0a", "models/SD-1.5/unet_V2.safetensors", "A/a"] {
            let file = to_file(name);
            assert_eq!(file, file.to_lowercase());
            assert_eq!(from_file(&file).as_deref(), Some(name));
        }
        assert_ne!(to_file("t/A"), to_file("t/a"));
        assert_eq!(to_file("t/x-1_2.png"), "t/x-1_2.png");
        for foreign in ["README", "a+", "a+1", "++a"] {
            assert_eq!(from_file(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn leftovers_are_told_from_side_files() {
        assert!(is_leftover(".tmp.7.internal.part"));
        assert!(is_leftover(".upload_id-0.part-1"));
        assert!(is_leftover(&side("kiln", "t/x", "upload-0.metadata.json")));
        assert!(!is_leftover(&side("kiln", "t/x", "metadata.json")));
        assert!(!is_leftover("kiln"));
    }
}
