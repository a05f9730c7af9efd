//! Images, results and checkpoints on S3, and the embedded server.
