//! How an entry was judged, told in full: so that a refusal can be understood elsewhere.

use protocol::codec::Fixed;
use protocol::command::{Grounds, Judgement, Reply};
use protocol::errors::Failure;
use protocol::ids::{EntryNumber, OpId};
use protocol::objects::license::{Client, Requirement};

use crate::engine::{Engine, store_failure};
use crate::evaluate::{
    AfterPowerUp, Circumstances, Presence, Question, Stage, TimeView, evaluate, firm_locked,
};
use crate::platform::Platform;
use crate::records;
use crate::seats::Taken;

impl<P: Platform> Engine<P> {
    /// Judges one entry of the product as a use would, and uses nothing.
    pub(crate) fn judge(
        &mut self,
        channel: u32,
        requirement: &Requirement,
        after: Option<EntryNumber>,
    ) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        let (slot, firm) = self.firm(requirement.root_fp)?;
        let store = self.platform.parts().store;
        let next = records::next_item_of(store, slot, requirement.product, after)
            .map_err(store_failure)?;
        let Some(native) = next else {
            // Where there is nothing to judge, the firm's lock is what a use meets.
            let locked = firm.trapped.filter(|_| after.is_none());
            return locked.map_or(Ok(Reply::Judged(None)), |trapped| Err(firm_locked(trapped)));
        };
        let entry = native.item.entry;
        let item = self.effective(slot, native)?;
        let asker = self.asker(channel, OpId::default());
        let at = self.circumstances(slot, &firm, &item, requirement, asker)?;
        let question = Question { item: &item, requirement, at, stage: Stage::Begins };
        let refusal = evaluate(&question).err();
        Ok(Reply::Judged(Some(Judgement { entry, refusal, by: at.grounds() })))
    }
}

impl Circumstances {
    /// Those of a judgement that was told, for one who says of himself what `client` and
    /// `user_key` say.
    pub fn of(by: &Grounds, client: Client, user_key: Option<Fixed<33>>) -> Self {
        Circumstances {
            has: Presence {
                parent: by.has_parent,
                key: by.has_key,
                log_room: by.has_log_room,
                trapped: by.trapped,
                ..Presence::ALL
            },
            time: TimeView {
                class: by.class,
                clock_s: by.clock_s,
                reach_s: by.reach_s,
                certified_s: by.certified_s,
                host_s: by.host_s,
                is_fresh: by.is_fresh,
            },
            first_use_s: by.first_use_s,
            units: by.units,
            taken: Taken {
                seats: by.seats,
                shared_here: by.is_shared_here,
                exclusive_here: by.is_exclusive_here,
            },
            after_power_up: AfterPowerUp {
                quarantine_s: by.quarantine_s,
                settling_s: by.settling_s,
            },
            client,
            user_key,
        }
    }

    /// All of it but who asks.
    pub fn grounds(&self) -> Grounds {
        Grounds {
            class: self.time.class,
            clock_s: self.time.clock_s,
            reach_s: self.time.reach_s,
            certified_s: self.time.certified_s,
            host_s: self.time.host_s,
            is_fresh: self.time.is_fresh,
            first_use_s: self.first_use_s,
            units: self.units,
            seats: self.taken.seats,
            is_shared_here: self.taken.shared_here,
            is_exclusive_here: self.taken.exclusive_here,
            quarantine_s: self.after_power_up.quarantine_s,
            settling_s: self.after_power_up.settling_s,
            has_parent: self.has.parent,
            has_key: self.has.key,
            has_log_room: self.has.log_room,
            trapped: self.has.trapped,
        }
    }
}
