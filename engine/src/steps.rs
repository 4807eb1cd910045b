//! Steps that read, or change one record: lists, context, receipt, name, who asks.

use alloc::vec::Vec;

use protocol::codec::{self, Bytes, Fixed, List, Text};
use protocol::command::{FirmInfo, ItemState, Reply, user_proof};
use protocol::crypto::ecdsa::{self, VerifyingKey};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{OpId, RootFp};
use protocol::limits::{
    COMMAND_LEN_MAX, CONFIGURATION_PER_REPLY, CONTAINER_NAME_LEN_MAX, IDENTIFY_S_MAX,
    STATEMENT_LEN_MAX,
};
use protocol::objects::configuration::ConfigurationRecord;
use protocol::objects::license::{Client, ItemRef};
use protocol::objects::statement::{ContextBody, genesis_hash};
use protocol::signed::{Header, Kind, Proof, UnverifiedObject, write_object};

use crate::data;
use crate::engine::{Engine, read_meta, store_failure};
use crate::platform::{Keys, Platform, RECORD_LEN_MAX};
use crate::records::{self, Firm, FirmSlot, StoredReceipt};
use crate::update::read_of_configuration;

/// A statement as an object.
pub(crate) type Statement = Bytes<STATEMENT_LEN_MAX>;

/// Most entries in one reply: so many of the largest fit a message.
const ITEMS_PER_REPLY: usize = 3;

/// Bytes in front of a list in a reply, at most.
const REPLY_HEAD_LEN: usize = 8;

/// Bytes of a record's key and length in a reply, at most.
const CONFIGURATION_HEAD_LEN: usize = 10 + 3;

/// Most firms in one reply.
const FIRMS_PER_REPLY: usize = 16;

impl<P: Platform> Engine<P> {
    pub(crate) fn firm_list(&mut self, from: u8) -> Result<Reply, Failure> {
        let (mut position, mut page) = (0, Vec::new());
        records::find_firm(self.platform.parts().store, |_, firm| {
            if position >= from {
                page.push(FirmInfo {
                    root_fp: firm.root_fp,
                    firm_code: firm.root.firm_code,
                    name: firm.root.name,
                    mode: firm.root.mode,
                    seq: firm.seq,
                    entries: firm.entries,
                    trapped: firm.trapped,
                    root_version: firm.root_version,
                    revocation_epoch: firm.revocation_epoch,
                });
            }
            position += 1;
            (page.len() == FIRMS_PER_REPLY).then_some(())
        })
        .map_err(store_failure)?;
        Ok(Reply::Firms(List::new(page).unwrap_or_default()))
    }

    pub(crate) fn item_list(
        &mut self,
        firm: RootFp,
        mut after: Option<ItemRef>,
    ) -> Result<Reply, Failure> {
        let (slot, _) = self.firm(firm)?;
        let store = self.platform.parts().store;
        let mut page = Vec::new();
        while page.len() < ITEMS_PER_REPLY {
            let next = records::next_item(store, slot, after).map_err(store_failure)?;
            let Some(item) = next else { break };
            after = Some(item.item);
            page.push(item);
        }
        Ok(Reply::Items(List::new(page).unwrap_or_default()))
    }

    pub(crate) fn context(
        &mut self,
        root_fp: RootFp,
        nonce: Fixed<32>,
    ) -> Result<Statement, Failure> {
        let request = self.request(root_fp)?;
        let known = self.find_firm(root_fp)?;
        let profile = self.profile;
        let parts = self.platform.parts();
        let id = parts.keys.id();
        let (seq, state) = match &known {
            Some((_, firm)) => (firm.seq, firm.state.0),
            None => (0, genesis_hash(root_fp, id)),
        };
        // A firm that is not in the container shares no time with others: it sees the clock alone.
        let time = match &known {
            Some((_, firm)) => self.time.info(parts.clock, firm),
            None => {
                let now_s = self.time.clock_s(parts.clock);
                protocol::objects::statement::TimeInfo {
                    floor_s: 0,
                    now_s,
                    class: self.time.class(parts.clock),
                    certified_s: 0,
                }
            }
        };
        let firm = known.as_ref().map(|(_, firm)| firm);
        let body = ContextBody {
            nonce,
            config_hash: firm.map(|firm| firm.config_hash).unwrap_or_default(),
            root_version: firm.map_or(0, |firm| firm.root_version),
            revocation_epoch: firm.map_or(0, |firm| firm.revocation_epoch),
            time,
            commits: firm.map_or(0, |firm| firm.commits),
            entries: firm.map_or(0, |firm| firm.entries),
            firmware: profile.firmware,
            request,
        };
        self.state_signed(Kind::Context, root_fp, seq, state, time.now_s, &codec::encode(&body))
    }

    pub(crate) fn receipt(&mut self, root_fp: RootFp, seq: u64) -> Result<Statement, Failure> {
        let (slot, firm) = self.firm(root_fp)?;
        let wanted = if seq == 0 { firm.seq } else { seq };
        let kept = wanted != 0
            && wanted <= firm.seq
            && firm.seq - wanted < protocol::limits::RECEIPTS_KEPT;
        let missing = ErrorCode::NoReceipt.with(wanted, firm.seq);
        if !kept {
            return Err(missing);
        }
        let store = self.platform.parts().store;
        let receipt: Option<StoredReceipt> =
            records::read(store, records::receipt_key(slot, wanted)).map_err(store_failure)?;
        receipt.ok_or(missing)
    }

    pub(crate) fn rename(
        &mut self,
        channel: u32,
        op: OpId,
        name: Text<CONTAINER_NAME_LEN_MAX>,
    ) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        self.check_owner(channel)?;
        let mut meta = read_meta(self.platform.parts().store)?;
        if meta.name_op != op {
            meta.name = name;
            meta.name_op = op;
            self.commit(Vec::from([(records::META, Some(codec::encode(&meta)))]))?;
        }
        Ok(Reply::Done)
    }

    /// What the home does about it is not waited for.
    pub(crate) fn identify(&mut self, for_s: u8) -> Result<Reply, Failure> {
        if for_s > IDENTIFY_S_MAX {
            return Err(ErrorCode::TooLong.with(for_s.into(), IDENTIFY_S_MAX.into()));
        }
        self.identify_s = Some(for_s);
        Ok(Reply::Done)
    }

    /// As many records as fit one reply.
    pub(crate) fn configuration(&mut self, root_fp: RootFp, after: u64) -> Result<Reply, Failure> {
        let (slot, _) = self.firm(root_fp)?;
        let store = self.platform.parts().store;
        let mut after = (after != 0).then(|| records::in_slot(after, slot));
        let (mut page, mut room) = (Vec::new(), COMMAND_LEN_MAX - REPLY_HEAD_LEN);
        let mut buf = alloc::vec![0; RECORD_LEN_MAX];
        while page.len() < CONFIGURATION_PER_REPLY {
            let next =
                read_of_configuration(store, slot, after, &mut buf).map_err(store_failure)?;
            let Some((key, value)) = next else { break };
            let Some(left) = room.checked_sub(value.len() + CONFIGURATION_HEAD_LEN) else { break };
            (room, after) = (left, Some(key));
            let value = Bytes::new(value).ok_or(ErrorCode::StoreFailed.failure())?;
            page.push(ConfigurationRecord { key: records::without_slot(key), value });
        }
        Ok(Reply::Configuration(List::new(page).unwrap_or_default()))
    }

    pub(crate) fn item_state(
        &mut self,
        root_fp: RootFp,
        item: ItemRef,
    ) -> Result<ItemState, Failure> {
        let (slot, _) = self.firm(root_fp)?;
        let entry = self.item(slot, item)?;
        let units = self.units(slot, item)?;
        let store = self.platform.parts().store;
        Ok(ItemState {
            data: data::present(store, slot, item).map_err(store_failure)?,
            first_use_s: self.first_use_s(slot, item)?,
            seats: self.seats.taken(slot, item, Client::default()).seats,
            units: entry.units().map(|_| units.state()),
        })
    }

    /// The user on a channel proves to have a key.
    pub(crate) fn prove_user(
        &mut self,
        channel: u32,
        handshake_hash: &[u8; 32],
        key: Fixed<33>,
        signature: &Fixed<64>,
    ) -> Result<Reply, Failure> {
        let refused = ErrorCode::UserProof.failure();
        let preimage = user_proof(handshake_hash, self.platform.parts().keys.id());
        let verifying = VerifyingKey::from_bytes(&key.0).map_err(|_| refused)?;
        ecdsa::verify(&verifying, &preimage, &signature.0).map_err(|_| refused)?;
        self.clients.entry(channel).user_key = Some(key);
        Ok(Reply::Done)
    }

    /// An object for this container, signed by a key of `role` of a firm that is in it: its header
    /// and its body.
    pub(crate) fn firm_object(
        &mut self,
        object: &[u8],
        kind: Kind,
        body_len_max: usize,
        failed: Failure,
    ) -> Result<(Header, Vec<u8>), Failure> {
        let (object, rest) = UnverifiedObject::read(object, body_len_max).map_err(|_| failed)?;
        let header = *object.header();
        let is_ours = header.target == *self.platform.parts().keys.id().bytes();
        if header.kind != kind || !rest.is_empty() || !is_ours {
            return Err(failed);
        }
        let known = self.known(None, header.root_fp)?.ok_or(ErrorCode::FirmUnknown.failure())?;
        let key = known.firm.root.key(kind.role(), header.key_id).ok_or(failed)?;
        known.refuse_revoked(&[header.key_id])?;
        let verified = object.verify_role(kind.role(), &key).map_err(|_| failed)?;
        Ok((header, Vec::from(verified.body)))
    }

    /// The firm in a slot that is in use.
    pub(crate) fn firm_at(&mut self, slot: FirmSlot) -> Result<Firm, Failure> {
        let store = self.platform.parts().store;
        let firm = records::read(store, records::firm_key(slot)).map_err(store_failure)?;
        firm.ok_or(ErrorCode::StoreFailed.failure())
    }

    /// The firm, or the refusal that it is not here.
    pub(crate) fn firm(&mut self, root_fp: RootFp) -> Result<(FirmSlot, Firm), Failure> {
        self.find_firm(root_fp)?.ok_or(ErrorCode::FirmUnknown.failure())
    }

    pub(crate) fn find_firm(
        &mut self,
        root_fp: RootFp,
    ) -> Result<Option<(FirmSlot, Firm)>, Failure> {
        let store = self.platform.parts().store;
        let wanted = |slot, firm: Firm| (firm.root_fp == root_fp).then_some((slot, firm));
        records::find_firm(store, wanted).map_err(store_failure)
    }

    /// A statement under the container's identity key.
    pub(crate) fn state_signed(
        &mut self,
        kind: Kind,
        root_fp: RootFp,
        seq: u64,
        state: [u8; 32],
        issued_s: u64,
        body: &[u8],
    ) -> Result<Statement, Failure> {
        let entropy = self.entropy()?;
        let keys = self.platform.parts().keys;
        let header = Header {
            root_fp,
            key_id: keys.identity_id(),
            target: *keys.id().bytes(),
            seq,
            state,
            issued_s,
            ..Header::new(kind, body)
        };
        let signature = keys
            .sign(&header.preimage(), &entropy)
            .map_err(|_| ErrorCode::StoreFailed.failure())?;
        let object = write_object(&header, &Proof::Direct(Fixed(signature)), body);
        Statement::new(object).ok_or(ErrorCode::TooLong.failure())
    }
}
