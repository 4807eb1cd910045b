//! Blocks that are encrypted and decrypted here, and proofs of use: what a program cannot answer
//! without its license.

use alloc::vec::Vec;

use protocol::codec::{self, Bytes, Fixed};
use protocol::command::Reply;
use protocol::crypto::Random;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::SeatHandle;
use protocol::limits::BLOCK_LEN_MAX;
use protocol::objects::artifact::SecretKey;
use protocol::objects::block::{BlockWay, KeySource, block_key, open_block, seal_block};
use protocol::objects::data::ACCESS_CODE_LEN;
use protocol::objects::proof::ProofBody;
use protocol::signed::Kind;
use zeroize::Zeroizing;

use crate::data::open_data;
use crate::engine::Engine;
use crate::evaluate::end_s;
use crate::platform::Platform;
use crate::records;
use crate::seats::Seat;

impl<P: Platform> Engine<P> {
    /// One block, by a key that stays here.
    pub(crate) fn block(
        &mut self,
        channel: u32,
        handle: SeatHandle,
        source: KeySource,
        way: BlockWay,
        bytes: &[u8],
    ) -> Result<Reply, Failure> {
        let seat = self.seats.seat(handle, channel)?.clone();
        self.seat_still_allowed(&seat, channel)?;
        let key = self.source_key(&seat, source)?;
        let block = match way {
            BlockWay::Encrypt if bytes.len() > BLOCK_LEN_MAX => {
                return Err(ErrorCode::TooLong.failure());
            }
            BlockWay::Encrypt => {
                let mut nonce = [0; 12];
                let random = self.platform.parts().random;
                random.fill(&mut nonce).map_err(|_| ErrorCode::RandomFailed.failure())?;
                Zeroizing::new(seal_block(&key, nonce, bytes))
            }
            BlockWay::Decrypt => {
                open_block(&key, bytes).ok_or(ErrorCode::BlockRefused.failure())?
            }
        };
        Bytes::new(&block[..]).map(Reply::Block).ok_or(ErrorCode::TooLong.failure())
    }

    fn source_key(&mut self, seat: &Seat, source: KeySource) -> Result<SecretKey, Failure> {
        let Some(field) = source.field() else {
            let item_key = self.item_key(seat.slot, &seat.requirement)?;
            return Ok(block_key(&item_key[..], source, &seat.requirement));
        };
        let unknown = ErrorCode::DataUnknown.with(field.number().into(), 0);
        if !field.is_one() {
            return Err(unknown);
        }
        let record = records::data_key(seat.slot, seat.item, field);
        let opened = open_data(&mut self.platform.parts(), record)?.ok_or(unknown)?;
        // The access code is for people who read hidden data; keys come from what follows.
        let (_, secret) = opened.split_at_checked(ACCESS_CODE_LEN).ok_or(unknown)?;
        Ok(block_key(secret, source, &seat.requirement))
    }

    /// A proof that a seat is held and its license allows that now.
    pub(crate) fn prove(
        &mut self,
        channel: u32,
        handshake_hash: &[u8; 32],
        handle: SeatHandle,
        challenge: Fixed<32>,
        purpose: u8,
    ) -> Result<Reply, Failure> {
        let seat = self.seats.seat(handle, channel)?.clone();
        self.seat_still_allowed(&seat, channel)?;
        let (slot, firm) = self.firm(seat.requirement.root_fp)?;
        let item = self.entry(slot, seat.item)?;
        let first_use_s = self.first_use_s(slot, seat.item)?;
        let body = ProofBody {
            challenge,
            purpose,
            session: Fixed(*handshake_hash),
            item: seat.item,
            requirement: seat.requirement,
            ends_s: end_s(&item, first_use_s).unwrap_or(0),
            units: self.units(slot, seat.item)?.left,
            seats: self.seats.taken(slot, seat.item, seat.client).seats,
            time: self.time.info(self.platform.parts().clock, &firm),
            commits: firm.commits,
            firmware: self.profile.firmware,
        };
        let (seq, state, now_s) = (firm.seq, firm.state.0, body.time.now_s);
        let body: Vec<u8> = codec::encode(&body);
        self.state_signed(Kind::Proof, firm.root_fp, seq, state, now_s, &body).map(Reply::Proof)
    }
}
