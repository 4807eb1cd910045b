//! What may be done to a served device from outside its data path: pull it out, stall it, reach
//! inside. Fault control and the program's end come this way.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::{EventfdFlags, eventfd};

/// The plug in someone's hand.
pub trait PlugControl {
    /// Pulls the device out: every connection ends, the socket is gone, the power too.
    fn unplug(&self) -> io::Result<()>;

    /// Plugs it in again; nothing happens if it is.
    fn plug(&self) -> io::Result<()>;

    /// While `on`, the device works but nothing it says gets out; what it says then is lost.
    fn stall(&self, on: bool) -> io::Result<()>;

    /// Unplugs the device and ends its server.
    fn stop(&self) -> io::Result<()>;
}

/// The handle to a running server. Each call returns when it has been carried out, so do not call
/// from inside the device. `BrokenPipe` says that the server has ended.
#[derive(Debug)]
pub struct Control<D> {
    orders: Sender<Order<D>>,
    wake: Arc<OwnedFd>,
}

impl<D> Clone for Control<D> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), wake: self.wake.clone() }
    }
}

impl<D> Control<D> {
    /// Runs `job` on the device between two reports and returns its result.
    pub fn reach<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut D) -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, result) = channel();
        self.order(Action::Reach(Box::new(move |device| {
            sender.send(job(device)).ok();
        })))?;
        result.recv().map_err(|_| ended())
    }

    fn order(&self, action: Action<D>) -> io::Result<()> {
        let (done, answer) = channel();
        self.orders.send(Order { action, done }).map_err(|_| ended())?;
        rustix::io::write(&*self.wake, &1_u64.to_ne_bytes())?;
        answer.recv().map_err(|_| ended())?
    }
}

impl<D> PlugControl for Control<D> {
    fn unplug(&self) -> io::Result<()> {
        self.order(Action::Unplug)
    }

    fn plug(&self) -> io::Result<()> {
        self.order(Action::Plug)
    }

    fn stall(&self, on: bool) -> io::Result<()> {
        self.order(Action::Stall(on))
    }

    fn stop(&self) -> io::Result<()> {
        self.order(Action::Stop)
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the simulator has ended")
}

/// One thing to do.
pub(super) enum Action<D> {
    Stop,
    Unplug,
    Plug,
    Stall(bool),
    Reach(Box<dyn FnOnce(&mut D) + Send>),
}

/// An order and where to report that it is done.
pub(super) struct Order<D> {
    pub(super) action: Action<D>,
    pub(super) done: Sender<io::Result<()>>,
}

/// The server's end.
#[derive(Debug)]
pub(super) struct Orders<D> {
    queue: Receiver<Order<D>>,
    /// Readable when orders may be waiting.
    pub(super) wake: Arc<OwnedFd>,
}

impl<D> Orders<D> {
    pub(super) fn next(&mut self) -> Option<Order<D>> {
        // Emptied first: an order that comes after raises it again. It never blocks, and an error
        // says only that nothing has been raised.
        rustix::io::read(&*self.wake, &mut [0; 8]).ok();
        self.queue.try_recv().ok()
    }
}

pub(super) fn pair<D>() -> io::Result<(Control<D>, Orders<D>)> {
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (orders, queue) = channel();
    Ok((Control { orders, wake: wake.clone() }, Orders { queue, wake }))
}
