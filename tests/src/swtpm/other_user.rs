//! Another user of a TPM, who never stops asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::ports::Ports;
use super::raw::get_random;

/// Asks a TPM for random bytes again and again, until this is dropped.
pub struct OtherUser {
    asked: Arc<Asked>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Asked {
    is_over: AtomicBool,
    times: AtomicU64,
}

impl OtherUser {
    /// Begins at once. Through a [`super::Proxy`] rather than at swtpm's own ports: that has so
    /// short a queue that a third client there often waits for a second.
    pub fn of(ports: Ports) -> Self {
        let asked = Arc::new(Asked::default());
        let thread = thread::spawn({
            let asked = Arc::clone(&asked);
            move || asked.ask(ports.data())
        });
        OtherUser { asked, thread: Some(thread) }
    }

    /// How often it was answered.
    pub fn times(&self) -> u64 {
        self.asked.times.load(Ordering::Relaxed)
    }
}

impl Asked {
    fn ask(&self, port: u16) {
        while !self.is_over.load(Ordering::Relaxed) {
            match get_random(port) {
                Ok(_) => drop(self.times.fetch_add(1, Ordering::Relaxed)),
                // The TPM has no power for the moment.
                Err(_) => thread::yield_now(),
            }
        }
    }
}

impl Drop for OtherUser {
    fn drop(&mut self) {
        self.asked.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
