//! Free ports.

use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use uuid::Uuid;

/// A port that nothing listens on and that no other testbed is given while this process lives, below the range from which
/// the kernel takes the ports of outgoing connections: a service that is down must find its port free when it comes back.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn port_free() -> u16 {
    for _ in 0..1000 {
        // The last bytes of a v7 id are random.
        let [.., high, low] = *Uuid::now_v7().as_bytes();
        let port = 10_000 + u16::from_be_bytes([high, low]) % 22_000;
        // Asked by connecting: a listener of ours, bound to try, would live on in a child that another thread is just
        // starting, until that becomes another program.
        if reserve(port) && TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
    panic!("no free port among a thousand tried between 10000 and 32000");
}

/// Whether the port is now this process's: of all sockets with its abstract name, the kernel lets one live.
fn reserve(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("limekiln-testbed-port-{port}")).unwrap();
    let socket = UnixDatagram::bind_addr(&name);
    // Ours until the process ends.
    socket.map(std::mem::forget).is_ok()
}
