//! A way between two programs that can be cut: bytes stop, connections stay, and
//! neither end is told.

use anyhow::Result;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a silent connection looks whether it is cut or over.
const LOOK: Duration = Duration::from_millis(20);

/// A port of this machine that leads to another one.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
}

impl Proxy {
    /// A way to `port`.
    ///
    /// # Errors
    /// The system gives no port.
    pub fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let own = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                    join(&near, &far, &shared);
                }
            }
        });
        Ok(Self { port: own, state })
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops every byte, both ways, in connections that are there and that come.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::Relaxed);
    }

    /// Lets the bytes go on.
    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends; there is nobody else to tell.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn join(near: &TcpStream, far: &TcpStream, state: &Arc<State>) {
    for (from, to) in [(near, far), (far, near)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let state = Arc::clone(state);
        std::thread::spawn(move || forward(from, to, &state));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, state: &State) {
    // Without it a cut would only be noticed with the next byte.
    let _ = from.set_read_timeout(Some(LOOK));
    let mut piece = vec![0; 64 << 10];
    while !state.over.load(Ordering::Relaxed) {
        if state.cut.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => {
                while state.cut.load(Ordering::Relaxed) && !state.over.load(Ordering::Relaxed) {
                    std::thread::sleep(LOOK);
                }
                if to.write_all(piece.get(..len).unwrap_or_default()).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_way_is_silent_and_a_mended_one_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap().port()).unwrap();
        let mut near = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut got = [0; 3];
        near.write_all(b"one").unwrap();
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"one");
        proxy.cut();
        near.write_all(b"two").unwrap();
        far.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(far.read(&mut got).is_err());
        proxy.mend();
        far.set_read_timeout(None).unwrap();
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"two");
    }
}
