//! Jobs as pure data: ids, requests, states, the lease and turn state machine. No I/O.
