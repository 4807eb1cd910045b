//! Keys that a vendor keeps here: made here, used here, never told.
//!
//! A container is then a vendor's security box. It signs what the machine of whoever entered its
//! PIN wants signed, so what is gained is that nobody can copy the key or use it without the box.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::command::{KeyCommand, KeyReply, KeyUsage, PartKey, Reply};
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hash::Hash32;
use protocol::crypto::mac::hmac_sha256;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::KeyName;
use protocol::limits::VENDOR_KEYS_MAX;
use protocol::objects::artifact::SecretKey;
use zeroize::Zeroizing;

use crate::engine::{Engine, store_failure};
use crate::platform::Platform;
use crate::records::{self, VendorKey};
use crate::sealed::{open_key, seal_key};

impl<P: Platform> Engine<P> {
    pub(crate) fn vendor_key(
        &mut self,
        channel: u32,
        command: KeyCommand,
    ) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        if self.pin_tries()?.is_none() {
            return Err(ErrorCode::PinNotSet.failure());
        }
        self.check_owner(channel)?;
        match command {
            KeyCommand::Make { name, usage } => self.make_key(name, usage).map(Reply::Key),
            KeyCommand::Sign { name, hash } => self.sign_by(name, &hash.0).map(Reply::Key),
            KeyCommand::Expand { name, info } => {
                let secret = self.kept_key(name, KeyUsage::Expand)?;
                let key = hmac_sha256(&secret[..], &[&info, &[1]]);
                Ok(Reply::Key(KeyReply::Expanded(PartKey(Fixed(key)))))
            }
            KeyCommand::Destroy { name } => {
                let record = records::vendor_key_key(name);
                if records::has(self.platform.parts().store, record).map_err(store_failure)? {
                    self.commit(Vec::from([(record, None)]))?;
                }
                Ok(Reply::Done)
            }
            _ => Err(ErrorCode::UnknownCommand.failure()),
        }
    }

    fn make_key(&mut self, name: KeyName, usage: KeyUsage) -> Result<KeyReply, Failure> {
        let record = records::vendor_key_key(name);
        let parts = self.platform.parts();
        if !records::has(parts.store, record).map_err(store_failure)? {
            let count = records::vendor_key_count(parts.store).map_err(store_failure)?;
            if count >= VENDOR_KEYS_MAX {
                return Err(ErrorCode::VendorKeysFull.with(count.into(), 0));
            }
            let secret = self.new_secret(usage)?;
            let secret = seal_key(&mut self.platform.parts(), record, &secret)?;
            let made = codec::encode(&VendorKey { usage, secret });
            self.commit(Vec::from([(record, Some(made))]))?;
        }
        let secret = self.kept_key(name, usage)?;
        Ok(KeyReply::Made(match usage {
            KeyUsage::Sign => Some(Fixed(signing(&secret)?.verifying_key().to_bytes())),
            KeyUsage::Expand => None,
        }))
    }

    fn new_secret(&mut self, usage: KeyUsage) -> Result<SecretKey, Failure> {
        // Of a source of randomness that was looked at just now.
        let secret = Zeroizing::new(self.entropy()?);
        match usage {
            KeyUsage::Expand => Ok(secret),
            KeyUsage::Sign => {
                let failed = |_| ErrorCode::RandomFailed.failure();
                let key = SigningKey::generate(self.platform.parts().random).map_err(failed)?;
                Ok(key.to_secret_bytes())
            }
        }
    }

    fn sign_by(&mut self, name: KeyName, hash: &Hash32) -> Result<KeyReply, Failure> {
        let secret = self.kept_key(name, KeyUsage::Sign)?;
        let entropy = self.entropy()?;
        Ok(KeyReply::Signature(Fixed(signing(&secret)?.sign_hash(hash, &entropy))))
    }

    fn kept_key(&mut self, name: KeyName, usage: KeyUsage) -> Result<SecretKey, Failure> {
        let record = records::vendor_key_key(name);
        let parts = self.platform.parts();
        let kept: Option<VendorKey> = records::read(parts.store, record).map_err(store_failure)?;
        let kept = kept.filter(|kept| kept.usage == usage);
        let kept = kept.ok_or(ErrorCode::VendorKeyMissing.failure())?;
        open_key(parts.keys, record, &kept.secret)
    }
}

fn signing(secret: &SecretKey) -> Result<SigningKey, Failure> {
    SigningKey::from_bytes(secret).map_err(|_| ErrorCode::StoreFailed.failure())
}
