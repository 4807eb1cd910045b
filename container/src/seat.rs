//! A seat: renewed as long as it is held, given back when dropped.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::codec::{Bytes, Fixed};
use protocol::command::{Command, Reply, SeatCommand, SeatGrant, SeatReply};
use protocol::crypto::wipe_stack;
use protocol::errors::ErrorCode;
use protocol::ids::OpId;
#[cfg(doc)]
use protocol::limits::BLOCK_LEN_MAX;
use protocol::objects::artifact::{PartId, SecretKey, WrappedKey};
use protocol::objects::block::{BlockWay, KeySource};
use zeroize::Zeroizing;

use crate::container::{Container, draw_op, unexpected};
use crate::error::Error;

/// A use of a license.
pub struct Seat {
    container: Container,
    grant: SeatGrant,
    beats: u64,
}

impl Seat {
    pub(crate) fn new(container: Container, grant: SeatGrant) -> Self {
        Seat { container, grant, beats: 0 }
    }

    /// What was granted.
    pub fn grant(&self) -> &SeatGrant {
        &self.grant
    }

    /// The container that counts it.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Gives a sign of life. Due every [`SeatGrant::interval_s`] seconds; [`Seat::keep`] does it by
    /// itself.
    ///
    /// # Errors
    /// The license does not allow the use any more, or the container is gone.
    pub fn renew(&mut self) -> Result<(), Error> {
        self.beats += 1;
        let (handle, n) = (self.grant.handle, self.beats);
        match self.container.seat_call(SeatCommand::Heartbeat { handle, n })? {
            SeatReply::Kept { n: answered } if answered == n => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// The key of a part of the artifact that the seat was opened for. It is in a box, so that
    /// passing it on moves no bytes of it.
    ///
    /// # Errors
    /// [`KeyMismatch`](protocol::errors::ErrorCode::KeyMismatch) where the slot is not the
    /// artifact's, and what [`Seat::renew`] can meet.
    pub fn release_key(&self, wrapped: &WrappedKey, part: PartId) -> Result<Box<SecretKey>, Error> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        let released = self.fetch_key(wrapped, part, &mut key);
        wipe_stack();
        released.map(|()| key)
    }

    /// Not inlined, so that what is wiped after it is the stack that it used.
    #[inline(never)]
    fn fetch_key(
        &self,
        wrapped: &WrappedKey,
        part: PartId,
        out: &mut SecretKey,
    ) -> Result<(), Error> {
        let release =
            SeatCommand::KeyRelease { handle: self.grant.handle, wrapped: *wrapped, part };
        match self.container.seat_call(release)? {
            SeatReply::Key(key) => {
                out.copy_from_slice(&key.0.0);
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    /// Sets units aside before they are used. Dropping the result without saying how many were used
    /// leaves them reserved: the vendor's rule says what becomes of them.
    ///
    /// # Errors
    /// [`NoUnits`](protocol::errors::ErrorCode::NoUnits),
    /// [`ReservationLarge`](protocol::errors::ErrorCode::ReservationLarge), and others near them.
    pub fn reserve(&self, units: u32) -> Result<Reservation, Error> {
        let (op, handle) = (draw_op()?, self.grant.handle);
        match self.container.seat_call(SeatCommand::Reserve { op, handle, units })? {
            SeatReply::Units { left } => Ok(Reservation { op, left }),
            _ => Err(unexpected()),
        }
    }

    /// Says how many units of a reservation were used, and returns how many are left then. Others
    /// are given back.
    ///
    /// # Errors
    /// [`ReservationUnknown`](protocol::errors::ErrorCode::ReservationUnknown),
    /// [`ReservationLess`](protocol::errors::ErrorCode::ReservationLess).
    pub fn account(&self, reservation: &Reservation, used: u32) -> Result<u64, Error> {
        let (op, handle) = (reservation.op, self.grant.handle);
        match self.container.seat_call(SeatCommand::Account { op, handle, used })? {
            SeatReply::Units { left } => Ok(left),
            _ => Err(unexpected()),
        }
    }

    /// Encrypts a block of at most [`BLOCK_LEN_MAX`] bytes inside the container. The result, 28
    /// bytes longer, is opened under the same requirement only.
    ///
    /// # Errors
    /// [`DataUnknown`](protocol::errors::ErrorCode::DataUnknown) where the source is a field that
    /// holds nothing, and what [`Seat::renew`] can meet.
    pub fn encrypt(&self, source: KeySource, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.block(source, BlockWay::Encrypt, plain).map(|mut block| std::mem::take(&mut *block))
    }

    /// Decrypts a block inside the container.
    ///
    /// # Errors
    /// [`BlockRefused`](protocol::errors::ErrorCode::BlockRefused) where it is not authentic, and
    /// what [`Seat::encrypt`] can meet.
    pub fn decrypt(&self, source: KeySource, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.block(source, BlockWay::Decrypt, sealed)
    }

    fn block(
        &self,
        source: KeySource,
        way: BlockWay,
        bytes: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bytes = Bytes::new(bytes).ok_or(ErrorCode::TooLong.failure())?;
        let command = Command::Block { handle: self.grant.handle, source, way, bytes };
        match self.container.call(&command)? {
            Reply::Block(block) => Ok(Zeroizing::new(block.to_vec())),
            _ => Err(unexpected()),
        }
    }

    /// A proof for somebody else that the license is in use now: a signed object, whose signer is
    /// the container. `purpose` is a number of the vendor's own.
    ///
    /// # Errors
    /// What [`Seat::renew`] can meet.
    pub fn prove(&self, challenge: [u8; 32], purpose: u8) -> Result<Vec<u8>, Error> {
        let (handle, challenge) = (self.grant.handle, Fixed(challenge));
        match self.container.call(&Command::Prove { handle, challenge, purpose })? {
            Reply::Proof(object) => Ok(object.to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// Renews it in the background until the result is dropped.
    pub fn keep(self) -> KeptSeat {
        let interval = Duration::from_secs(self.grant.interval_s.max(1).into());
        let lost = Arc::new(Mutex::new(None));
        let (stop, stopped) = channel();
        let told = lost.clone();
        let mut seat = self;
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = seat.renew() {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
            }
        });
        KeptSeat { lost, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // If the container is gone the seat ends by itself.
        self.container.seat_call(SeatCommand::Close { handle: self.grant.handle }).ok();
    }
}

/// Units that were set aside for a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    op: OpId,
    /// Units that were left then.
    pub left: u64,
}

/// A seat that a thread of its own renews.
pub struct KeptSeat {
    lost: Arc<Mutex<Option<Error>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl KeptSeat {
    /// Whether the seat is still held.
    ///
    /// # Errors
    /// Why it was lost.
    pub fn check(&self) -> Result<(), Error> {
        match &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl Drop for KeptSeat {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
