//! The half that `limekiln dev` uses: a blob is a file.
//!
//! | module | what is in it |
//! |---|---|
//! | `dir` | [`Folder`]: the directory, its lock, its buckets |
//! | `names` | where a blob lies, and its side file |
//! | `read` | head and download |
//! | `write` | put, delete, and what puts left behind |
//! | `list` | listings in the order of keys |
//!
//! ```text
//! lock                                         held by the process that has the folder open
//! data/<bucket>/t/<tenant>/images/<digest>     a blob
//! data/.bucket-*.object-*.metadata.json        its media type, where its first bytes do not tell it
//! data/.tmp.*                                  a file being written
//! ```
//!
//! It is the layout of the S3 server that `limekiln dev` ran before (s3s-fs): a folder of that time opens as it is.

mod dir;
mod list;
mod names;
mod read;
mod write;

pub(crate) use dir::Folder;
pub use dir::Fsync;
