//! Every file a checkpoint was read from, and the one name of their contents.

use std::sync::{Arc, OnceLock};

use super::blob::Blob;

/// Bytes of a file that are hashed, and then forgotten: enough for all cores.
const PIECE: usize = 64 << 20;

/// The files that were read, in the order of reading.
#[derive(Default)]
pub struct Files {
    read: Vec<(String, Arc<Blob>)>,
    settings: Vec<String>,
    fingerprint: OnceLock<String>,
}

impl Files {
    /// A content address of the checkpoint: blake3, in hexadecimal, of every byte of every file that was read (weights,
    /// configurations, tokenizer) and of the settings that choose among them. The same files give the same value wherever
    /// they lie. The first call reads the weights once, on all cores; later calls are free.
    pub fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| {
            let mut all = blake3::Hasher::new();
            for setting in &self.settings {
                all.update(blake3::hash(setting.as_bytes()).as_bytes());
            }
            for (name, blob) in &self.read {
                all.update(blake3::hash(name.as_bytes()).as_bytes());
                let mut file = blake3::Hasher::new();
                for start in (0..blob.len()).step_by(PIECE) {
                    let part = start..blob.len().min(start + PIECE);
                    file.update_rayon(&blob[part.clone()]);
                    blob.forget(part);
                }
                all.update(file.finalize().as_bytes());
            }
            all.finalize().to_hex().to_string()
        })
    }

    /// Paths of the files, for logs.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(|(_, blob)| blob.path.as_str())
    }

    pub(super) fn setting(&mut self, setting: String) {
        self.settings.push(setting);
    }

    pub(super) fn add(&mut self, label: &str, blob: &Arc<Blob>) {
        self.read.push((label.to_owned(), blob.clone()));
    }
}
