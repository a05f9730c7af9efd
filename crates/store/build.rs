//! Builds again when a migration changes: they are in the binary.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
