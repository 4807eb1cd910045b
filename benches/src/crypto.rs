//! Our signatures over those of the library below, which they wrap.

use p256::ecdsa::Signature;
use p256::ecdsa::signature::{Signer, Verifier};
use protocol::crypto::ecdsa::{SigningKey, verify};

use crate::Result;
use crate::clock::cpu_s;
use crate::measure::in_turn;
use crate::table::Row;

/// Operations that are timed together.
const BATCH: usize = 50;
const ROUNDS: usize = 15;
/// A second of a batch in microseconds of one operation.
const US: (&str, f64) = ("us", 1e6 / BATCH as f64);

/// Signing and verifying a message of 256 bytes.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let (scalar, message, entropy) = ([7; 32], [0x5a; 256], [3; 32]);
    let ours = SigningKey::from_bytes(&scalar).map_err(|error| format!("{error:?}"))?;
    let bare = p256::ecdsa::SigningKey::from_bytes(&scalar.into())?;
    let sign = in_turn(
        ROUNDS,
        || batch(|| keep(ours.sign(&message, &entropy))),
        || batch(|| keep::<Signature>(bare.sign(&message))),
    )?;
    let (our_key, bare_key) = (ours.verifying_key(), *bare.verifying_key());
    let (our_signature, bare_signature) = (ours.sign(&message, &entropy), bare.sign(&message));
    let check = in_turn(
        ROUNDS,
        || {
            batch(|| {
                verify(&our_key, &message, &our_signature).map_err(|e| format!("{e:?}").into())
            })
        },
        || batch(|| Ok(Verifier::<Signature>::verify(&bare_key, &message, &bare_signature)?)),
    )?;
    let names = ("ours", "bare");
    Ok(vec![
        Row::of_pairs("P-256 signature / bare p256", &[sign], None, US, names),
        Row::of_pairs("P-256 verification / bare p256", &[check], None, US, names),
    ])
}

fn batch(mut operation: impl FnMut() -> Result<()>) -> Result<f64> {
    cpu_s(|| (0..BATCH).try_for_each(|_| operation()))
}

/// Takes a result that nobody needs, so that it is computed nevertheless.
fn keep<T>(result: T) -> Result<()> {
    std::hint::black_box(result);
    Ok(())
}
