//! Addresses for servers that are started by name.

use model::{Dice as _, SystemDice};

/// A loopback address that was free a moment ago, below the ports that the system gives to outgoing connections: one of
/// those could be gone again before a server listens on it.
pub fn free_address() -> String {
    loop {
        let number = u16::from_be_bytes(SystemDice.bytes());
        let address = format!("127.0.0.1:{}", 10_000 + number % 22_000);
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
