//! What the system says of memory.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Bytes that the process may have: the least of the machine's memory and of the limits of its control groups. None where
/// the system does not say.
pub fn available() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limits(Path::new("/sys/fs/cgroup"), &groups)
        .chain(kib("/proc/meminfo", "MemTotal:"))
        .min()
}

/// Bytes of the process that are in memory now. None where the system does not say.
pub fn resident() -> Option<u64> {
    kib("/proc/self/status", "VmRSS:")
}

/// The most bytes of the process that were in memory at once, since it began or since [`peak_forget`]. None where the system does
/// not say.
pub fn peak() -> Option<u64> {
    kib("/proc/self/status", "VmHWM:")
}

/// Lets [`peak`] begin anew with what is in memory now; where the system refuses, the peak stays that of the whole process.
pub fn peak_forget() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Says how this process gives memory back; the first to say it counts. It depends on the allocator, which the program
/// chooses.
pub fn give_back_by(how: fn()) {
    let _ = GIVE_BACK.set(how);
}

/// Gives memory that is free back to the system, which allocators keep for a while. May take milliseconds.
pub fn give_back() {
    if let Some(how) = GIVE_BACK.get() {
        how();
    }
}

/// The limits of the groups that `groups` names, and of those around them; version 2, and the memory controller of version 1.
fn limits<'a>(root: &'a Path, groups: &'a str) -> impl Iterator<Item = u64> + 'a {
    groups.lines().flat_map(move |line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let (folder, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        let inner = folder.join(path.trim_start_matches('/'));
        // In a container the root of the tree is the group itself.
        inner
            .ancestors()
            .take_while(|group| group.starts_with(&folder))
            .filter_map(|group| {
                fs::read_to_string(group.join(file))
                    .ok()?
                    .trim()
                    .parse()
                    .ok()
            })
            .collect()
    })
}

/// The value of a line in kB.
fn kib(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_around_a_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = |path: &str, file: &str, limit: &str| {
            let folder = root.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), limit).unwrap();
        };
        group("pods", "memory.max", "300\n");
        group("pods/one", "memory.max", "max\n");
        let found = |groups: &str| limits(root.path(), groups).min();
        assert_eq!(found("0::/pods/one\n"), Some(300));
        assert_eq!(found("0::/elsewhere\n"), None, "max is no limit");
        group("", "memory.max", "200\n");
        assert_eq!(found("0::/pods/one\n"), Some(200), "as seen from inside");
        group("memory/old", "memory.limit_in_bytes", "100\n");
        assert_eq!(found("4:cpu,cpuacct:/x\n3:memory:/old\n"), Some(100));
    }

    #[test]
    fn a_process_has_less_than_the_machine() {
        let (all, ours) = (available().unwrap(), resident().unwrap());
        assert!(0 < ours && ours < all, "{ours} of {all}");
    }

    #[test]
    fn the_peak_is_that_since_it_was_forgotten() {
        let peak_of = |bytes: usize| {
            peak_forget();
            std::hint::black_box(vec![1u8; bytes]);
            peak().unwrap()
        };
        let (large, small) = (peak_of(256 << 20), peak_of(1 << 20));
        assert!(small + (128 << 20) < large, "{small}, {large}");
    }
}
