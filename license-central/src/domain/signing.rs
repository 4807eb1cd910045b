//! Signing in common: what waits while the signer is at work goes to it together, for one entry of
//! the journal's medium and one signature.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::errors::Shown;

use super::firm::{Leaf, Signer};

/// Leaves that go together: what a signer takes at a time.
pub const TOGETHER_MAX: usize = 64;

/// Objects, in the order of their leaves; none as long as nobody signed them.
type Signed = Arc<Mutex<Option<Vec<Vec<u8>>>>>;

/// Who waits for the signer of a firm.
#[derive(Default)]
pub struct Signing {
    waiting: Mutex<Vec<(Vec<Leaf>, Signed)>>,
    turn: Mutex<()>,
}

impl Signing {
    /// Signs leaves, with those of others if some wait: the objects, in the same order. What cannot
    /// be signed keeps no others from being signed.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn sign(&self, signer: &dyn Signer, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        let own = Signed::default();
        lock(&self.waiting).push((leaves.to_vec(), own.clone()));
        let turn = lock(&self.turn);
        if let Some(signed) = lock(&own).take() {
            return Ok(signed);
        }
        let together = self.take(&own);
        if let [_] = &together[..] {
            return signer.sign(leaves);
        }
        let all: Vec<Leaf> = together.iter().flat_map(|(leaves, _)| leaves.clone()).collect();
        if !all.is_empty()
            && let Ok(objects) = signer.sign(&all)
        {
            let mut objects = objects.into_iter();
            for (leaves, signed) in together {
                *lock(&signed) = Some(objects.by_ref().take(leaves.len()).collect());
            }
            return Ok(lock(&own).take().unwrap_or_default());
        }
        // One of those that it went with is in the way: each tries alone.
        drop(turn);
        signer.sign(leaves)
    }

    /// Takes who is signed for now: nobody else, where `own` was taken before and was not signed.
    fn take(&self, own: &Signed) -> Vec<(Vec<Leaf>, Signed)> {
        let mut waiting = lock(&self.waiting);
        let Some(at) = waiting.iter().position(|(_, other)| Arc::ptr_eq(own, other)) else {
            return Vec::new();
        };
        let first = waiting.remove(at);
        let mut count = first.0.len();
        let fits = |(leaves, _): &&(Vec<Leaf>, Signed)| {
            count += leaves.len();
            count <= TOGETHER_MAX
        };
        let others = waiting.iter().take_while(fits).count();
        [first].into_iter().chain(waiting.drain(..others)).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has filled nothing in.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use protocol::errors::ErrorCode;
    use protocol::ids::KeyId;
    use protocol::signed::{Header, Kind};
    use vendor::ledger::Issued;

    use super::super::firm::{Grounds, Wanted};
    use super::*;

    /// Signs by giving the body back, and waits twice at the barrier when first called.
    struct Slow {
        first: Barrier,
        calls: Mutex<Vec<usize>>,
        /// A body that it does not sign.
        refused: Option<u8>,
    }

    impl Slow {
        fn new(refused: Option<u8>) -> Self {
            Slow { first: Barrier::new(2), calls: Mutex::default(), refused }
        }
    }

    impl Signer for Slow {
        fn draft(&self, _: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
            Err(ErrorCode::SignerRefused.failure().into())
        }

        fn key_id(&self) -> Result<KeyId, Shown> {
            Err(ErrorCode::SignerRefused.failure().into())
        }

        fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
            let number = {
                let mut calls = lock(&self.calls);
                calls.push(leaves.len());
                calls.len()
            };
            if number == 1 {
                self.first.wait();
                self.first.wait();
            }
            let is_refused = |leaf: &Leaf| leaf.body.first().copied() == self.refused;
            if self.refused.is_some() && leaves.iter().any(is_refused) {
                return Err(ErrorCode::SignerRefused.failure().into());
            }
            Ok(leaves.iter().map(|leaf| leaf.body.clone()).collect())
        }

        fn sign_leases(&self, _: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
            Err(ErrorCode::SignerRefused.failure().into())
        }
    }

    fn leaf(body: u8) -> Leaf {
        let body = vec![body];
        let header = Header::new(Kind::Update, &body);
        Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() }
    }

    /// One is at the signer, and `others` wait behind it: what each got.
    fn behind_one(signer: &Slow, others: u8) -> Vec<Result<Vec<Vec<u8>>, Shown>> {
        let signing = Signing::default();
        thread::scope(|scope| {
            let ask = |number: u8| {
                let signing = &signing;
                scope.spawn(move || signing.sign(signer, &[leaf(number), leaf(number)]))
            };
            let first = ask(0);
            signer.first.wait();
            let others: Vec<_> = (1..=others).map(ask).collect();
            while lock(&signing.waiting).len() < others.len() {
                thread::yield_now();
            }
            signer.first.wait();
            let all = [first].into_iter().chain(others);
            all.map(|one| one.join().expect("no panic")).collect()
        })
    }

    #[test]
    fn those_that_wait_are_signed_together_and_each_gets_its_own() {
        let signer = Slow::new(None);
        for (number, signed) in (0..).zip(behind_one(&signer, 40)) {
            assert_eq!(signed.expect("signed"), [[number], [number]]);
        }
        // Two each, and 64 fit.
        assert_eq!(*lock(&signer.calls), [2, 64, 16]);
    }

    #[test]
    fn one_that_cannot_be_signed_keeps_no_others() {
        let signer = Slow::new(Some(3));
        for (number, signed) in (0..).zip(behind_one(&signer, 5)) {
            assert_eq!(signed.is_err(), number == 3);
            assert!(signed.is_err() || signed.is_ok_and(|objects| objects == [[number], [number]]));
        }
        assert_eq!(*lock(&signer.calls), [2, 10, 2, 2, 2, 2, 2]);
    }
}
