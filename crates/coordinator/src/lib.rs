//! Submit, release, reap, retry, prune, deliver webhooks.
